package box

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

const resolvConf = "/etc/resolv.conf"

// HostResolvConf reads the host's resolv.conf from inside the box, where that
// file is another one.
type HostResolvConf struct {
	// dir is a private view of the folder that holds the file, so that it is
	// seen anew after the host has replaced it.
	dir  int
	base string
}

// openHostResolvConf must be called before the host's folders are hidden.
func openHostResolvConf() (*HostResolvConf, error) {
	real, err := filepath.EvalSymlinks(resolvConf)
	if err != nil {
		return nil, err
	}
	// With what is mounted in it: in a container the file itself is a mount.
	dir, err := unix.OpenTree(unix.AT_FDCWD, filepath.Dir(real), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return nil, err
	}
	return &HostResolvConf{dir: dir, base: filepath.Base(real)}, nil
}

// Open opens the file as it is now.
func (h *HostResolvConf) Open() (*os.File, error) {
	if h == nil {
		return nil, os.ErrNotExist
	}
	fd, err := unix.Openat(h.dir, h.base, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), resolvConf), nil
}

// coverResolvConf points the node's programs at the node's own DNS. The file
// may be a link into a folder that is hidden now.
func coverResolvConf(c instance.Config) error {
	own := c.Path("node", "resolv.conf")
	if err := instance.WriteFile(own, []byte("nameserver "+instance.NodeIP.String()+"\n")); err != nil {
		return err
	}
	if err := os.Chmod(own, 0o644); err != nil { //nolint:gosec // every program of the node reads it
		return err
	}
	target, err := filepath.EvalSymlinks(resolvConf)
	if err != nil {
		if target, err = recreateTarget(); err != nil || target == "" {
			return err
		}
	}
	return unix.Mount(own, target, "", unix.MS_BIND, "")
}

// recreateTarget makes the file that the host's link points at, in the node's
// own /run. Empty when there is no such link: then the host needs no resolver.
func recreateTarget() (string, error) {
	target, err := os.Readlink(resolvConf)
	if err != nil {
		return "", nil //nolint:nilerr // no file at all
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(resolvConf), target)
	}
	if !strings.HasPrefix(target, "/run/") {
		return "", nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil { //nolint:gosec // in the node's own tmpfs
		return "", err
	}
	err = os.WriteFile(target, nil, 0o644) //nolint:gosec // as above
	return target, errors.Join(err)
}
