package cli_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tatami-platform/tatami/internal/adapter/kube"
	"github.com/tatami-platform/tatami/internal/adapter/oci"
	"github.com/tatami-platform/tatami/internal/cli"
	"github.com/tatami-platform/tatami/internal/control"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tatami":         func() { run(platform(), "tatami") },
		"kubectl-tatami": func() { run(platform(), "kubectl tatami") },
		"tatami-small":   func() { run(nil, "tatami") },
	})
}

func platform() control.Platform {
	return fake{dir: os.Getenv("FAKE_DIR"), fault: os.Getenv("FAKE")}
}

// run does what internal/app does, with known time, version and width.
func run(p control.Platform, name string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	now := clock()
	d := cli.Deps{
		Platform: p, Images: oci.Images{}, Workloads: kube.Workloads{Now: now}, Catalog: fakeCloud{os.Getenv("FAKE")}, Name: name, Now: now, TempDir: os.Getenv("TMPDIR"),
		Handover: func(context.Context) (int, error) {
			if os.Getenv("FAKE") == "no-full" {
				return 0, &control.Problem{What: "this command needs the full program", Next: "build it"}
			}
			return strconv.Atoi(os.Getenv("FAKE_CODE"))
		},
		Streams: cli.Streams{In: os.Stdin, Out: cli.Console{Writer: os.Stdout}, Err: cli.Console{Writer: os.Stderr}},
		Info:    cli.Info{Version: "v0.1.0", Commit: "abc123", GoVersion: "go1.26.8", HostPlatform: "linux/amd64"},
	}
	if p != nil {
		d.Info.Kubernetes = "v1.37.2"
	}
	if width := os.Getenv("FAKE_WIDTH"); width != "" {
		n, err := strconv.Atoi(width)
		if err != nil {
			panic(err)
		}
		d.Streams.Out.Width, d.Streams.Out.Color = n, os.Getenv("NO_COLOR") == ""
	}
	os.Exit(cli.Run(ctx, d, os.Args[1:]))
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			dir := filepath.Join(e.WorkDir, ".fake")
			e.Setenv("FAKE_DIR", dir)
			// The race detector otherwise sleeps a second when a program ends.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			e.Setenv("TMPDIR", filepath.Join(e.WorkDir, ".tmp"))
			return os.Mkdir(dir, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cluster": refusingCluster,
			"code":    exitsWith,
			"program": staticProgram,
			"until":   untilFile,
		},
	})
}

// exitsWith runs a program and checks its exit code: code N PROGRAM ARG...
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM ARG...")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want := args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

// staticProgram writes the smallest file that is a static program, the same on
// each machine: program FILE [amd64|arm64]
func staticProgram(ts *testscript.TestScript, _ bool, args []string) {
	machine := uint16(62)
	if len(args) > 1 && args[1] == "arm64" {
		machine = 183
	}
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	for _, v := range []any{
		uint16(2), machine, uint32(1), uint64(0x400078), uint64(64), uint64(0), uint32(0),
		uint16(64), uint16(56), uint16(1), uint16(64), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(0x400000), uint64(0x400000), uint64(120), uint64(120), uint64(4096),
	} {
		ts.Check(binary.Write(&b, binary.LittleEndian, v))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o755))
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
