package box

import (
	"context"
	"net"
	"os"
)

// Life says what ends a server process.
type Life int

// The lives: a detached server goes on after the command that started it.
const (
	Detached Life = iota
	Attached
)

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
