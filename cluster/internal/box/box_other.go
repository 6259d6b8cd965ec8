//go:build !linux

package box

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

var errLinux = errors.New("a real node needs Linux")

// Attributes are how the server process is started: in a session of its own.
func Attributes(bool, Life) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// OpenHostNetwork fails: there are no network namespaces here.
func OpenHostNetwork() (*os.File, error) { return nil, errLinux }

func (h *Host) do(f func() error) error { return f() }

// HostResolvConf is never made here.
type HostResolvConf struct{}

// Open fails.
func (h *HostResolvConf) Open() (*os.File, error) { return nil, os.ErrNotExist }

// Enter fails.
func Enter(instance.Config) (*HostResolvConf, error) { return nil, errLinux }

// UncoverTunables has nothing to uncover.
func UncoverTunables() error { return nil }

// Reap has nothing to do: the server is not the first process of anything.
func Reap(context.Context) {}

// RemoveCgroup has nothing to remove.
func RemoveCgroup(instance.Config) error { return nil }
