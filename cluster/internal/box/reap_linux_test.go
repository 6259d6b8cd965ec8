package box

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestIsDeadChild(t *testing.T) {
	for _, tt := range []struct {
		name string
		stat string
		want bool
	}{
		{"orphan that ended", "4711 (containerd-shim) Z 1 4711 4711 0 -1 4227084 0 0", true},
		{"runs", "4711 (containerd-shim) S 1 4711 4711 0 -1 4227084 0 0", false},
		{"child of another", "4711 (sh) Z 42 4711 4711 0", false},
		{"parent 10", "4711 (sh) Z 10 4711", false},
		{"a name with a bracket", "4711 (a) Z 1 (b) S 7 1 1", false},
		{"a dead one with a bracket", "4711 (a) S 7 (b) Z 1 1 1", true},
		{"a name with spaces", "4711 (tmux: server) Z 1 4711", true},
		{"no parent", "4711 (sh) Z", false},
		{"no name", "4711 sh Z 1", false},
		{"empty", "", false},
	} {
		if got := isDeadChild(tt.stat); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

// FuzzIsDeadChild: a process can choose its name, but not by it be taken for
// dead or alive.
func FuzzIsDeadChild(f *testing.F) {
	for _, name := range []string{"sh", "", ") Z 1", "(", "a b", "\n", "x) Z 1 ("} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		_ = isDeadChild(name)
		for rest, want := range map[string]bool{"Z 1 5 5 0": true, "S 1 5 5 0": false, "Z 2 5 5 0": false} {
			if got := isDeadChild(fmt.Sprintf("7 (%s) %s", name, rest)); got != want {
				t.Errorf("name %q, then %q: %t, want %t", name, rest, got, want)
			}
		}
	})
}

// TestStatOfARealProcess compares with what this kernel writes: a dead child of
// this process is dead, and only its parent differs from what is looked for.
func TestStatOfARealProcess(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Skip("no program to start:", err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	path := fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid)
	var stat string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Skip("no /proc:", err)
		}
		if stat = string(raw); strings.Contains(stat, ") Z ") {
			break
		}
	}
	parent := fmt.Sprintf(" Z %d ", os.Getpid())
	if !strings.Contains(stat, parent) {
		t.Fatalf("stat %q has no %q", stat, parent)
	}
	if os.Getpid() != 1 && isDeadChild(stat) {
		t.Error("a child of this process is taken for an orphan")
	}
	if !isDeadChild(strings.Replace(stat, parent, " Z 1 ", 1)) {
		t.Error("the same as an orphan is not recognised")
	}
	if deadChildren() == nil {
		t.Error("/proc can't be read")
	}
}
