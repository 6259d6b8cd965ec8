package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/exchange"
	"github.com/tatami-platform/tatami/internal/proxy/front"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
)

// socket is a listening address.
type socket struct {
	name string
	ln   net.Listener
	stop func()
	open atomic.Int64 // connections
	max  atomic.Int64
	// serve by loop; each loop reads its own.
	serve []atomic.Pointer[front.Serve]
	count []*metrics.Listener
	// inherited says that another process may listen here as well, so that the
	// socket, once closed, cannot be opened again.
	inherited bool
}

// bind opens a listening socket, or takes the one that was handed over.
func (s *Server) bind(name string, a *front.Address) (*socket, error) {
	ln, inherited := s.options.Inherited[name]
	if !inherited {
		var err error
		if ln, err = listen(name); err != nil {
			return nil, fmt.Errorf("listener %s: %w", a.Routes.Listeners[0].Config.Name, err)
		}
	}
	sock := &socket{name: name, ln: ln, inherited: inherited, serve: make([]atomic.Pointer[front.Serve], len(s.workers))}
	label := a.Routes.Listeners[0].Config.Name
	for i, w := range s.workers {
		count := w.Listener(label)
		sock.count = append(sock.count, count)
		sock.serve[i].Store(sock.server(s, w, count))
	}
	sock.use(a)
	return sock, nil
}

// listen opens a TCP or Unix socket. Without SO_REUSEPORT: a successor is handed
// the socket itself, and a second proxy started by mistake would take half of the
// connections unnoticed.
func listen(name string) (net.Listener, error) {
	var lc net.ListenConfig
	path, unix := strings.CutPrefix(name, "unix:")
	if !unix {
		ln, err := lc.Listen(context.Background(), "tcp", name)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("%w; stop what listens there, or choose another address", err)
		}
		return ln, err
	}
	if err := removeDead(path); err != nil {
		return nil, err
	}
	ln, err := lc.Listen(context.Background(), "unix", path)
	if u, ok := ln.(*net.UnixListener); ok {
		// A successor listens at the same path.
		u.SetUnlinkOnClose(false)
	}
	return ln, err
}

// removeDead removes the socket of a process that died, and nothing else.
func removeDead(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s: there is a file that is no socket; remove it, or choose another path", path)
	}
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "unix", path)
	switch {
	case err == nil:
		_ = c.Close()
		return fmt.Errorf("%s: %w; stop what listens there, or choose another path", path, syscall.EADDRINUSE)
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	default:
		return err // who may not connect cannot know that it is dead
	}
}

// server is what the connections of one loop are served with.
func (sock *socket) server(s *Server, w *exchange.Worker, count *metrics.Listener) *front.Serve {
	return &front.Serve{
		Worker: w,
		Name:   sock.name,
		Closed: func() {
			sock.open.Add(-1)
			s.conns.Add(-1)
			count.Close()
		},
		Handshake:  func(err error) { count.Handshake(err == nil) },
		Handshaker: s.hand,
	}
}

// use changes to another configuration of the address.
func (sock *socket) use(a *front.Address) {
	limit := 0
	for _, l := range a.Routes.Listeners {
		limit = max(limit, l.Config.MaxConnections)
	}
	sock.max.Store(int64(limit))
	for i := range sock.serve {
		next := *sock.serve[i].Load()
		next.Address = a
		sock.serve[i].Store(&next)
	}
}

// accept begins to serve.
func (sock *socket) accept(s *Server) error {
	stop, err := s.group.Listen(sock.ln, func(l *evloop.Loop, c evloop.Conn) {
		limit := sock.max.Load()
		if n := sock.open.Add(1); limit > 0 && n > limit {
			sock.open.Add(-1)
			sock.count[l.ID].Refuse()
			c.Close()
			return
		}
		s.conns.Add(1)
		sock.count[l.ID].Open()
		front.Accept(l, c, sock.serve[l.ID].Load())
	})
	sock.stop = stop
	return err
}

func (sock *socket) close() {
	if sock.stop != nil {
		sock.stop()
		sock.stop = nil
	}
	_ = sock.ln.Close()
}
