//go:build linux

package handover_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tatami-platform/tatami/internal/proxy/handover"
)

func listener(t *testing.T) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.(*net.TCPListener)
}

func path(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ho") //nolint:usetesting // its path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func blocks(t *testing.T, ln *net.TCPListener) bool {
	t.Helper()
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var flags int
	_ = raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.O_NONBLOCK == 0
}

func TestSuccessorThatDies(t *testing.T) {
	ln, at := listener(t), path(t)
	taken := make(chan struct{})
	g, err := handover.Give(at, func() handover.Sockets { return handover.Sockets{"a": ln} }, func() { close(taken) })
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	// It reads what it is sent, and is gone before it has done anything with it.
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if blocks(t, ln) {
		t.Error("the socket blocks now, and with it the loop of the proxy that goes on")
	}
	// The next one is served all the same.
	taker, err := handover.Take(at)
	if err != nil {
		t.Fatal(err)
	}
	defer taker.GiveUp()
	got := taker.Sockets["a"]
	if got == nil || got.Addr().String() != ln.Addr().String() {
		t.Fatalf("got %v", taker.Sockets)
	}
	defer got.Close()
	if blocks(t, ln) || blocks(t, got.(*net.TCPListener)) {
		t.Error("a socket blocks after it was handed over")
	}
	if err := taker.Served(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-taken:
	case <-time.After(5 * time.Second):
		t.Error("the giver does not know that the successor serves")
	}
}

func TestNobodyToTakeFrom(t *testing.T) {
	taker, err := handover.Take(path(t))
	if err != nil || len(taker.Sockets) != 0 {
		t.Errorf("%v, %v", taker, err)
	}
	if err := taker.Served(); err != nil {
		t.Error(err)
	}
}
