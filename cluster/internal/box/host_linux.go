package box

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Attributes are how the server process is started: in a session of its own,
// and for a real node in namespaces of its own.
func Attributes(realNode bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if realNode {
		attr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC
	}
	return attr
}

// OpenHostNetwork opens the network namespace of the caller, to hand it to the
// server.
func OpenHostNetwork() (*os.File, error) { return os.Open("/proc/self/ns/net") }

// Host opens sockets in the network namespace that the user works in.
type Host struct {
	// ns is nil when the server runs in the host's namespace itself.
	ns *os.File
}

// NewHost wraps the namespace that the server was handed; nil for none.
func NewHost(ns *os.File) *Host { return &Host{ns: ns} }

// Listen opens a listener on the host. The socket stays in the namespace in
// which it was made, so only its making needs a thread over there.
func (h *Host) Listen(ctx context.Context, addr string) (net.Listener, error) {
	var l net.Listener
	err := h.do(func() (err error) {
		var lc net.ListenConfig
		l, err = lc.Listen(ctx, "tcp4", addr)
		return err
	})
	return l, err
}

// Dial opens a connection from the host.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var c net.Conn
	err := h.do(func() (err error) {
		var d net.Dialer
		c, err = d.DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

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
		defer own.Close() //nolint:errcheck // read-only
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
