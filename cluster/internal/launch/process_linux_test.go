package launch

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// sleeper starts a program that waits for the end of the test.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", "read line")
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip("no shell:", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestProcessTable(t *testing.T) {
	cmd := sleeper(t)
	pid := cmd.Process.Pid
	if got := parentOf(pid); got != os.Getpid() {
		t.Errorf("parent %d, want %d", got, os.Getpid())
	}
	if got := rss(os.Getpid()); got < 1<<20 || got > 1<<34 {
		t.Errorf("own memory %d", got)
	}
	if got := comm(pid); got == "" {
		t.Error("no name")
	}
	if dead(pid) {
		t.Error("a living process is dead")
	}
	_ = cmd.Process.Kill()
	for deadline := time.Now().Add(5 * time.Second); !dead(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a killed process that nobody waited for lives on")
		}
	}
	_ = cmd.Wait()
	if !dead(pid) || rss(pid) != 0 || parentOf(pid) != 0 || comm(pid) != "" {
		t.Error("a process that is gone has something")
	}
}

// TestSumPlatform: the platform's processes count, pods don't.
func TestSumPlatform(t *testing.T) {
	me, other := os.Getpid(), sleeper(t).Process.Pid
	alone := sumPlatform(me, nil)
	if alone < 1<<20 {
		t.Errorf("own memory %d", alone)
	}
	// The other is neither containerd nor a shim.
	if with := sumPlatform(me, map[int][]int{me: {other}}); with >= alone+rss(other) {
		t.Errorf("%d with a pod, %d without", with, alone)
	}
	if residentBytes(0) != 0 {
		t.Error("no server takes memory")
	}
	if residentBytes(me) < 1<<20 {
		t.Error("a server takes no memory")
	}
}

func TestServerPID(t *testing.T) {
	if pid := serverPID(t.TempDir()); pid != 0 {
		t.Errorf("process %d serves a folder that nobody knows", pid)
	}
}
