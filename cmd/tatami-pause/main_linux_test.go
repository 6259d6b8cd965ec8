package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limit is far below the grace period after which the kubelet would kill it.
const limit = time.Second

func TestExitsAtSignal(t *testing.T) {
	bin := buildPause(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := exec.Command(bin)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			waitUntilIdle(t, cmd.Process.Pid)
			expectExit(t, cmd, sig)
		})
	}
}

// TestReapsOrphansAsProcess1 runs it as process 1 of a new namespace, with a
// child that it did not start and that ends while it runs.
func TestReapsOrphansAsProcess1(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root for a process namespace of its own")
	}
	// The shell becomes pause, which inherits the shell's child.
	cmd := exec.Command("/bin/sh", "-c", "sleep 0.5 & exec "+buildPause(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot make a process namespace here: %v", err)
	}
	pid := cmd.Process.Pid
	waitUntilIdle(t, pid)
	waitFor(t, "its child to be reaped", func() bool { return children(t, pid) == "" })
	expectExit(t, cmd, syscall.SIGTERM)
}

func buildPause(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tatami-pause")
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return bin
}

func expectExit(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatalf("it is gone before %v: %v", sig, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("exit after %v: %v, want code 0", sig, err)
		}
	case <-time.After(limit):
		_ = cmd.Process.Kill()
		t.Errorf("still running %v after %v", limit, sig)
	}
}

// waitUntilIdle waits until the process sleeps, which it does first when it
// waits for signals: a signal sent before that would kill it.
func waitUntilIdle(t *testing.T, pid int) {
	t.Helper()
	asleep := 0
	waitFor(t, "it to wait for signals", func() bool {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && filepath.Base(exe) == "tatami-pause" && state(pid) == "S" {
			asleep++
		} else {
			asleep = 0
		}
		return asleep >= 5
	})
}

// state is the state letter of the process: R runs or is about to, S sleeps.
func state(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return after[:min(1, len(after))]
}

// children lists the direct children of the process, zombies included.
func children(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Skipf("the kernel does not list children: %v", err)
	}
	return strings.TrimSpace(string(text))
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited 5 s for %s", what)
}
