package instance

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tatami-platform/tatami/internal/control"
)

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "file")
	for _, content := range []string{"first", "", "a longer second content"} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil || string(raw) != content {
			t.Errorf("read %q (%v), want %q", raw, err, content)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v), want 0600", st.Mode(), err)
	}
	if st, err := os.Stat(filepath.Dir(path)); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("folder %v (%v), want 0700", st.Mode(), err)
	}
	wantOnly(t, filepath.Dir(path), "file")
}

func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("%s holds %v, want %v", dir, got, names)
	}
}

// TestWriteFileIsAtomic reads while others write: every read is one whole
// content.
func TestWriteFileIsAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	content := func(n int) []byte { return bytes.Repeat([]byte{byte('a' + n)}, 100_000) }
	if err := WriteFile(path, content(0)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for range 25 {
				if err := WriteFile(path, content(n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) != 100_000 || bytes.Count(raw, raw[:1]) != len(raw) {
			t.Fatalf("read a part: %d bytes", len(raw))
		}
	}
	wantOnly(t, filepath.Dir(path), "file")
}

func TestWriteFileLeavesTheOldContentWhenItFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := WriteFile(path, []byte("x"))
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name %s", err, path)
	}
	wantOnly(t, dir, "folder")
	if err := WriteFile("/proc/none/file", nil); err == nil {
		t.Error("no error where nothing can be written")
	}
}

func TestExplain(t *testing.T) {
	if explain("/x/y", nil) != nil {
		t.Error("success was explained")
	}
	full := explain("/x/y", &os.PathError{Op: "write", Path: "/x/y", Err: syscall.ENOSPC})
	var p *control.Problem
	if !errors.As(full, &p) || p.What != "the disk of /x is full" || !strings.Contains(p.Next, "--data-dir") {
		t.Errorf("full disk: %v", full)
	}
	if !errors.Is(full, syscall.ENOSPC) {
		t.Error("the cause is lost")
	}
	other := explain("/x/y", syscall.EROFS)
	if errors.As(other, &p) || !errors.Is(other, syscall.EROFS) || !strings.Contains(other.Error(), "/x/y") {
		t.Errorf("other error: %v", other)
	}
}

// TestWriteFileOnAFullDisk uses the one disk that is always full.
func TestWriteFileOnAFullDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here:", err)
	}
	defer f.Close()
	_, err = fmt.Fprint(f, "x")
	if err = explain("/x/y", err); control.NextStep(err) == "" {
		t.Errorf("the kernel's error %v is not taken for a full disk", err)
	}
}

func TestCheckFree(t *testing.T) {
	dir := t.TempDir()
	free, err := FreeBytes(dir)
	if err != nil || free <= 0 {
		t.Fatalf("%d bytes free (%v)", free, err)
	}
	if err := CheckFree(dir); (err == nil) != (free >= MinFreeBytes) {
		t.Errorf("%d bytes free: %v", free, err)
	}
	if _, err := FreeBytes(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there has free space")
	}
	// A file system without blocks of its own: nothing is free.
	if err := CheckFree("/proc"); err == nil || !strings.Contains(err.Error(), "512 MiB needed") {
		t.Errorf("/proc: %v", err)
	}
}
