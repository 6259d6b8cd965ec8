package evloop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// portable is the poller for any system: two goroutines per connection read and
// write, and post what happened to the loop. It costs a hand-over per read and
// write, which is why Linux has a poller of its own.
type portable struct {
	loop   *Loop
	wakeup chan struct{}
}

func newPortable(l *Loop) poller {
	return &portable{loop: l, wakeup: make(chan struct{}, 1)}
}

func (p *portable) close() {}

func (p *portable) wake() {
	select {
	case p.wakeup <- struct{}{}:
	default:
	}
}

func (p *portable) wait(wait int64) error {
	switch {
	case wait == 0:
		select {
		case <-p.wakeup:
		default:
		}
	case wait < 0:
		<-p.wakeup
	default:
		timer := time.NewTimer(time.Duration(wait))
		select {
		case <-p.wakeup:
		case <-timer.C:
		}
		timer.Stop()
	}
	p.loop.now = Clock()
	p.loop.drained = p.loop.now
	return nil
}

func (p *portable) adopt(c net.Conn) (Conn, error) {
	conn := newNetConn(p.loop)
	conn.established(c)
	return conn, nil
}

func (p *portable) dial(network, path string, addr netip.AddrPort) (Conn, error) {
	conn := newNetConn(p.loop)
	conn.info.Remote = addr
	address := path
	if network != "unix" {
		address = addr.String()
	}
	ctx, cancel := context.WithCancel(context.Background())
	conn.cancel = cancel
	go func() {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if !p.loop.TryPost(func() { conn.dialled(c, err) }) && c != nil {
			_ = c.Close()
		}
	}()
	return conn, nil
}

func (p *portable) listen(ln net.Listener, place func() *Loop, accept func(*Loop, Conn)) (func(), error) {
	// A listener that can be given up without closing it: a deadline ends Accept.
	sc, ok := ln.(interface{ SetDeadline(t time.Time) error })
	if !ok {
		return nil, fmt.Errorf("listen on %T: it knows no deadline", ln)
	}
	if err := sc.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if place == nil {
		place = func() *Loop { return p.loop }
	}
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		acceptAll(ln, stopped, func(c net.Conn) { hand(c, place(), accept) })
	}()
	return sync.OnceFunc(func() {
		close(stopped)
		// The acceptor never waits for the loop, so the loop can wait for it.
		wakeAcceptor(sc.SetDeadline, ended)
	}), nil
}

func acceptAll(ln net.Listener, stopped <-chan struct{}, accept func(net.Conn)) {
	for {
		c, err := ln.Accept()
		if err == nil {
			accept(c)
		}
		select {
		case <-stopped:
			return
		default:
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(5 * time.Millisecond) // out of descriptors, say
		}
	}
}

// hand gives an accepted connection to a loop.
func hand(c net.Conn, to *Loop, accept func(*Loop, Conn)) {
	to.conns.Add(1)
	moved := to.TryPost(func() {
		to.conns.Add(-1)
		conn := newNetConn(to)
		conn.established(c)
		accept(to, conn)
	})
	if !moved {
		to.conns.Add(-1)
		_ = c.Close()
	}
}

// wakeAcceptor ends a waiting Accept. The listener's deadline is shared with
// other loops: they try again, and one of them may set it back to none before
// our acceptor has seen it.
func wakeAcceptor(deadline func(time.Time) error, ended <-chan struct{}) {
	for {
		_ = deadline(time.Now())
		select {
		case <-ended:
			_ = deadline(time.Time{})
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// netConn is a connection of the portable poller. The loop owns all but what mu
// guards, which it shares with the reader and the writer.
type netConn struct {
	loop   *Loop
	conn   net.Conn
	cancel context.CancelFunc
	events Events
	info   stream.ConnInfo
	closed bool
	// blocked says that a Write was told ErrAgain.
	blocked bool
	// onRead and onWritten are made once, since they are posted again and again.
	onRead    func()
	onWritten func()

	mu     sync.Mutex
	cond   sync.Cond
	in     []byte
	inErr  error
	told   bool // the loop was told of what lies in in
	out    []byte
	outErr error
	shut   bool // CloseWrite once out is empty
	gone   bool
}

// window is how many bytes lie in each direction between loop and goroutines.
const window = 64 << 10

func newNetConn(l *Loop) *netConn {
	c := &netConn{loop: l, events: silent{}}
	c.cond.L = &c.mu
	c.onRead, c.onWritten = c.tellReadable, c.tellWritable
	return c
}

func (c *netConn) established(nc net.Conn) {
	c.conn = nc
	c.info = infoOf(nc.LocalAddr(), nc.RemoteAddr())
	c.loop.conns.Add(1)
	go c.readAll()
	go c.writeAll()
}

func (c *netConn) dialled(nc net.Conn, err error) {
	if c.closed {
		if nc != nil {
			_ = nc.Close()
		}
		return
	}
	if err != nil {
		c.events.Hangup(err)
		return
	}
	c.established(nc)
	c.events.Writable()
}

func (c *netConn) readAll() {
	buf := make([]byte, SmallBuffer)
	for {
		n, err := c.conn.Read(buf)
		c.mu.Lock()
		c.in = append(c.in, buf[:n]...)
		if err != nil {
			c.inErr = err
		}
		tell := !c.told
		c.told = true
		if tell {
			c.loop.Post(c.onRead)
		}
		for len(c.in) >= window && !c.gone {
			c.cond.Wait()
		}
		end := err != nil || c.gone
		c.mu.Unlock()
		if end {
			return
		}
	}
}

func (c *netConn) tellReadable() {
	c.mu.Lock()
	c.told = false
	broken := c.inErr != nil && !errors.Is(c.inErr, io.EOF)
	err := c.inErr
	c.mu.Unlock()
	switch {
	case c.closed:
	case broken:
		c.events.Hangup(err)
	default:
		c.events.Readable()
	}
}

func (c *netConn) writeAll() {
	var buf []byte
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for len(c.out) == 0 && !c.shut && !c.gone {
			c.cond.Wait()
		}
		if c.gone && len(c.out) == 0 {
			_ = c.conn.Close()
			return
		}
		if len(c.out) == 0 {
			c.halfClose()
			continue
		}
		buf, c.out = c.out, buf[:0]
		c.mu.Unlock()
		_, err := c.conn.Write(buf)
		c.mu.Lock()
		if err != nil {
			c.outErr = err
			c.out = nil
		}
		c.loop.Post(c.onWritten)
		if err != nil {
			for !c.gone {
				c.cond.Wait()
			}
		}
	}
}

// halfClose is called with mu held.
func (c *netConn) halfClose() {
	c.shut = false
	if w, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
}

func (c *netConn) tellWritable() {
	if c.closed || !c.blocked {
		return
	}
	c.blocked = false
	c.events.Writable()
}

// Handle sets who hears of events.
func (c *netConn) Handle(e Events) { c.events = e }

// Info describes the connection.
func (c *netConn) Info() *stream.ConnInfo { return &c.info }

// Read takes what the reader has read.
func (c *netConn) Read(p []byte) (int, error) {
	if c.closed {
		return 0, ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in) == 0 {
		if c.inErr != nil {
			return 0, c.inErr
		}
		return 0, ErrAgain
	}
	n := copy(p, c.in)
	c.in = append(c.in[:0], c.in[n:]...)
	c.cond.Broadcast()
	return n, nil
}

// Write leaves the bytes to the writer.
func (c *netConn) Write(a, b []byte) (int, error) {
	if c.closed {
		return 0, ErrClosed
	}
	if c.conn == nil {
		return 0, ErrAgain
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outErr != nil {
		return 0, c.outErr
	}
	taken := 0
	for _, p := range [...][]byte{a, b} {
		n := min(len(p), window-len(c.out))
		c.out = append(c.out, p[:n]...)
		taken += n
	}
	c.cond.Broadcast()
	if taken < len(a)+len(b) {
		c.blocked = true
		return taken, ErrAgain
	}
	return taken, nil
}

// CloseWrite sends the end of our direction after what was written.
func (c *netConn) CloseWrite() error {
	if c.closed {
		return ErrClosed
	}
	c.mu.Lock()
	c.shut = true
	c.cond.Broadcast()
	c.mu.Unlock()
	return nil
}

// Reset ends the connection so that the peer gets a reset.
func (c *netConn) Reset() {
	if c.closed {
		return
	}
	if t, ok := c.conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	if c.conn != nil {
		c.mu.Lock()
		c.out = nil
		c.mu.Unlock()
		_ = c.conn.Close()
	}
	c.Close()
}

// Close ends the connection after what was written is sent, as the kernel does.
func (c *netConn) Close() {
	if c.closed {
		return
	}
	c.closed = true
	if c.cancel != nil {
		c.cancel()
	}
	if c.conn == nil {
		return
	}
	c.loop.conns.Add(-1)
	// A peer that does not read must not keep the writer for ever.
	_ = c.conn.SetDeadline(time.Now().Add(5 * time.Second))
	c.mu.Lock()
	c.gone = true
	c.cond.Broadcast()
	pending := len(c.out) > 0
	c.mu.Unlock()
	if !pending {
		_ = c.conn.SetReadDeadline(time.Now())
	}
}
