package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// pair gives both ends of a TCP connection.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = s.Close() })
	for _, conn := range []net.Conn{c, s} {
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	}
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func TestHalfCloseIsPassedOn(t *testing.T) {
	client, near := pair(t)
	far, server := pair(t)
	ended := make(chan struct{})
	go func() {
		Both(t.Context(), near, far)
		close(ended)
	}()
	if _, err := io.WriteString(client, "the whole request"); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	// The server sees the end of the request, and can still answer.
	request, err := io.ReadAll(server)
	if err != nil || string(request) != "the whole request" {
		t.Fatalf("request %q, %v", request, err)
	}
	if _, err := io.WriteString(server, "the answer"); err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	answer, err := io.ReadAll(client)
	if err != nil || string(answer) != "the answer" {
		t.Fatalf("answer %q, %v", answer, err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the relay did not end")
	}
}

func TestContextEndsTheRelay(t *testing.T) {
	client, near := pair(t)
	far, _ := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		Both(ctx, near, far)
		close(ended)
	}()
	cancel()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the relay did not end")
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}

// flaky is a listener that fails once, as one does when no descriptor is free.
type flaky struct {
	net.Listener
	failed bool
}

func (f *flaky) Accept() (net.Conn, error) {
	if !f.failed {
		f.failed = true
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestAcceptGoesOnAfterAnError(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handled, ended := make(chan struct{}), make(chan struct{})
	go func() {
		Accept(&flaky{Listener: l}, func(c net.Conn) {
			_ = c.Close()
			close(handled)
		})
		close(ended)
	}()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for _, step := range []struct {
		name string
		done chan struct{}
	}{{"the connection was not handled", handled}, {"the listener's end did not end it", ended}} {
		select {
		case <-step.done:
		case <-time.After(5 * time.Second):
			t.Fatal(step.name)
		}
		_ = l.Close()
	}
}
