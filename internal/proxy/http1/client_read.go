package http1

import (
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// step does one thing, and reports whether there may be more to do.
func (c *ClientConn) step() bool {
	switch c.answer {
	case answerHead:
		return c.stepHead()
	case answerBody, answerTunnel:
		return c.stepBody()
	default:
		return c.stepIdle()
	}
}

// stepIdle: nothing is awaited, so whatever comes, the end or bytes that would be
// taken for the answer to the next request, makes the connection useless.
func (c *ClientConn) stepIdle() bool {
	if !c.ready || c.over() {
		return false
	}
	n, err := c.conn.Read(c.probe[:])
	c.noteRead(err)
	if n <= 0 && !c.over() {
		return false
	}
	c.keep = false
	if c.open {
		return false // the response is complete; the request may be going on
	}
	c.shut()
	return false
}

// alive says that nothing has come on an idle connection. The system is asked only
// where it matters: a request that can be repeated is, when the connection turns
// out to be dead.
func (c *ClientConn) alive(method string) bool {
	if c.over() {
		return false
	}
	if c.ready {
		n, err := c.conn.Read(c.probe[:])
		c.noteRead(err)
		return n <= 0 && !c.over()
	}
	return c.exchanges == 1 || resilience.Idempotent(method) || evloop.Quiet(c.conn)
}

// stepHead looks for the head of the response.
func (c *ClientConn) stepHead() bool {
	if have := c.in.len(); have > c.tried {
		c.heard = true
		n, fault := c.parser.Response(c.in.bytes(), &c.head, &c.framing, c.asked)
		switch {
		case fault != wire.None:
			c.abort(stream.ReasonProtocol)
			return true
		case n > 0:
			c.begin(n)
			return true
		}
		c.tried = have
	}
	if c.fill() {
		return true
	}
	switch {
	case c.over():
		c.abort(c.reason())
		return true
	case c.ready && !c.yielded && len(c.in.space()) == 0:
		if !c.in.widen() {
			c.abort(stream.ReasonTooLarge)
		}
		return true
	}
	return false
}

// begin takes a head that is n bytes long.
func (c *ClientConn) begin(n int) {
	c.in.pinHead(n)
	c.tried = 0
	c.parser.Reset()
	if c.out.sent == c.began || c.writing == writeHead {
		// An answer to nothing: it was meant for somebody else.
		c.abort(stream.ReasonProtocol)
		return
	}
	h, f := &c.head, &c.framing
	if h.Status < 200 && h.Status != 101 {
		if c.informed++; c.informed > maxInformation {
			c.abort(stream.ReasonProtocol)
			return
		}
		c.handler.OnHead(h, false)
		return
	}
	// Some backends cannot read another request after an upgrade that they refused
	// (nghttpx 1.52 answers it with 400).
	c.keep = c.keep && f.KeepAlive && c.asked != wire.AskedUpgrade
	switch f.Kind {
	case wire.Tunnel:
		c.answer, c.keep, c.tunnelled = answerTunnel, false, true
		if c.writing != writeDone {
			c.writing = writeTunnel
		}
		c.handler.OnHead(h, false)
	case wire.NoBody:
		c.answer = answerDone
		c.handler.OnHead(h, true)
		c.answered()
	default:
		c.answer = answerBody
		c.body.Start(f, c.parser.Limits)
		c.handler.OnHead(h, false)
	}
}

// answered: the response is complete, and the handler knows.
func (c *ClientConn) answered() {
	if c.closed || !c.open || c.answer != answerDone {
		return
	}
	if c.writing == writeDone {
		c.finish()
	}
}

// stepBody passes on a part of the body.
func (c *ClientConn) stepBody() bool {
	if c.paused {
		return false
	}
	if p := c.in.bytes(); len(p) > 0 {
		if c.answer == answerTunnel {
			c.in.use(len(p))
			c.handler.OnData(p, false)
			return true
		}
		data, n, fault := c.body.Next(p)
		if fault != wire.None {
			c.abort(stream.ReasonProtocol)
			return true
		}
		c.in.use(n)
		if n > 0 {
			c.pass(data)
			return true
		}
		if len(c.in.space()) == 0 && !c.in.widen() {
			c.abort(stream.ReasonTooLarge)
			return true
		}
	}
	c.in.roomy()
	if c.fill() {
		return true
	}
	if c.over() {
		c.bodyOver()
		return true
	}
	return false
}

// bodyOver: the backend's direction has ended. Only where that is the framing is
// it the end of the response.
func (c *ClientConn) bodyOver() {
	orderly := c.answer == answerTunnel || c.framing.Kind == wire.UntilClose
	if c.readErr != nil || !orderly {
		c.abort(stream.ReasonClosed)
		return
	}
	c.answer = answerDone
	c.handler.OnData(nil, true)
	c.answered()
}

func (c *ClientConn) pass(data []byte) {
	ended := c.body.Ended()
	if ended {
		c.answer = answerDone
	}
	trailers := c.body.Trailers()
	switch {
	case !ended && len(data) == 0:
	case !ended || len(trailers) == 0:
		c.handler.OnData(data, ended)
	default:
		if len(data) > 0 {
			c.handler.OnData(data, false)
		}
		if c.handler != nil {
			c.handler.OnTrailers(trailers)
		}
	}
	if ended {
		c.answered()
	}
}
