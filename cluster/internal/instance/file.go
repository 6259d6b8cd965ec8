package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tatami-platform/tatami/internal/control"
)

const tempPrefix = ".tmp-"

func isTemp(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// WriteFile writes a file of mode 0600 so that a reader, or a start after a
// crash, sees the old content or the new, never a part.
func WriteFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return explain(path, err)
	}
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return explain(path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return explain(path, err)
}

func explain(path string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) {
		return DiskFull(filepath.Dir(path), err)
	}
	return fmt.Errorf("write %s: %w", path, err)
}

// DiskFull is the problem of a data folder without room.
func DiskFull(dir string, why error) error {
	return &control.Problem{
		What: "the disk of " + dir + " is full",
		Why:  why,
		Next: "free some space, or choose another disk with --data-dir",
	}
}

// MinFreeBytes is what a start needs: the store, the images of the platform and
// room for logs.
const MinFreeBytes = 512 << 20

// FreeBytes is what an unprivileged process may still write to the disk of dir.
func FreeBytes(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // the types differ by platform
}

// CheckFree refuses to start on a full disk: the store would stop in the middle
// of a write.
func CheckFree(dir string) error {
	free, err := FreeBytes(dir)
	if err != nil {
		return err
	}
	if free < MinFreeBytes {
		return DiskFull(dir, fmt.Errorf("%d MiB free, %d MiB needed", free>>20, int64(MinFreeBytes)>>20))
	}
	return nil
}
