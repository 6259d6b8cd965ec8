package server

import (
	"errors"
	"net"
	"sync"
)

// joined accepts from several listeners; the API server takes only one. Its
// address is that of the first.
type joined struct {
	listeners []net.Listener
	conns     chan net.Conn
	closed    chan struct{}
	once      sync.Once
}

func join(listeners ...net.Listener) net.Listener {
	j := &joined{listeners: listeners, conns: make(chan net.Conn), closed: make(chan struct{})}
	for _, l := range listeners {
		go j.accept(l)
	}
	return j
}

func (j *joined) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() {
				continue
			}
			return
		}
		select {
		case j.conns <- c:
		case <-j.closed:
			_ = c.Close()
			return
		}
	}
}

func (j *joined) Accept() (net.Conn, error) {
	select {
	case c := <-j.conns:
		return c, nil
	case <-j.closed:
		return nil, net.ErrClosed
	}
}

func (j *joined) Close() error {
	var errs []error
	j.once.Do(func() {
		close(j.closed)
		for _, l := range j.listeners {
			errs = append(errs, l.Close())
		}
	})
	return errors.Join(errs...)
}

func (j *joined) Addr() net.Addr { return j.listeners[0].Addr() }
