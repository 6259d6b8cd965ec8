package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// HTTP1 asks over HTTP/1.1.
type HTTP1 struct {
	// Requests are whole requests as bytes, asked in turn.
	Requests [][]byte
	// BodyBytes is the length that every answer must have.
	BodyBytes int64
	// TLS is nil for plain connections.
	TLS *tls.Config
	// Close opens a connection for each request and waits until the server has
	// closed it; the requests must ask for that.
	Close bool
}

// Get is a request as clients of services send it.
func Get(host, path string, more ...string) []byte {
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: " + host, "User-Agent: bench", "Accept: */*"}, more...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// Run asks as planned. The error names the first answer that was not right.
func (h HTTP1) Run(ctx context.Context, addr string, p Plan) (Result, error) {
	if p.Connections < 1 || p.Requests < 1 || len(h.Requests) == 0 {
		return Result{}, errors.New("a run needs connections and requests")
	}
	if h.TLS == nil {
		return h.plain(ctx, addr, p)
	}
	return h.each(ctx, addr, p)
}

// each runs a goroutine per connection.
func (h HTTP1) each(ctx context.Context, addr string, p Plan) (Result, error) {
	if p.Rate > 0 || p.Until != nil || h.Close {
		return Result{}, errors.New("rates, runs until an event and connections for one request are for plain HTTP on Linux only")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clients := make([]*client, p.Connections)
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	var asked atomic.Int64
	all := func(do func(i int) error) error {
		var wait sync.WaitGroup
		for i := range clients {
			wait.Go(func() {
				if err := do(i); err != nil {
					cancel(err)
				}
			})
		}
		wait.Wait()
		return context.Cause(ctx)
	}
	err := all(func(i int) (err error) {
		clients[i], err = h.dial(ctx, addr)
		if err == nil {
			err = clients[i].ask(h.Requests[0], h.BodyBytes)
		}
		return err
	})
	if err != nil {
		return Result{}, err
	}
	if err := p.begin(); err != nil {
		return Result{}, err
	}
	began := time.Now()
	err = all(func(i int) error { return clients[i].loop(ctx, h, int64(p.Requests), &asked) })
	elapsed := time.Since(began)
	if err != nil {
		return Result{}, err
	}
	var latency []time.Duration
	for _, c := range clients {
		latency = append(latency, c.latency...)
	}
	return newResult(elapsed, latency), nil
}

// client is one connection.
type client struct {
	conn    net.Conn
	buf     []byte
	in      response
	latency []time.Duration
}

func (h HTTP1) dial(ctx context.Context, addr string) (*client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if h.TLS != nil {
		conn = tls.Client(conn, h.TLS)
	}
	return &client{conn: conn, buf: make([]byte, 64<<10)}, nil
}

func (c *client) close() {
	if c != nil {
		_ = c.conn.Close()
	}
}

func (c *client) loop(ctx context.Context, h HTTP1, limit int64, asked *atomic.Int64) error {
	for ctx.Err() == nil {
		n := asked.Add(1)
		if n > limit {
			break
		}
		began := time.Now()
		if err := c.ask(h.Requests[int(n)%len(h.Requests)], h.BodyBytes); err != nil {
			return err
		}
		c.latency = append(c.latency, time.Since(began))
	}
	return nil
}

func (c *client) ask(request []byte, want int64) error {
	if err := c.conn.SetDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	if _, err := c.conn.Write(request); err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	for {
		n, err := c.conn.Read(c.buf)
		if n > 0 {
			done, wrong := c.in.feed(c.buf[:n], want)
			if done || wrong != nil {
				return wrong
			}
		}
		if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
	}
}
