package exchange

import (
	"net/netip"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
)

// Conn is a client's connection: what its requests have in common.
type Conn struct {
	w      *Worker
	member Member
	info   *stream.ConnInfo
	server stream.ServerConn
	closed func()

	ip   string
	ipOf netip.Addr
	// seen is the worker's configuration when it was last looked at; snap the one
	// in force here: the newest that has the address.
	seen    *Snapshot
	snap    *Snapshot
	listens *route.Address
	request route.Request
}

// Accept makes the requests of an established connection to address known to the
// worker. snap is a configuration that has the address: what is in force now may
// not have it any more. closed is called when the connection is gone. Speak must
// follow.
func (w *Worker) Accept(address string, snap *Snapshot, info *stream.ConnInfo, closed func()) *Conn {
	c := &Conn{w: w, info: info, closed: closed, snap: snap, listens: snap.Table.Address(address)}
	c.member.Address, c.member.Owner = address, c
	w.Join(&c.member)
	return c
}

// Drain announces the end to the client.
func (c *Conn) Drain() {
	if c.server != nil {
		c.server.Drain()
	}
}

// Close ends the connection at once.
func (c *Conn) Close() {
	if c.server != nil {
		c.server.Close()
	}
}

// NewStream begins an exchange.
func (c *Conn) NewStream(s stream.Stream) stream.Handler {
	x := c.w.get()
	x.begin(c, s)
	return x
}

// Refused reports what a codec answered itself.
func (c *Conn) Refused(h *message.Head, info *stream.ConnInfo, status int, _ string) {
	now := evloop.Clock()
	r := record.Record{
		Start: evloop.Wall(now).UnixNano(), Began: now, Status: status, Flags: record.ClientProtocolError,
		Client: info.Remote, Peer: info.PeerID,
		Method: h.Method, Authority: h.Authority, Path: h.Path, Version: h.Version,
	}
	if h.Version == message.HTTP2 {
		r.Protocol = metrics.ProtocolHTTP2
	}
	c.w.shard.Done(now, &r)
}

// ConnClosed forgets the connection.
func (c *Conn) ConnClosed() {
	c.member.Leave()
	if c.closed != nil {
		c.closed()
		c.closed = nil
	}
}

// follow changes to the configuration of now. Where the address was removed the
// connection ends with the one that it began with: nothing else could answer.
func (c *Conn) follow() {
	if c.seen == c.w.snap {
		return
	}
	c.seen = c.w.snap
	if listens := c.seen.Table.Address(c.member.Address); listens != nil {
		c.snap, c.listens = c.seen, listens
	}
}

// match finds the rule of a request.
func (c *Conn) match(h *message.Head) route.Result {
	c.follow()
	c.request.Head = h
	c.request.SNI, c.request.TLS = c.info.ServerName, c.info.Encrypted
	return c.listens.Match(&c.request)
}

// clientIP is the client's address as text, made once per connection.
func (c *Conn) clientIP() string {
	if addr := c.info.Remote.Addr(); addr != c.ipOf {
		c.ipOf = addr
		c.ip = addr.String()
	}
	return c.ip
}

func idleOf(l *connect.Listener) int64 {
	if l.HTTP.IdleTimeout > 0 {
		return int64(l.HTTP.IdleTimeout)
	}
	return defaultIdle
}

const (
	defaultIdle = int64(300e9)
	tunnelIdle  = int64(3600e9)
)

// Listener is where connections to a listener are counted.
func (w *Worker) Listener(name string) *metrics.Listener { return w.shard.Listener(name) }
