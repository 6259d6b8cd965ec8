package box

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

const cgroupRoot = "/sys/fs/cgroup"

// makeCgroup makes the cgroup that kubelet puts all pods below, in every
// hierarchy that the host has (one with version 2, one for each controller
// with version 1).
func makeCgroup(c instance.Config) error {
	m, err := manager.New(&cgroups.Cgroup{Path: c.Cgroup(), Resources: &cgroups.Resources{SkipDevices: true}})
	if err != nil {
		return err
	}
	// -1: make the groups, move nobody.
	return m.Apply(-1)
}

// RemoveCgroup removes the cgroups of an instance whose processes have ended.
// It waits a little: the kernel empties a group after its processes are gone.
func RemoveCgroup(c instance.Config) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := removeGroups(c)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func removeGroups(c instance.Config) error {
	roots, err := cgroupDirs(c)
	if err != nil {
		return err
	}
	var errs []error
	for _, root := range roots {
		errs = append(errs, removeTree(root))
	}
	return errors.Join(errs...)
}

// cgroupDirs finds the instance's group in each mounted hierarchy.
func cgroupDirs(c instance.Config) ([]string, error) {
	name := strings.TrimPrefix(c.Cgroup(), "/")
	dirs := []string{filepath.Join(cgroupRoot, name)}
	entries, err := os.ReadDir(cgroupRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list cgroups: %w", err)
	}
	for _, e := range entries {
		dirs = append(dirs, filepath.Join(cgroupRoot, e.Name(), name))
	}
	return slices.DeleteFunc(dirs, func(d string) bool {
		st, err := os.Stat(d)
		return err != nil || !st.IsDir()
	}), nil
}

// removeTree removes folders only, deepest first: the files in a cgroup are
// not files.
func removeTree(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, dir := range slices.Backward(dirs) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove cgroup: %w", err)
		}
	}
	return nil
}
