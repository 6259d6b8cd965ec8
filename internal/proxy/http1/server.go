package http1

import (
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// ServerConn is a client's connection. It serves one request at a time; the next
// one is parsed when the response before is written whole.
type ServerConn struct {
	link
	opts   ServerOptions
	server stream.Server
	stream serverStream

	reading  readState
	open     bool // an exchange is open
	draining bool
	// keep: the connection will be used again after this exchange. lingers: when
	// it is not, the client may be sending still.
	keep    bool
	lingers bool
	// expects: the client waits for 100 (Continue) before it sends the body.
	expects bool
	headTo  wire.Asked // what was asked, for the framing of the response
	http10  bool
	// closing: as soon as all is written the connection ends.
	closing bool
	// halfClosing: as soon as all is written our direction ends.
	halfClosing bool
	// answered: a final head was sent.
	answered bool
	// failed and unwanted are told at the end of the turn: that the connection
	// broke, and that the rest of the request is not worth to wait for.
	failed   bool
	unwanted bool
	tried    int // bytes that were parsed without finding a whole head
	requests int
	// discard is how many bytes of an unwanted body may come still.
	discard  int64
	received int64

	timer evloop.Timer
	// deadline is when something must have happened, 0: nothing is awaited. The
	// timer fires at armed, which may be earlier, and is armed again then: so
	// requests move a number and not a timer.
	deadline int64
	armed    int64
}

// readState is what is being read.
type readState uint8

const (
	readHead readState = iota
	readBody
	// readHeld: CONNECT or an upgrade waits for its answer.
	readHeld
	readTunnel
	// readDone: the request is complete, its response not.
	readDone
	// readLinger: what comes is thrown away until the client closes.
	readLinger
)

// NewServerConn serves the client on conn. initial was read from conn before; it
// is copied. Requests come to server from the end of this turn on.
func NewServerConn(loop *evloop.Loop, conn evloop.Conn, opts ServerOptions, server stream.Server, initial []byte) *ServerConn {
	c := &ServerConn{opts: opts.withDefaults(), server: server}
	c.start(loop, conn, c)
	c.stream.c = c
	c.parser.Limits = c.opts.limits()
	c.timer.Func = c.onTimer
	c.await(int64(c.opts.IdleTimeout))
	for len(initial) > 0 {
		n := copy(c.in.space(), initial)
		if n == 0 && !c.in.widen() {
			break // more than a head may have: what fits is refused
		}
		c.in.take(n, 0)
		initial = initial[n:]
	}
	c.ready = true
	conn.Handle(c)
	c.wake()
	return c
}

// Drain answers what was asked, the last answer with Connection: close, and ends
// the connection. A client that asks nothing is given DrainGrace to do so: closed
// at once, it could lose a request that is on its way.
func (c *ServerConn) Drain() {
	if c.closed || c.draining {
		return
	}
	c.draining = true
	if !c.open && c.reading == readHead && c.in.len() == 0 {
		c.await(c.idle())
	}
	c.ready = true
	c.wake()
}

// idle is how long the client may have no request, in nanoseconds.
func (c *ServerConn) idle() int64 {
	if c.draining {
		return int64(min(c.opts.DrainGrace, c.opts.IdleTimeout))
	}
	return int64(c.opts.IdleTimeout)
}

// Close ends the connection at once.
func (c *ServerConn) Close() { c.abort(stream.ReasonCancel) }

// Readable remembers the edge and reads.
func (c *ServerConn) Readable() {
	c.ready = true
	c.run()
}

// Writable goes on writing.
func (c *ServerConn) Writable() {
	c.out.blocked = false
	c.pump()
	if !c.closed && c.wantRoom && c.out.size < lowWater {
		c.wantRoom = false
		if c.handler != nil {
			c.handler.OnRoom()
		}
	}
	if !c.open {
		c.run()
	}
}

// Hangup: nobody is there to answer any more.
func (c *ServerConn) Hangup(error) { c.abort(stream.ReasonCancel) }

// RunDeferred does what the turn has left to do.
func (c *ServerConn) RunDeferred() {
	c.scheduled = false
	if c.failed {
		c.abort(stream.ReasonCancel)
	}
	if c.unwanted && c.open && c.writing == writeDone {
		c.giveUp()
	}
	c.unwanted = false
	if !c.closed {
		c.run()
	}
	if !c.closed && !c.failed {
		c.pump()
	}
}

func (c *ServerConn) wake() {
	if !c.scheduled {
		c.scheduled = true
		c.loop.Defer(c)
	}
}

// pump writes what is pending and does what waits for it.
func (c *ServerConn) pump() {
	if !c.out.blocked {
		c.closeChunk()
	}
	c.out.flush()
	if c.out.err != nil {
		c.abort(stream.ReasonCancel)
		return
	}
	if c.out.size > 0 {
		return
	}
	if c.halfClosing {
		c.halfClosing = false
		_ = c.conn.CloseWrite()
		c.endTunnel()
	}
	if c.closing {
		c.finishClose()
	}
}

// run reads and handles what was read until nothing more can be done.
func (c *ServerConn) run() {
	if c.running || c.closed {
		return
	}
	c.running, c.budget = true, runBytes
	for !c.closed && c.step() {
		continue
	}
	c.running = false
	switch {
	case c.closed:
		c.in.drop()
	case !c.open:
		c.rest()
	}
}

// step does one thing, and reports whether there may be more to do.
func (c *ServerConn) step() bool {
	switch c.reading {
	case readHead:
		return c.stepHead()
	case readBody, readTunnel:
		return c.stepBody()
	case readHeld:
		return c.stepHeld()
	case readDone:
		return c.stepDone()
	default:
		return c.stepLinger()
	}
}

// await sets the deadline to delay nanoseconds from now.
func (c *ServerConn) await(delay int64) {
	c.deadline = c.loop.Now() + delay
	if !c.timer.Armed() || c.deadline < c.armed {
		c.armed = c.deadline
		c.loop.After(delay, &c.timer)
	}
}

func (c *ServerConn) onTimer() {
	now := c.loop.Now()
	switch {
	case c.closed || c.deadline == 0:
	case now < c.deadline:
		c.armed = c.deadline
		c.loop.After(c.deadline-now, &c.timer)
	case c.reading == readHead && c.in.len() > 0:
		c.refuse(wire.FaultTimeout)
		c.wake()
	case c.open:
		// The client did not send the rest of a request that is answered.
		c.giveUp()
		c.wake()
	case c.draining && c.reading == readHead:
		c.lingers = true
		c.end()
	default:
		c.abort(stream.ReasonTimeout)
	}
}

// abort ends the connection at once, and tells the handler.
func (c *ServerConn) abort(r stream.Reason) {
	if c.closed {
		return
	}
	h := c.handler
	c.shut()
	if h != nil {
		h.OnReset(r)
	}
	c.server.ConnClosed()
}

// shut closes the connection and gives back what it holds.
func (c *ServerConn) shut() {
	c.closed = true
	c.timer.Stop()
	// An answer whose end is the end of the connection must not look whole.
	if c.writing == writeClose || c.writing == writeTunnel {
		evloop.Reset(c.conn)
	} else {
		c.conn.Close()
	}
	c.out.drop()
	c.handler, c.open = nil, false
	if !c.running {
		c.in.drop()
	}
}

// end closes the connection when all is written; with lingering, when the client
// has closed too or some time has passed, for a connection that is closed while
// bytes arrive is reset, and the reset can destroy the answer on its way.
func (c *ServerConn) end() {
	c.closing = true
	c.reading = readLinger
	c.in.unpin()
	c.in.r = c.in.w
	// For a client that does not take what is pending.
	c.await(int64(c.opts.IdleTimeout))
	c.wake()
}

func (c *ServerConn) finishClose() {
	c.closing = false
	if !c.lingers || c.over() {
		c.shut()
		c.server.ConnClosed()
		return
	}
	_ = c.conn.CloseWrite()
	c.await(int64(c.opts.LingerTimeout))
	c.run()
}

// refuse answers a malformed request without any handler.
func (c *ServerConn) refuse(f wire.Fault) {
	c.writeError(f)
	c.server.Refused(&c.head, c.conn.Info(), f.Status(), f.String())
	if !c.closed {
		c.end()
	}
}

func (c *ServerConn) writeError(f wire.Fault) {
	h := message.Head{Status: f.Status()}
	dst := c.out.reserve(wire.HeadSize(&h))
	c.out.commit(wire.AppendResponse(dst, &h, wire.Outgoing{Connection: "close"}))
	c.writing = writeDone
	c.lingers = true
}

// fault ends an exchange whose body is malformed.
func (c *ServerConn) fault(f wire.Fault) {
	h := c.handler
	c.handler, c.open = nil, false
	reason := stream.ReasonProtocol
	if f == wire.FaultBodyLong {
		reason = stream.ReasonTooLarge
	}
	if h != nil {
		h.OnReset(reason)
	}
	switch {
	case c.closed:
	case c.answered && c.writing != writeDone:
		c.abort(reason)
	case !c.answered:
		c.writeError(f)
		c.end()
	default:
		c.lingers = true
		c.end()
	}
}

// giveUp ends an exchange whose answer is sent and whose request is not over.
func (c *ServerConn) giveUp() {
	h := c.handler
	c.handler, c.open = nil, false
	if h != nil {
		h.OnReset(stream.ReasonNone)
	}
	if !c.closed {
		c.lingers = true
		c.end()
	}
}

// complete ends an exchange of which both directions are done.
func (c *ServerConn) complete() {
	c.handler, c.open, c.paused, c.wantRoom = nil, false, false, false
	c.writing, c.answered = writeHead, false
	c.reading = readHead
	c.in.unpin()
	c.parser.Reset()
	c.tried = 0
	if !c.keep {
		c.writing = writeDone
		c.lingers = c.lingers || c.in.len() > 0
		c.end()
		return
	}
	c.await(c.idle())
	switch {
	case c.running:
	case c.in.len() > 0 || c.ready || c.over():
		c.wake()
	default:
		c.rest()
	}
}
