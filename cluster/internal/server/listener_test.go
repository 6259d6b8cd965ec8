package server

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

const patience = 5 * time.Second

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestJoin(t *testing.T) {
	a, b := listener(t), listener(t)
	j := join(a, b)
	t.Cleanup(func() { _ = j.Close() })
	if j.Addr().String() != a.Addr().String() {
		t.Errorf("its address is %s, want that of the first, %s", j.Addr(), a.Addr())
	}
	go func() {
		for {
			c, err := j.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, c.LocalAddr().String())
			_ = c.Close()
		}
	}()
	for _, l := range []net.Listener{a, b, b, a} {
		c, err := net.DialTimeout("tcp4", l.Addr().String(), patience)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		raw, err := io.ReadAll(c)
		_ = c.Close()
		if err != nil || string(raw) != l.Addr().String() {
			t.Errorf("connected to %s, answered by %q (%v)", l.Addr(), raw, err)
		}
	}
}

func TestJoinGoesOnWithoutOne(t *testing.T) {
	a, b := listener(t), listener(t)
	j := join(a, b)
	t.Cleanup(func() { _ = j.Close() })
	_ = a.Close()
	accepted := make(chan error, 1)
	go func() {
		c, err := j.Accept()
		if err == nil {
			_ = c.Close()
		}
		accepted <- err
	}()
	c, err := net.Dial("tcp4", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case err := <-accepted:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("the second listener is not heard")
	}
}

func TestJoinClose(t *testing.T) {
	a, b := listener(t), listener(t)
	j := join(a, b)
	waiting := make(chan error, 1)
	go func() {
		_, err := j.Accept()
		waiting <- err
	}()
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	select {
	case err := <-waiting:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Accept waits on")
	}
	if _, err := j.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	for _, l := range []net.Listener{a, b} {
		if c, err := net.Dial("tcp4", l.Addr().String()); err == nil {
			_ = c.Close()
			t.Errorf("%s is still open", l.Addr())
		}
	}
}

// TestJoinCloseEndsConnections: one that was taken from a listener and that
// nobody wants any more is not left hanging.
func TestJoinCloseEndsConnections(t *testing.T) {
	a := listener(t)
	j := join(a)
	c, err := net.Dial("tcp4", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = j.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	var timeout net.Error
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection is still open (%v)", err)
	}
}
