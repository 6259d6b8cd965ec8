package http1

import (
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// stepHead looks for the next request.
func (c *ServerConn) stepHead() bool {
	if c.out.blocked && c.out.size > lowWater {
		return false // a client that asks and does not read the answers
	}
	if c.in.len() > c.tried && c.parse() || c.fill() {
		return true
	}
	return !c.yielded && c.noMore()
}

// noMore: nothing more of a head can be read, now or ever.
func (c *ServerConn) noMore() bool {
	switch {
	case c.over():
		// Half a head is not worth an answer: who sent it has gone.
		c.lingers = c.draining
		c.end()
		return true
	case c.ready && len(c.in.space()) == 0:
		if !c.in.widen() {
			c.refuse(wire.FaultHeadLong)
		}
		return true
	}
	return false
}

// parse tries what was read. It reports false when that is not a whole head.
func (c *ServerConn) parse() bool {
	n, fault := c.parser.Request(c.in.bytes(), &c.head, &c.framing)
	switch {
	case fault != wire.None:
		c.refuse(fault)
		return true
	case n > 0:
		c.begin(n)
		return true
	}
	// What was understood so far does not move with the buffer.
	c.head.Reset()
	if c.tried == 0 {
		c.await(int64(c.opts.HeaderTimeout))
	}
	c.tried = c.in.len()
	return false
}

// begin hands a request over whose head is n bytes long.
func (c *ServerConn) begin(n int) {
	c.in.pinHead(n)
	c.tried = 0
	c.requests++
	c.deadline = 0
	h, f := &c.head, &c.framing
	h.Scheme = "http"
	if c.conn.Info().Encrypted {
		h.Scheme = "https"
	}
	c.keep = f.KeepAlive && (c.opts.MaxRequests <= 0 || c.requests < c.opts.MaxRequests)
	c.lingers = f.KeepAlive
	c.http10 = h.Version == message.HTTP10
	c.expects = f.Expect
	c.received = 0
	c.headTo = asked(h)
	c.chunkOpen = false
	end := false
	switch f.Kind {
	case wire.Tunnel:
		c.reading = readHeld
	case wire.NoBody:
		c.reading = readDone
		end = true
	default:
		if c.opts.MaxBody > 0 && f.Length > c.opts.MaxBody {
			c.refuse(wire.FaultBodyLong)
			return
		}
		c.reading = readBody
		c.body.Start(f, c.parser.Limits)
	}
	c.open = true
	handler := c.server.NewStream(&c.stream)
	if c.open {
		c.handler = handler
		handler.OnHead(h, end)
	}
}

// stepBody passes on a part of the body, or of what follows in a tunnel.
func (c *ServerConn) stepBody() bool {
	discarding := c.writing == writeDone && c.reading == readBody
	if c.paused && !discarding {
		return false
	}
	if p := c.in.bytes(); len(p) > 0 {
		if c.reading == readTunnel {
			c.in.use(len(p))
			c.handler.OnData(p, false)
			return true
		}
		data, n, fault := c.body.Next(p)
		if fault != wire.None {
			c.fault(fault)
			return true
		}
		c.in.use(n)
		if n > 0 {
			c.pass(data, n, discarding)
			return true
		}
		if len(c.in.space()) == 0 && !c.in.widen() {
			c.fault(wire.FaultTrailersLong)
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

// bodyOver: the client's direction has ended.
func (c *ServerConn) bodyOver() {
	if c.readErr != nil || c.reading == readBody {
		// Not all of the request came, and who sent it does not wait.
		c.abort(stream.ReasonCancel)
		return
	}
	c.reading = readDone
	c.handler.OnData(nil, true)
	c.endTunnel()
}

// endTunnel closes a tunnel of which both directions have ended.
func (c *ServerConn) endTunnel() {
	if !c.closed && c.open && c.reading == readDone && c.writing == writeDone {
		c.handler, c.open = nil, false
		c.lingers = false
		c.end()
	}
}

// pass delivers data, which was in n bytes.
func (c *ServerConn) pass(data []byte, n int, discarding bool) {
	c.expects = false
	c.received += int64(len(data))
	if c.opts.MaxBody > 0 && c.received > c.opts.MaxBody {
		c.fault(wire.FaultBodyLong)
		return
	}
	if discarding {
		if c.discard -= int64(n); c.discard < 0 {
			c.giveUp()
			return
		}
	}
	ended := c.body.Ended()
	if ended {
		c.reading = readDone
	}
	c.deliver(data, ended)
	if ended && c.open && c.writing == writeDone {
		c.complete()
	}
}

func (c *ServerConn) deliver(data []byte, ended bool) {
	if c.handler == nil {
		return
	}
	trailers := c.body.Trailers()
	if !ended || len(trailers) == 0 {
		if len(data) > 0 || ended {
			c.handler.OnData(data, ended)
		}
		return
	}
	if len(data) > 0 {
		c.handler.OnData(data, false)
	}
	if c.handler != nil {
		c.handler.OnTrailers(trailers)
	}
}

// stepHeld waits for the answer to CONNECT or an upgrade. When it is refused the
// request ends there: what follows is the next one.
func (c *ServerConn) stepHeld() bool {
	if c.answered {
		c.reading = readDone
		if c.handler != nil {
			c.handler.OnData(nil, true)
		}
		if !c.closed && c.open && c.writing == writeDone {
			c.complete()
		}
		return true
	}
	return c.stepDone()
}

// stepDone reads ahead while a response is awaited, to notice that the client has
// gone, and as far as the buffer goes.
func (c *ServerConn) stepDone() bool {
	if c.fill() {
		return true
	}
	if c.readErr != nil {
		c.abort(stream.ReasonCancel)
	}
	return false
}

// stepLinger throws away what comes.
func (c *ServerConn) stepLinger() bool {
	c.in.r = c.in.w
	if c.fill() {
		return true
	}
	if c.over() && !c.closing {
		c.shut()
		c.server.ConnClosed()
	}
	return false
}
