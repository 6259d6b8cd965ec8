package http1

import (
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// serverStream is the exchange that is open on a client's connection. It is used
// again for the next one. Its methods never call the handler: what they find out
// is told at the end of the turn.
type serverStream struct{ c *ServerConn }

// Info describes the connection.
func (s *serverStream) Info() *stream.ConnInfo { return s.c.conn.Info() }

// asked says how the answer to a request is framed.
func asked(h *message.Head) wire.Asked {
	switch {
	case h.Method == "HEAD":
		return wire.AskedHead
	case h.Method == "CONNECT":
		return wire.AskedConnect
	case h.Protocol != "":
		return wire.AskedUpgrade
	default:
		return wire.AskedOther
	}
}

// SendHead writes a head: at once if it is a 1xx one, else with what follows in
// this turn.
func (s *serverStream) SendHead(h *message.Head, end bool) {
	c := s.c
	if !c.open || c.answered || c.writing != writeHead {
		return
	}
	if h.Status < 200 {
		c.inform(h)
		return
	}
	o := c.frameResponse(h, end)
	c.answered = true
	c.out.commit(wire.AppendResponse(c.out.reserve(wire.HeadSize(h)), h, o))
	switch {
	case end:
		c.answeredWhole()
	case c.reading == readHeld:
		c.wake()
	default:
		c.later()
	}
}

// inform sends a 1xx head; 101 makes a tunnel of the connection.
func (c *ServerConn) inform(h *message.Head) {
	switch {
	case h.Status == 101 && c.headTo == wire.AskedUpgrade:
		c.tunnel()
	case h.Status == 101 || c.http10:
		return // nobody asked, or nobody would understand it
	case h.Status == 100:
		c.expects = false
	}
	c.out.commit(wire.AppendResponse(c.out.reserve(wire.HeadSize(h)), h, wire.Outgoing{Length: -1}))
	c.push()
}

// tunnel begins to pass raw bytes.
func (c *ServerConn) tunnel() {
	c.writing, c.reading = writeTunnel, readTunnel
	c.keep, c.lingers, c.answered = false, false, true
	c.wake()
}

// frameResponse decides how the response's body is framed, and whether the
// connection can be used again.
func (c *ServerConn) frameResponse(h *message.Head, end bool) wire.Outgoing {
	o := wire.Outgoing{Length: -1}
	if c.headTo == wire.AskedConnect && h.Status < 300 {
		c.tunnel()
		return o
	}
	if c.draining || c.expects || c.over() && c.in.len() == 0 {
		c.keep = false
	}
	switch {
	case h.Status == 204:
		c.writing = writeNothing
	case c.headTo == wire.AskedHead, h.Status == 304:
		c.writing = writeNothing
		o.Length = h.ContentLength
	default:
		c.frameBody(&o, h.ContentLength, end)
	}
	switch {
	case !c.keep:
		o.Connection = "close"
	case c.http10:
		o.Connection = "keep-alive"
	}
	return o
}

// frameBody frames a body of a length, which may be unknown.
func (c *ServerConn) frameBody(o *wire.Outgoing, length int64, end bool) {
	switch {
	case end:
		c.writing, c.left = writeLength, 0
		o.Length = 0
	case length >= 0:
		c.writing, c.left = writeLength, length
		o.Length = length
	case c.http10:
		c.writing, c.keep = writeClose, false
	default:
		c.writing = writeChunked
		o.Kind = wire.Chunked
	}
}

// SendData writes a part of the body.
func (s *serverStream) SendData(p []byte, end bool) bool {
	c := s.c
	if !c.open || c.writing == writeHead || c.writing == writeDone {
		return true
	}
	if !c.writeBody(p, end) {
		// The head has promised something else: only the end of the connection
		// tells the client.
		c.failed = true
		c.wake()
		return true
	}
	if end {
		c.answeredWhole()
		return true
	}
	return c.later()
}

// SendTrailers ends the response; trailers are written where its framing has a
// place for them.
func (s *serverStream) SendTrailers(fields []message.Field) {
	c := s.c
	if !c.open || c.writing != writeChunked {
		s.SendData(nil, true)
		return
	}
	c.endChunks(fields)
	c.answeredWhole()
}

// later lets the end of the turn write, and reports whether there is room.
func (c *ServerConn) later() bool {
	c.wake()
	return c.makeRoom()
}

// push writes now.
func (c *ServerConn) push() {
	c.out.flush()
	if c.out.err != nil {
		// Told at the end of the turn: this is within a call of the handler's.
		c.failed = true
		c.wake()
	}
}

// answeredWhole: the response is complete.
func (c *ServerConn) answeredWhole() {
	if c.writing == writeTunnel {
		c.writing = writeDone
		c.halfClosing = true
		c.wake()
		return
	}
	c.writing = writeDone
	if c.in.len() == 0 {
		c.push()
	} else {
		c.wake() // perhaps the next answer goes with it
	}
	switch c.reading {
	case readDone:
		c.complete()
	case readHeld:
		c.wake()
	default:
		c.early()
	}
}

// early: the answer came before the request was complete. A little more of it is
// taken to keep the connection; otherwise the connection ends, in a way that lets
// the client read the answer.
func (c *ServerConn) early() {
	c.discard = maxDiscard
	c.await(int64(c.opts.LingerTimeout))
	if !c.keep {
		c.unwanted = true
	}
	c.wake()
}

// Reset gives the exchange up. When the response is complete only the rest of the
// request is not wanted; else the connection is closed.
func (s *serverStream) Reset(stream.Reason) {
	c := s.c
	if !c.open {
		return
	}
	c.handler = nil
	switch {
	case c.writing != writeDone || c.reading == readTunnel || c.halfClosing:
		c.cut()
	case c.reading == readHeld:
		c.reading = readDone
		c.complete()
	default:
		c.wake()
	}
}

// cut ends the connection within a call of the handler's.
func (c *ServerConn) cut() {
	if c.out.size > 0 && c.writing != writeClose && c.writing != writeTunnel {
		c.out.flush()
	}
	c.shut()
	c.server.ConnClosed()
}

// Pause stops OnData.
func (s *serverStream) Pause(on bool) {
	c := s.c
	if !c.open || c.paused == on {
		return
	}
	c.paused = on
	if !on && (c.in.len() > 0 || c.ready || c.over()) {
		c.wake()
	}
}

var (
	_ stream.ServerConn = (*ServerConn)(nil)
	_ stream.Stream     = (*serverStream)(nil)
	_ evloop.Events     = (*ServerConn)(nil)
)
