package app

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tatami-platform/tatami/internal/cli"
	"github.com/tatami-platform/tatami/internal/control"
)

// fullStub stands for the platform of the full program: it only has to be
// there, as the scripts ask for nothing that needs a cluster.
type fullStub struct{ control.Platform }

func (fullStub) Checks(control.Ref, control.Scope) []control.Check { return nil }

func TestMain(m *testing.M) {
	small := func() { os.Exit(Main(Program{Info: cli.Info{Version: "v0.1.0"}})) }
	testscript.Main(m, map[string]func(){
		"tatami":         small,
		"kubectl-tatami": small,
		"tatami-full":    small,
		"tatami-program": func() { os.Exit(Main(Program{Platform: fullStub{}, Info: cli.Info{Version: "v0.1.0"}})) },
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// The scripts copy the programs to where they look for each other.
			for name, program := range map[string]string{"SMALL": "tatami", "FULL": "tatami-program"} {
				path, err := exec.LookPath(program)
				if err != nil {
					return err
				}
				e.Setenv(name, path)
			}
			// The race detector otherwise sleeps a second when a program ends.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"until": untilFile},
	})
}

// untilFile waits until a program in the background has made a file.
func untilFile(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not appear", args[0])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestDisplayName(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "tatami"},
		{[]string{"./bin/tatami"}, "tatami"},
		{[]string{"/usr/bin/kubectl-tatami", "up"}, "kubectl tatami"},
		{[]string{"/usr/kubectl-plugins/tatami"}, "tatami"},
	} {
		if got := displayName(tt.args); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestRevision(t *testing.T) {
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	for _, tt := range []struct {
		settings []debug.BuildSetting
		want     string
	}{
		{nil, ""},
		{[]debug.BuildSetting{setting("vcs.modified", "true")}, ""},
		{[]debug.BuildSetting{setting("vcs.revision", "abc"), setting("vcs.modified", "false")}, "abc"},
		{[]debug.BuildSetting{setting("vcs.modified", "true"), setting("vcs.revision", "abc")}, "abc with changes"},
	} {
		if got := revision(tt.settings); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.settings, got, tt.want)
		}
	}
}

func TestCompleteKeepsWhatTheLinkerSet(t *testing.T) {
	got := complete(cli.Info{Version: "v9", Commit: "abc", Kubernetes: "v1.37.2"})
	if got.Version != "v9" || got.Commit != "abc" || got.Kubernetes != "v1.37.2" || got.GoVersion == "" || got.HostPlatform == "" {
		t.Errorf("%+v", got)
	}
	if got := complete(cli.Info{}); got.Version == "" || got.Commit == "" {
		t.Errorf("empty fields in %+v", got)
	}
}

func TestConsole(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if diff := cmp.Diff(0, console(f).Width); diff != "" || console(f).Color {
		t.Errorf("a file is taken for a terminal: %+v", console(f))
	}
}

func TestRunnable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "program")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if runnable(file) || runnable(dir) || runnable(filepath.Join(dir, "none")) {
		t.Error("a file that can't be run is taken for a program")
	}
	if err := os.Chmod(file, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if !runnable(file) || runnable("program") || runnable("./program") {
		t.Error("only an absolute path may be run")
	}
}
