package upstream

import (
	"crypto/tls"
	"fmt"
	"net/netip"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
)

// Protocol is what is spoken on a connection.
type Protocol uint8

// Auto is what ALPN gives, HTTP/1.1 without TLS.
const (
	Auto Protocol = iota
	HTTP1
	HTTP2
)

// Target says how connections to an endpoint are made.
type Target struct {
	Addr     netip.AddrPort
	Unix     string
	Protocol Protocol
	// TLS is nil for plain text; Handshaker does its handshakes.
	TLS        *tls.Config
	Handshaker *tlsconn.Handshaker
	// Preamble is sent first: a PROXY protocol header.
	Preamble []byte
	// ConnectTimeout in nanoseconds, the TLS handshake included.
	ConnectTimeout int64
	// MaxRequests ends a connection after so many; 0: no limit.
	MaxRequests int
	// Codec speaks HTTP on an established connection.
	Codec func(loop *evloop.Loop, conn evloop.Conn, http2 bool, owner stream.ClientOwner) stream.Client
}

// dialer is a connection that is being made.
type dialer struct {
	pool  *Pool
	conn  evloop.Conn
	timer evloop.Timer
	done  bool
}

func (p *Pool) dial() error {
	conn, err := p.loop.Dial(p.target.Addr, p.target.Unix)
	if err != nil {
		return err
	}
	d := &dialer{pool: p, conn: conn}
	d.timer.Func = d.timeout
	p.loop.After(p.target.ConnectTimeout, &d.timer)
	conn.Handle(d)
	return nil
}

func (d *dialer) timeout() { d.fail(ErrTimeout) }

func (d *dialer) fail(err error) {
	if d.done {
		return
	}
	d.done = true
	d.timer.Stop()
	d.conn.Close()
	d.pool.failed(err)
}

// Writable: the connection stands.
func (d *dialer) Writable() {
	t := d.pool.target
	if len(t.Preamble) > 0 {
		if n, err := d.conn.Write(t.Preamble, nil); n < len(t.Preamble) {
			d.fail(fmt.Errorf("%w: PROXY protocol header: %w", ErrConnect, err))
			return
		}
	}
	if t.TLS == nil {
		d.finish(d.conn)
		return
	}
	// Closing it gives the handshake up: what becomes of it is not told then.
	d.conn = t.Handshaker.Client(d.pool.loop, d.conn, t.TLS, func(c evloop.Conn, err error) {
		if err != nil {
			d.fail(fmt.Errorf("%w: TLS: %w", ErrConnect, err))
			return
		}
		d.finish(c)
	})
}

func (d *dialer) finish(conn evloop.Conn) {
	d.done = true
	d.timer.Stop()
	t := d.pool.target
	http2 := t.Protocol == HTTP2 || t.Protocol == Auto && conn.Info().ALPN == "h2"
	d.pool.established(t.Codec(d.pool.loop, conn, http2, d.pool), http2)
}

// Readable is not expected before the codec has the connection.
func (d *dialer) Readable() {}

// Hangup: the connection was refused or broke.
func (d *dialer) Hangup(err error) { d.fail(fmt.Errorf("%w: %w", ErrConnect, err)) }
