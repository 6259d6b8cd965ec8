package instance

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tatami-platform/tatami/internal/control"
)

// holdEnv makes this test program a server that does nothing but hold a lock.
const holdEnv = "TATAMI_TEST_HOLD"

func TestMain(m *testing.M) {
	dir := os.Getenv(holdEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	f, err := Lock(dir)
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("held\n")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	_ = f.Close()
}

func TestState(t *testing.T) {
	c := Config{Name: "x", DataDir: t.TempDir(), Port: 6443, RealNode: true}
	if _, err := ReadState(c.DataDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no state yet: %v", err)
	}
	want := State{
		Config: c, Phase: control.StateRunning, PID: 1, Started: time.Unix(1700000000, 0).UTC(), StartMillis: 2900,
		Error: "e", NodeFailed: true, URLs: map[string]string{"api": "https://127.0.0.1:6443"},
	}
	if err := WriteState(want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadState(c.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-written +read):\n%s", diff)
	}
	if err := os.WriteFile(c.Path(stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(c.DataDir); err == nil || !strings.Contains(err.Error(), c.DataDir) {
		t.Errorf("broken state: %v", err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	if alive, err := Alive(dir); alive || err != nil {
		t.Errorf("never started: alive %t (%v)", alive, err)
	}
	if _, err := os.Stat(filepath.Join(dir, lockFile)); err == nil {
		t.Error("asking left a file")
	}
	if alive, err := Alive(filepath.Join(dir, "none")); alive || err != nil {
		t.Errorf("no folder: alive %t (%v)", alive, err)
	}
	f, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if alive, err := Alive(dir); !alive || err != nil {
		t.Errorf("locked: alive %t (%v)", alive, err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if alive, err := Alive(dir); alive || err != nil {
		t.Errorf("unlocked: alive %t (%v)", alive, err)
	}
}

// TestLockOfAProcess: a lock ends with the process that holds it, however that
// one ends.
func TestLockOfAProcess(t *testing.T) {
	for _, kill := range []bool{false, true} {
		t.Run(map[bool]string{false: "that ends", true: "that is killed"}[kill], func(t *testing.T) {
			dir := t.TempDir()
			cmd, release := hold(t, dir)
			if alive, err := Alive(dir); !alive || err != nil {
				t.Errorf("held: alive %t (%v)", alive, err)
			}
			if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
				t.Errorf("held: %v", err)
			}
			if kill {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			release()
			if err := cmd.Wait(); (err != nil) != kill {
				t.Errorf("the process ended with %v", err)
			}
			if alive, err := Alive(dir); alive || err != nil {
				t.Errorf("ended: alive %t (%v)", alive, err)
			}
			f, err := Lock(dir)
			if err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
		})
	}
}

// TestLockIsInherited: the lock that `up` takes lives on in the server after
// `up` has closed its own copy.
func TestLockIsInherited(t *testing.T) {
	dir := t.TempDir()
	f, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "read line")
	cmd.ExtraFiles = []*os.File{f}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if alive, err := Alive(dir); !alive || err != nil {
		t.Errorf("inherited: alive %t (%v)", alive, err)
	}
	_ = stdin.Close()
	_ = cmd.Wait()
	if alive, err := Alive(dir); alive || err != nil {
		t.Errorf("ended: alive %t (%v)", alive, err)
	}
}

// hold starts a process that holds the lock until release is called.
func hold(t *testing.T, dir string) (cmd *exec.Cmd, release func()) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	release = func() { _ = stdin.Close() }
	t.Cleanup(release)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process says %q (%v)", line, err)
	}
	return cmd, release
}
