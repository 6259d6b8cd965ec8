package http2

import (
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// drainPing is the PING whose answer says that the client has read our GOAWAY.
const drainPing = "tatamidr"

type drainState uint8

const (
	drainNot drainState = iota
	// drainAnnounced: the client knows; what it sent before is still taken.
	drainAnnounced
	// drainFinal: no more streams are taken.
	drainFinal
)

// ServerConn is a connection from a client. It is used on its loop only.
type ServerConn struct {
	conn
	server   stream.Server
	requests int
	drain    drainState
	drainAt  int64 // when the second GOAWAY goes out at the latest
	// idleSince is when the last stream ended.
	idleSince int64
}

var (
	_ evloop.Events     = (*ServerConn)(nil)
	_ stream.ServerConn = (*ServerConn)(nil)
	_ stream.Stream     = (*h2stream)(nil)
)

// NewServerConn takes over a connection that is established. initial is what was
// read from it already, at most 64 KiB; it is copied. The streams are server's.
// It may have closed the connection when it returns.
func NewServerConn(loop *evloop.Loop, nc evloop.Conn, opts ServerOptions, server stream.Server, initial []byte) *ServerConn {
	c := &ServerConn{server: server, idleSince: loop.Now()}
	c.init(loop, nc, c, opts.limits())
	c.prefaceLeft = preface
	c.greet(
		setting{settingMaxStreams, uint32(c.limits.maxStreams)},
		setting{settingInitialWindow, uint32(c.limits.streamWindow)},
		setting{settingMaxHeaderListSize, uint32(c.limits.maxHeader)},
		setting{settingConnectProtocol, 1},
	)
	if len(initial) > 0 {
		c.in = loop.Buffer(len(initial) + 1)
		c.inEnd = copy(c.in, initial)
		c.reading = true
		c.consume()
		c.reading = false
	}
	c.read()
	if c.limits.idle > 0 {
		c.wake(loop.Now() + c.limits.idle)
	}
	return c
}

// headers takes the head of a request, or its trailers.
func (c *ServerConn) headers(id uint32, p []byte, end bool) error {
	if s := c.find(id); s != nil {
		return c.trailers(s, p, end)
	}
	switch {
	case id&1 == 0:
		return &connError{codeProtocol, "even stream identifier from a client"}
	case id <= c.lastID:
		return c.onClosed(id, p)
	}
	c.lastID = id
	if c.active >= c.limits.maxStreams || c.drain == drainFinal {
		if err := c.skip(p); err != nil {
			return err
		}
		c.refuse(id)
		return c.cheap(1)
	}
	return c.request(id, p, end)
}

// request begins a stream.
func (c *ServerConn) request(id uint32, p []byte, end bool) error {
	s := c.newStream(id)
	if err := c.decode(p, &s.head, requestBlock); err != nil {
		return err
	}
	if c.block.tooLarge {
		return c.tooLarge(s, end)
	}
	if why := c.block.finishRequest(end); why != "" {
		c.server.Refused(&s.head, c.nc.Info(), 0, why)
		if s.dead {
			return nil
		}
		return c.streamError(id, s, codeProtocol)
	}
	c.floods.earn(8)
	c.idleSince = c.loop.Now()
	s.extended = s.head.Protocol != ""
	if s.head.Method == "CONNECT" || s.extended {
		s.head.ContentLength = message.LengthUnknown // what follows is no content
	}
	s.expectBody(&s.head, end)
	if s.head.ContentLength == 0 && !end {
		// A backend that is told of a length of 0 answers before it is known whether
		// that is true.
		s.head.ContentLength = message.LengthUnknown
	}
	h := c.server.NewStream(s)
	if s.dead {
		return nil
	}
	s.handler = h
	s.gotEnd = end
	h.OnHead(&s.head, end)
	s.settle()
	if c.requests++; c.requests == c.limits.maxRequests {
		c.Drain()
	}
	return nil
}

// tooLarge answers a head over the limit with 431.
func (c *ServerConn) tooLarge(s *h2stream, end bool) error {
	c.limits.stats.TooLarge.Add(1)
	c.server.Refused(&s.head, c.nc.Info(), 431, "header list over the limit")
	if s.dead {
		return nil
	}
	s.recvEnd, s.gotEnd, s.abandoned, s.sentEnd = end, true, true, true
	c.writeResponse(s, &message.Head{Status: 431, ContentLength: 0}, true)
	s.settle()
	return c.early(s)
}

func (c *ServerConn) goAway(uint32) {
	// The client will open no more: it gets what is open, and then the end.
	if c.drain != drainFinal {
		c.finalGoAway()
	}
}

// Drain tells the client to open no more streams, takes those that were on their
// way, lets all end, and closes.
func (c *ServerConn) Drain() {
	if c.drain != drainNot || c.state != connOpen {
		return
	}
	c.drain = drainAnnounced
	c.drainAt = c.loop.Now() + second
	c.reserve(64)
	c.out = appendGoAway(c.out, maxStreamID, codeNone, "")
	c.out = appendPing(c.out, 0, []byte(drainPing))
	c.wake(c.drainAt)
	c.schedule()
}

func (c *ServerConn) finalGoAway() {
	c.drain = drainFinal
	c.reserve(64)
	c.out = appendGoAway(c.out, c.lastID, codeNone, "")
	c.schedule()
}

func (c *ServerConn) turn() {
	c.ended = 0
	if c.drain == drainAnnounced && c.drainPong {
		c.finalGoAway()
	}
	if c.active > 0 {
		c.idleSince = never
		return
	}
	if c.idleSince == never {
		c.idleSince = c.loop.Now()
	}
	if c.drain == drainFinal {
		c.linger(stream.ReasonNone)
	}
}

func (c *ServerConn) tick(now int64) int64 {
	next := never
	if c.state != connOpen {
		return never
	}
	if c.drain == drainAnnounced {
		if now < c.drainAt {
			next = c.drainAt
		} else {
			c.finalGoAway()
		}
	}
	if c.limits.idle == 0 || c.drain != drainNot {
		return next
	}
	due := now + c.limits.idle
	if c.active == 0 && c.idleSince != never {
		due = c.idleSince + c.limits.idle
	}
	if now >= due {
		c.Drain()
		return min(next, c.drainAt)
	}
	return min(next, due)
}

func (c *ServerConn) losing() {}

func (c *ServerConn) closed() { c.server.ConnClosed() }
