package tlsconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

const (
	// maxRecord is the largest record that can be meant seriously, in bytes.
	maxRecord = 16384 + 2048
	// plain is what one record carries.
	plain = 16 << 10
	// burst is how much is encrypted before it is sent: records that fit into a
	// large buffer.
	burst = 3 * plain
	// linger is how long what was written may take after Close.
	linger = 5 * time.Second
)

// Conn is TLS above a lower connection.
type Conn struct {
	loop       *evloop.Loop
	lower      evloop.Conn
	tls        *tls.Conn
	handshaker *Handshaker
	wire       wire
	events     evloop.Events
	info       stream.ConnInfo
	timer      evloop.Timer
	done       func(evloop.Conn, error)

	// out holds records that the lower connection had no room for, from sent on.
	out  []byte
	sent int

	server  bool
	started bool
	vouched bool
	closed  bool
	// dry: nothing has come since the last time that no record was complete.
	dry bool
	// blocked: a Write was told ErrAgain.
	blocked bool
	// corked: records are collected, since more follow.
	corked bool
	// shut: close_notify was written; the lower end follows when out is empty.
	shut      bool
	lowerShut bool
}

func newConn(h *Handshaker, l *evloop.Loop, lower evloop.Conn, done func(evloop.Conn, error)) *Conn {
	c := &Conn{loop: l, lower: lower, handshaker: h, done: done, events: ignore{}}
	c.wire.conn = c
	c.wire.cond.L = &c.wire.mu
	return c
}

func isAgain(err error) bool { return errors.Is(err, evloop.ErrAgain) }

// ignore is the Events of a connection that nobody has handled yet.
type ignore struct{}

func (ignore) Readable()    {}
func (ignore) Writable()    {}
func (ignore) Hangup(error) {}

// below hears of the lower connection.
type below Conn

// Readable feeds the handshake, or passes the event on.
func (b *below) Readable() {
	c := (*Conn)(b)
	c.dry = false
	switch {
	case c.closed:
	case !c.wire.live:
		c.feed()
	default:
		c.events.Readable()
	}
}

// Writable sends what was kept.
func (b *below) Writable() {
	c := (*Conn)(b)
	err := c.flush()
	switch {
	case c.closed:
		if err == nil || !isAgain(err) {
			c.closeLower()
		}
	case !c.wire.live:
		if err != nil && !isAgain(err) {
			c.abort(err)
		}
	case c.blocked && !isAgain(err):
		c.blocked = false
		c.events.Writable()
	}
}

// Hangup passes the error on.
func (b *below) Hangup(err error) {
	c := (*Conn)(b)
	c.dry = false
	switch {
	case c.closed:
		c.closeLower()
	case !c.wire.live:
		c.abort(err)
	default:
		c.events.Hangup(err)
	}
}

// Handle sets who hears of events.
func (c *Conn) Handle(e evloop.Events) { c.events = e }

// Info describes the connection.
func (c *Conn) Info() *stream.ConnInfo { return &c.info }

// describe fills Info after the handshake.
func (c *Conn) describe() {
	state := c.tls.ConnectionState()
	lower := c.lower.Info()
	c.info.Local, c.info.Remote = lower.Local, lower.Remote
	c.info.Encrypted = true
	if c.server {
		c.info.ServerName = state.ServerName
	}
	c.info.ALPN = state.NegotiatedProtocol
	if len(state.PeerCertificates) > 0 && (len(state.VerifiedChains) > 0 || c.vouched) {
		c.info.PeerID = peerID(state.PeerCertificates[0])
	}
}

// peerID is the SPIFFE ID, or else the first name.
func peerID(leaf *x509.Certificate) string {
	switch {
	case len(leaf.URIs) == 1 && leaf.URIs[0].Scheme == "spiffe":
		return leaf.URIs[0].String()
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	case len(leaf.URIs) > 0:
		return leaf.URIs[0].String()
	default:
		return leaf.Subject.CommonName
	}
}

// Read decrypts as many records as fit into p. The end is io.EOF after
// close_notify only, else ErrTruncated or what broke the connection.
func (c *Conn) Read(p []byte) (int, error) {
	switch {
	case c.closed:
		return 0, evloop.ErrClosed
	case c.dry || !c.wire.live:
		return 0, evloop.ErrAgain
	}
	total := 0
	for total < len(p) && !c.dry {
		n, err := c.tls.Read(p[total:])
		total += n
		if err == nil {
			continue
		}
		if total > 0 || c.dry {
			break // other errors stick, and come again
		}
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		return 0, err
	}
	if total == 0 && len(p) > 0 {
		return 0, evloop.ErrAgain
	}
	return total, nil
}

// Write encrypts and sends. A short a goes into one record with the begin of b.
// What was taken and found no room below is kept, at most one burst, and then
// nothing more is taken until it is gone.
func (c *Conn) Write(a, b []byte) (int, error) {
	switch {
	case c.closed:
		return 0, evloop.ErrClosed
	case !c.wire.live:
		return c.again(0)
	}
	total, taken := len(a)+len(b), 0
	for taken < total {
		if err := c.flush(); err != nil {
			if isAgain(err) {
				return c.again(taken)
			}
			return taken, err
		}
		n, err := c.encrypt(a, b)
		taken += n
		if err != nil {
			return taken, err
		}
		fromA := min(n, len(a))
		a, b = a[fromA:], b[n-fromA:]
	}
	return taken, nil
}

func (c *Conn) again(taken int) (int, error) {
	c.blocked = true
	return taken, evloop.ErrAgain
}

// encrypt writes the next record, or burst of them.
func (c *Conn) encrypt(a, b []byte) (int, error) {
	switch {
	case len(b) == 0:
		return c.encryptBurst(a[:min(len(a), burst)])
	case len(a) == 0:
		return c.encryptBurst(b[:min(len(b), burst)])
	case len(a) >= plain:
		return c.encryptBurst(a[:min(len(a)/plain*plain, burst)])
	}
	joined := c.loop.Buffer(min(len(a)+len(b), plain))
	n := copy(joined[:min(len(joined), plain)], a)
	n += copy(joined[n:min(len(joined), plain)], b)
	n, err := c.tls.Write(joined[:n])
	c.loop.Release(joined)
	return n, err
}

func (c *Conn) encryptBurst(p []byte) (int, error) {
	if len(p) <= plain {
		return c.tls.Write(p)
	}
	c.corked = true
	n, err := c.tls.Write(p)
	c.corked = false
	if ferr := c.flush(); err == nil && !isAgain(ferr) {
		err = ferr
	}
	return n, err
}

// send takes records from crypto/tls, all of them or none.
func (c *Conn) send(p []byte) (int, error) {
	size := len(p)
	if len(c.out)-c.sent+size > maxOut {
		return 0, errFull
	}
	if !c.corked && len(c.out) == 0 {
		n, err := c.lower.Write(p, nil)
		if err != nil && !isAgain(err) {
			return 0, err
		}
		if p = p[n:]; len(p) == 0 {
			return size, nil
		}
	}
	if c.out == nil {
		c.out = c.loop.Buffer(evloop.LargeBuffer)[:0]
	}
	c.out = append(c.out, p...)
	return size, nil
}

// flush sends what was kept; ErrAgain says that some is left.
func (c *Conn) flush() error {
	if len(c.out) > 0 {
		n, err := c.lower.Write(c.out[c.sent:], nil)
		if c.sent += n; c.sent < len(c.out) {
			return err
		}
		c.loop.Release(c.out)
		c.out, c.sent = nil, 0
	}
	if c.shut && !c.lowerShut {
		c.lowerShut = true
		return c.lower.CloseWrite()
	}
	return nil
}

// CloseWrite sends close_notify after what was written, and ends our direction
// below.
func (c *Conn) CloseWrite() error {
	if c.closed {
		return evloop.ErrClosed
	}
	var alert error
	if !c.shut {
		c.shut = true
		alert = c.tls.CloseWrite()
	}
	if err := c.flush(); err != nil && !isAgain(err) {
		return err
	}
	return alert
}

// Close sends close_notify and closes the lower connection when all that was
// written is sent, or after 5 seconds.
func (c *Conn) Close() {
	if c.closed {
		return
	}
	if !c.wire.live {
		c.closed = true
		c.handshaker.drop(c)
		c.wire.fail(evloop.ErrClosed)
		c.closeLower()
		return
	}
	_ = c.CloseWrite()
	c.closed = true
	c.timer.Stop()
	if err := c.flush(); !isAgain(err) {
		c.closeLower()
		return
	}
	c.timer.Func = c.closeLower
	c.loop.After(int64(linger), &c.timer)
}

// Quiet asks the connection below: what comes there is a record, or the end.
func (c *Conn) Quiet() bool { return evloop.Quiet(c.lower) }

// Reset ends the connection without close_notify and with a reset.
func (c *Conn) Reset() {
	if c.closed {
		return
	}
	c.closed = true
	c.handshaker.drop(c)
	c.wire.fail(evloop.ErrClosed)
	c.release()
	evloop.Reset(c.lower)
}

func (c *Conn) closeLower() {
	c.release()
	c.lower.Close()
}

func (c *Conn) release() {
	c.timer.Stop()
	c.loop.Release(c.out)
	c.out, c.sent = nil, 0
}
