package box

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Attributes are how the server process is started: in a session of its own,
// and for a real node in namespaces of its own. An attached one dies with the
// process that started it.
func Attributes(realNode bool, life Life) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if life == Attached {
		attr.Pdeathsig = syscall.SIGKILL
	}
	if realNode {
		attr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC
	}
	return attr
}

// OpenHostNetwork opens the network namespace of the caller, to hand it to the
// server.
func OpenHostNetwork() (*os.File, error) { return os.Open("/proc/self/ns/net") }

func (h *Host) do(f func() error) error {
	if h.ns == nil {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		// The thread is not unlocked: if it can't return to its namespace, it
		// ends with this goroutine instead of serving others.
		runtime.LockOSThread()
		own, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- fmt.Errorf("own network namespace: %w", err)
			return
		}
		defer own.Close()
		if err := unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter the host's network: %w", err)
			return
		}
		err = f()
		if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
