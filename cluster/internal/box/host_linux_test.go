package box

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAttributes(t *testing.T) {
	none := Attributes(false, Detached)
	if !none.Setsid || none.Cloneflags != 0 || none.Pdeathsig != 0 {
		t.Errorf("without a node: %+v", none)
	}
	real := Attributes(true, Detached)
	for name, flag := range map[string]uintptr{
		"mount": unix.CLONE_NEWNS, "network": unix.CLONE_NEWNET, "process": unix.CLONE_NEWPID, "host name": unix.CLONE_NEWUTS, "IPC": unix.CLONE_NEWIPC,
	} {
		if real.Cloneflags&flag == 0 {
			t.Errorf("no %s namespace of its own", name)
		}
	}
	if attached := Attributes(false, Attached); attached.Pdeathsig != syscall.SIGKILL {
		t.Errorf("attached: %+v", attached)
	}
}

// TestHostWithoutABox opens sockets where the process is.
func TestHostWithoutABox(t *testing.T) {
	h := NewHost(nil)
	l, err := h.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := h.Listen(t.Context(), l.Addr().String()); err == nil {
		t.Error("one port was opened twice")
	}
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// TestHostOfAnotherNamespace enters the network of the test itself, which is
// what an ordinary user may not, and root may.
func TestHostOfAnotherNamespace(t *testing.T) {
	ns, err := OpenHostNetwork()
	if err != nil {
		t.Skip("no network namespaces:", err)
	}
	defer ns.Close()
	l, err := NewHost(ns).Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		if strings.Contains(err.Error(), "enter the host's network") {
			return // not allowed, and it says so
		}
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}
