package box

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

func TestRemoveTree(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "x.platform")
	for _, dir := range []string{"kubepods/besteffort/pod1/c1", "kubepods/burstable/pod2", "node"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(base, "other.platform"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(root); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); !os.IsNotExist(err) {
		t.Errorf("it is still there (%v)", err)
	}
	if _, err := os.Stat(filepath.Join(base, "other.platform")); err != nil {
		t.Error("its neighbour is gone")
	}
	if err := removeTree(root); err != nil {
		t.Errorf("what is gone can't be removed again: %v", err)
	}
}

// TestRemoveTreeNeverRemovesFiles: in a cgroup there are none, so a folder with
// a file is no cgroup.
func TestRemoveTreeNeverRemovesFiles(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "a", "file")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(root); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error("the file is gone")
	}
}

func TestRemoveCgroupOfAnInstanceThatNeverRan(t *testing.T) {
	c := instance.Config{Name: fmt.Sprintf("none-%d", os.Getpid())}
	began := time.Now()
	if err := RemoveCgroup(c); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %s", took)
	}
	if dirs, err := cgroupDirs(c); err != nil || len(dirs) > 0 {
		t.Errorf("groups %v (%v)", dirs, err)
	}
}
