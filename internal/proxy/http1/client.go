package http1

import (
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// ClientConn is a connection to a backend. It carries one exchange at a time and
// never pipelines. It can be used again only when request and response were both
// complete, the backend agreed, and not a byte more came than the response has.
type ClientConn struct {
	link
	owner  stream.ClientOwner
	stream clientStream

	answer answerState
	open   bool
	// exchanges counts those that were opened.
	exchanges int
	keep      bool
	draining  bool
	gone      bool // the owner was told
	asked     wire.Asked
	// began is out.sent when the exchange was opened.
	began int64
	// heard: a byte of the answer came.
	heard       bool
	informed    int // 1xx heads
	halfClosing bool
	tunnelled   bool
	// failing ends the exchange at the end of the turn, for failure.
	failing bool
	failure stream.Reason
	// ending: both directions are done, and the end of the turn sees to it.
	ending bool
	// closing: as soon as all is written the connection ends.
	closing bool
	timer   evloop.Timer
	tried   int
	probe   [1]byte
}

// answerState is what is being read.
type answerState uint8

const (
	answerNone answerState = iota // no exchange is open
	answerHead
	answerBody
	answerTunnel
	answerDone // the response is complete, the request not
)

// NewClientConn speaks on conn, which is established. owner hears when it has room
// again and when it is gone; not from within NewClientConn.
func NewClientConn(loop *evloop.Loop, conn evloop.Conn, opts ClientOptions, owner stream.ClientOwner) *ClientConn {
	c := &ClientConn{owner: owner, keep: true}
	c.start(loop, conn, c)
	c.stream.c = c
	c.parser.Limits = opts.limits()
	// The edge may have passed before this connection became ours.
	c.ready = true
	conn.Handle(c)
	return c
}

// Open begins an exchange.
func (c *ClientConn) Open(h stream.Handler) stream.Stream {
	c.open, c.handler = true, h
	c.exchanges++
	c.answer = answerHead
	c.began = c.out.sent
	c.heard, c.informed, c.failing, c.ending = false, 0, false, false
	c.writing, c.chunkOpen = writeHead, false
	c.parser.Reset()
	c.tried = 0
	return &c.stream
}

// Room is 1 when an exchange can be opened.
func (c *ClientConn) Room() int {
	if c.open || c.closed || c.draining || !c.keep || c.over() {
		return 0
	}
	return 1
}

// Active is how many exchanges are open: 0 or 1.
func (c *ClientConn) Active() int {
	if c.open {
		return 1
	}
	return 0
}

// Fresh says that no exchange was opened yet.
func (c *ClientConn) Fresh() bool { return c.exchanges == 0 }

// Drain closes the connection, after the exchange that is open.
func (c *ClientConn) Drain() {
	if c.draining || c.closed {
		return
	}
	c.draining = true
	if c.open {
		c.tellGone()
		return
	}
	c.shut()
}

// Close ends the connection at once.
func (c *ClientConn) Close() { c.abort(stream.ReasonCancel) }

// Readable remembers the edge and reads.
func (c *ClientConn) Readable() {
	c.ready = true
	c.run()
}

// Writable goes on writing.
func (c *ClientConn) Writable() {
	c.out.blocked = false
	c.pump()
	if !c.closed && c.wantRoom && c.out.size < lowWater {
		c.wantRoom = false
		if c.handler != nil {
			c.handler.OnRoom()
		}
	}
}

// Hangup: the connection is broken; what came before can still be read, and may
// be an answer.
func (c *ClientConn) Hangup(error) {
	c.ready = true
	c.run()
	if c.closed || c.paused {
		return
	}
	if c.readErr == nil && !c.yielded {
		c.abort(c.reason())
	}
}

// RunDeferred does what the turn has left to do.
func (c *ClientConn) RunDeferred() {
	c.scheduled = false
	if c.closed {
		return
	}
	if c.failing {
		c.abort(c.failure)
		return
	}
	c.run()
	if !c.closed {
		c.pump()
	}
	if c.ending {
		c.ending = false
		c.answered()
	}
}

func (c *ClientConn) wake() {
	if !c.scheduled {
		c.scheduled = true
		c.loop.Defer(c)
	}
}

// pump writes what is pending.
func (c *ClientConn) pump() {
	if !c.out.blocked {
		c.closeChunk()
	}
	c.out.flush()
	if c.out.err != nil {
		c.writeFailed()
		return
	}
	if c.out.size == 0 && c.halfClosing {
		c.halfClosing = false
		_ = c.conn.CloseWrite()
	}
	if c.out.size == 0 && c.closing {
		c.shut()
	}
}

// writeFailed looks whether the backend said why before it closed.
func (c *ClientConn) writeFailed() {
	c.keep = false
	c.ready = true
	c.run()
	if !c.closed && c.open && c.answer == answerHead && !c.yielded && !c.paused {
		c.abort(c.reason())
	}
}

// run reads and handles what was read until nothing more can be done.
func (c *ClientConn) run() {
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
	case c.answer == answerHead:
		c.in.rest()
	}
}

// reason says what the end of the connection means for the open exchange.
func (c *ClientConn) reason() stream.Reason {
	switch {
	case c.out.sent == c.began:
		return stream.ReasonUnsent
	case !c.heard && c.exchanges > 1:
		return stream.ReasonStale
	default:
		return stream.ReasonClosed
	}
}

// abort ends connection and exchange.
func (c *ClientConn) abort(r stream.Reason) {
	if c.closed {
		return
	}
	h := c.handler
	c.close()
	if h != nil {
		h.OnReset(r)
	}
	c.tellGone()
}

// shut ends a connection without an exchange that has to be told.
func (c *ClientConn) shut() {
	if !c.closed {
		c.close()
		c.tellGone()
	}
}

func (c *ClientConn) close() {
	c.closed = true
	c.timer.Stop()
	// A request whose body is cut must not look whole, nor a tunnel.
	if c.open && c.writing == writeTunnel {
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

func (c *ClientConn) tellGone() {
	if !c.gone {
		c.gone = true
		c.owner.ClientGone(c)
	}
}

// finish ends an exchange of which both directions are done.
func (c *ClientConn) finish() {
	c.handler, c.open, c.paused, c.wantRoom = nil, false, false, false
	c.answer = answerNone
	c.in.unpin()
	if c.tunnelled && c.out.size > 0 && c.out.err == nil {
		c.lastWords()
		return
	}
	if !c.keep || c.draining || c.in.len() > 0 || c.over() || c.out.size > 0 {
		c.shut()
		return
	}
	if !c.running {
		c.rest()
	}
	c.owner.ClientRoom(c)
}

// lastWords lets what was written into a tunnel go out before it is closed.
func (c *ClientConn) lastWords() {
	c.closing = true
	c.timer.Func = c.shut
	c.loop.After(int64(defaultHeader), &c.timer)
}

var (
	_ stream.Client = (*ClientConn)(nil)
	_ stream.Stream = (*clientStream)(nil)
	_ evloop.Events = (*ClientConn)(nil)
)
