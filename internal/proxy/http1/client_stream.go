package http1

import (
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// clientStream is the exchange that is open on a backend's connection. Its methods
// never call the handler: what they find out is told at the end of the turn.
type clientStream struct{ c *ClientConn }

// Info describes the connection.
func (s *clientStream) Info() *stream.ConnInfo { return s.c.conn.Info() }

// SendHead writes the request: at once if nothing follows, else with what follows
// in this turn.
func (s *clientStream) SendHead(h *message.Head, end bool) {
	c := s.c
	if !c.open || c.writing != writeHead || c.failing {
		return
	}
	if !wire.ValidRequest(h) {
		c.fail(stream.ReasonInternal)
		return
	}
	if !c.alive(h.Method) {
		c.fail(stream.ReasonUnsent)
		return
	}
	c.asked = asked(h)
	o := c.frameRequest(h, end)
	c.out.commit(wire.AppendRequest(c.out.reserve(wire.HeadSize(h)), h, o))
	if c.writing == writeDone || c.writing == writeNothing {
		c.push()
		return
	}
	c.wake()
}

// frameRequest decides how the request's body is framed.
func (c *ClientConn) frameRequest(h *message.Head, end bool) wire.Outgoing {
	o := wire.Outgoing{Length: -1}
	switch {
	case h.Method == "CONNECT" || h.Protocol != "":
		// What follows is for the tunnel, and waits until it is granted.
		c.writing = writeNothing
	case end:
		c.writing = writeDone
		if methodHasBody(h.Method) {
			o.Length = 0
		}
	case h.ContentLength >= 0:
		c.writing, c.left = writeLength, h.ContentLength
		o.Length = h.ContentLength
	default:
		c.writing = writeChunked
		o.Kind = wire.Chunked
	}
	return o
}

// methodHasBody says that a request without content should say so: RFC 9110,
// section 8.6.
func methodHasBody(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// SendData writes a part of the body.
func (s *clientStream) SendData(p []byte, end bool) bool {
	c := s.c
	if !c.open || c.failing || c.writing == writeHead || c.writing == writeDone {
		return true
	}
	switch {
	case c.deaf():
		return c.sentWhole(end)
	case c.writing == writeNothing:
		return s.hold(p, end)
	case !c.writeBody(p, end):
		c.fail(stream.ReasonInternal)
		return true
	case end:
		return c.sentWhole(true)
	}
	c.wake()
	return c.makeRoom()
}

// deaf says that nobody reads the request any more; its answer may still be read.
func (c *ClientConn) deaf() bool {
	return c.readErr != nil || c.out.err != nil || c.eof && !c.tunnelled
}

// hold takes what comes before a tunnel is granted. The server codec sends nothing
// but the end then, when the tunnel was refused.
func (s *clientStream) hold(p []byte, end bool) bool {
	if len(p) > 0 && s.c.answer == answerHead {
		s.c.fail(stream.ReasonInternal)
		return true
	}
	if end {
		s.c.writing = writeDone
		s.c.wakeIfAnswered()
	}
	return true
}

// sentWhole ends the request, if end.
func (c *ClientConn) sentWhole(end bool) bool {
	if !end {
		return true
	}
	tunnel := c.writing == writeTunnel
	c.writing = writeDone
	if tunnel {
		c.halfClosing = true
		c.wake()
	} else if c.out.err == nil {
		c.push()
	}
	c.wakeIfAnswered()
	return true
}

// wakeIfAnswered lets the end of the turn finish an exchange whose response was
// complete before its request.
func (c *ClientConn) wakeIfAnswered() {
	if c.answer == answerDone {
		c.ending = true
		c.wake()
	}
}

// SendTrailers ends the request; trailers are written where its framing has a
// place for them.
func (s *clientStream) SendTrailers(fields []message.Field) {
	c := s.c
	if !c.open || c.failing || c.writing != writeChunked || c.out.err != nil {
		s.SendData(nil, true)
		return
	}
	c.endChunks(fields)
	c.sentWhole(true)
}

// push writes now.
func (c *ClientConn) push() {
	c.out.flush()
	if c.out.err != nil {
		c.wake()
	}
}

func (c *ClientConn) fail(r stream.Reason) {
	c.failing, c.failure = true, r
	c.wake()
}

// Reset gives the exchange up, and the connection with it, unless the response is
// complete and nothing of the request is missing.
func (s *clientStream) Reset(stream.Reason) {
	c := s.c
	if !c.open {
		return
	}
	c.handler = nil
	if c.answer == answerDone && c.writing == writeNothing {
		// A tunnel was refused: the request has ended with its head.
		c.writing = writeDone
		c.wakeIfAnswered()
		return
	}
	c.shut()
}

// Pause stops OnData.
func (s *clientStream) Pause(on bool) {
	c := s.c
	if !c.open || c.paused == on {
		return
	}
	c.paused = on
	if !on && (c.in.len() > 0 || c.ready || c.over()) {
		c.wake()
	}
}
