package http2

import (
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// h2stream is one stream. It is dead when both directions are over or it was
// reset, and is used again after the turn in which it died.
type h2stream struct {
	c  *conn
	id uint32
	// handler is nil when both ends were told to it or by it: nobody is called.
	handler stream.Handler
	head    message.Head

	dead bool
	// Sending: the final head was given; the end was given; END_STREAM is in the
	// output; SendData said that there is no room.
	sentHead, sentEnd, wroteEnd, full bool
	// Receiving: the final head was read; END_STREAM was read; it was delivered.
	gotHead, recvEnd, gotEnd bool
	paused, listed           bool
	// abandoned: the answer is given and the rest of the request is not wanted.
	abandoned bool
	// extended: RFC 8441's CONNECT. bodyless: a response to HEAD.
	extended, bodyless bool
	protocol           string // what an extended CONNECT asked for; cloned
	// stop: the backend wants no more of the request; told after its answer.
	stop bool

	sendWindow, recvWindow int64
	unacked                int64
	bodyLeft               int64 // of the content-length, or LengthUnknown
	openedAt               int64
	headAt                 int64 // where the request's head lies in the output
	sendQ, recvQ           queue
	// Trailers that wait behind data.
	sendTrailers, recvTrailers []message.Field
	held                       *message.Head // waits for the peer's SETTINGS

	chain, prev, next  *h2stream
	ringNext, ringPrev *h2stream
}

// recycle keeps the memory and nothing else.
func (s *h2stream) recycle() {
	s.head.Reset()
	*s = h2stream{c: s.c, head: s.head, sendQ: queue{chunks: s.sendQ.chunks}, recvQ: queue{chunks: s.recvQ.chunks}}
}

// Info describes the connection below.
func (s *h2stream) Info() *stream.ConnInfo { return s.c.nc.Info() }

// SendHead sends a response's head on the server's side, a request's on the other.
func (s *h2stream) SendHead(h *message.Head, end bool) {
	if s.dead || s.sentHead || s.sentEnd {
		return
	}
	if s.c.client {
		s.sendRequest(h, end)
		return
	}
	if h.Status == 101 && !s.extended || h.Status < 200 && end {
		s.Reset(stream.ReasonInternal) // whoever said so has lost his way
		return
	}
	s.sentHead = h.Status >= 200 || h.Status == 101
	s.sentEnd = end
	s.c.writeResponse(s, h, end)
	s.settle()
}

func (s *h2stream) sendRequest(h *message.Head, end bool) {
	s.sentHead, s.sentEnd = true, end
	s.bodyless = h.Method == "HEAD"
	if s.extended = h.Protocol != ""; s.extended {
		s.protocol = strings.Clone(h.Protocol)
	}
	if s.extended && !s.c.peer.connectProtocol {
		// Not before the backend has said that it knows extended CONNECT.
		s.held = cloneHead(h)
		s.c.heldHeads++
		s.c.schedule()
		return
	}
	s.begin(h, end)
}

// begin gives the stream its ID: in the order of heads, as it must be.
func (s *h2stream) begin(h *message.Head, end bool) {
	c := s.c
	c.lastID += 2 - (c.lastID+1)&1 // 1, 3, 5
	s.id = c.lastID
	c.named(s)
	s.headAt = c.flushed + int64(c.pending())
	c.writeRequest(s, h, end)
	s.settle()
}

// SendData sends a part of the body.
func (s *h2stream) SendData(p []byte, end bool) bool {
	if s.dead || s.sentEnd || !s.sentHead {
		return true
	}
	c := s.c
	s.sentEnd = end
	if s.sendQ.size == 0 && s.held == nil {
		// Others that wait have their turn first.
		if c.ready.at == nil {
			p = c.sendNow(s, p, end)
		}
		if len(p) == 0 && end && !s.wroteEnd {
			c.reserve(frameHeaderLen)
			c.out = appendFrameHeader(c.out, 0, frameData, flagEndStream, s.id)
			s.wroteEnd = true
		}
	}
	if len(p) > 0 {
		s.sendQ.push(c.loop, p)
		s.widen(0)
	}
	c.schedule()
	room := s.sendQ.size < roomHigh
	s.full = !room
	s.settle()
	return room
}

// SendTrailers ends the body with fields.
func (s *h2stream) SendTrailers(fields []message.Field) {
	if len(fields) == 0 {
		s.SendData(nil, true)
		return
	}
	if s.dead || s.sentEnd || !s.sentHead {
		return
	}
	s.sentEnd = true
	if s.sendQ.size > 0 || s.held != nil {
		s.sendTrailers = cloneFields(fields)
		s.settle()
		return
	}
	s.c.writeTrailers(s, fields)
	s.settle()
}

// drained is called when the queue has become empty; the frame at is its last.
func (s *h2stream) drained(at int) {
	switch {
	case !s.sentEnd:
		return
	case s.sendTrailers != nil:
		s.c.writeTrailers(s, s.sendTrailers)
		s.sendTrailers = nil
	default:
		s.c.out[at+4] |= flagEndStream
		s.wroteEnd = true
	}
	s.settle()
}

// Reset ends the stream at once. A server's stream that was answered completely
// sends what waits and then tells the client to stop.
func (s *h2stream) Reset(r stream.Reason) {
	if s.dead {
		return
	}
	s.handler = nil
	if r == stream.ReasonNone && s.sentEnd && !s.c.client {
		s.abandoned = true
		s.c.consumed(int64(s.recvQ.size))
		s.recvQ.free(s.c.loop)
		s.settle()
		return
	}
	s.rst(codeOf(r, s.c.client))
	s.bury(causeUs)
}

// rst sends RST_STREAM, unless the peer never heard of the stream.
func (s *h2stream) rst(code errCode) {
	if s.id == 0 {
		return
	}
	s.c.reserve(16)
	s.c.out = appendRSTStream(s.c.out, s.id, code)
	s.c.schedule()
}

// vanish ends the stream because of something that happened.
func (s *h2stream) vanish(why cause, r stream.Reason) {
	h := s.handler
	s.bury(why)
	if h != nil {
		h.OnReset(r)
	}
}

// settle lets go of the handler, and of the stream, when it is over.
func (s *h2stream) settle() {
	if s.dead {
		return
	}
	if s.sentEnd && s.gotEnd {
		s.handler = nil
	}
	if s.stop && s.gotEnd {
		s.vanish(causePeer, stream.ReasonNone)
		return
	}
	switch {
	case !s.wroteEnd || s.handler != nil:
	case s.recvEnd:
		s.c.resets.earn(1)
		s.bury(causeEnded)
	case s.abandoned:
		s.rst(codeNone)
		s.bury(causeUs)
	}
}

// bury takes the stream off the connection.
func (s *h2stream) bury(why cause) {
	c := s.c
	s.dead = true
	s.handler = nil
	c.ended++
	if s.held != nil {
		c.heldHeads--
	}
	c.ready.remove(s)
	c.remove(s)
	if c.data.stream == s {
		c.data.stream = nil
	}
	if n := s.recvQ.size; n > 0 {
		s.recvQ.free(c.loop)
		c.consumed(int64(n))
	}
	s.sendQ.free(c.loop)
	if s.id != 0 {
		c.graves.bury(s.id, why)
	}
	if !s.listed {
		c.dead = append(c.dead, s)
	}
	c.schedule()
}

// Pause stops what is delivered. Resumed, it goes on at the end of the turn.
func (s *h2stream) Pause(on bool) {
	if s.dead || s.paused == on {
		return
	}
	s.paused = on
	if on {
		return
	}
	s.credit(0)
	if !s.listed && (s.recvQ.size > 0 || s.recvEnd && !s.gotEnd) {
		s.listed = true
		s.c.again = append(s.c.again, s)
		s.c.schedule()
	}
}

// expectsHead says that data may not come yet.
func (s *h2stream) expectsHead() bool { return s.c.client && !s.gotHead }

// receive takes a part of a DATA frame.
func (s *h2stream) receive(p []byte, end bool) {
	if end {
		s.recvEnd = true
	}
	switch {
	case s.handler == nil:
		s.c.consumed(int64(len(p)))
		s.settle()
	case s.waiting():
		s.recvQ.push(s.c.loop, p)
	default:
		s.deliver(p, end)
	}
}

// waiting says that what comes must wait behind something.
func (s *h2stream) waiting() bool { return s.paused || s.listed || s.recvQ.size > 0 }

// deliver hands data over, which is then consumed.
func (s *h2stream) deliver(p []byte, end bool) {
	if len(p) == 0 && !end {
		return
	}
	s.gotEnd = end
	s.handler.OnData(p, end)
	s.c.consumed(int64(len(p)))
	if s.dead {
		return
	}
	s.credit(int64(len(p)))
	s.settle()
}

// credit gives the stream's window back, in batches and not while paused.
func (s *h2stream) credit(n int64) {
	s.unacked += n
	if s.paused || s.recvEnd || s.unacked*2 < s.c.limits.streamWindow || s.c.state != connOpen {
		return
	}
	s.c.reserve(16)
	s.c.out = appendWindowUpdate(s.c.out, s.id, s.unacked)
	s.recvWindow += s.unacked
	s.unacked = 0
	s.c.schedule()
}

// receiveTrailers takes a trailer section, which is borrowed.
func (s *h2stream) receiveTrailers(fields []message.Field) {
	s.recvEnd = true
	switch {
	case s.handler == nil:
		s.settle()
	case s.waiting():
		// The strings are the decoder's and stay; the slice is used again.
		s.recvTrailers = slices.Clone(fields)
	default:
		s.deliverTrailers(fields)
	}
}

func (s *h2stream) deliverTrailers(fields []message.Field) {
	s.gotEnd = true
	if len(fields) == 0 {
		s.handler.OnData(nil, true)
	} else {
		s.handler.OnTrailers(fields)
	}
	s.settle()
}

// deliverAgain gives resumed streams what waited for them.
func (c *conn) deliverAgain() {
	for i := 0; i < len(c.again); i++ {
		s := c.again[i]
		c.again[i] = nil
		s.listed = false
		if s.dead {
			c.dead = append(c.dead, s)
			continue
		}
		s.drain()
	}
	c.again = c.again[:0]
}

// drain delivers what was buffered, until it is paused again.
func (s *h2stream) drain() {
	c := s.c
	for s.recvQ.size > 0 && !s.paused && s.handler != nil {
		p, buf := s.recvQ.pop()
		s.deliver(p, s.recvEnd && s.recvQ.size == 0 && s.recvTrailers == nil)
		c.loop.Release(buf)
		if s.dead || c.state == connClosed {
			return
		}
	}
	if s.paused || s.gotEnd || !s.recvEnd || s.handler == nil {
		return
	}
	fields := s.recvTrailers
	s.recvTrailers = nil
	s.deliverTrailers(fields)
}

func cloneFields(fields []message.Field) []message.Field {
	all := slices.Clone(fields)
	for i := range all {
		all[i].Name = strings.Clone(all[i].Name)
		all[i].Value = strings.Clone(all[i].Value)
	}
	return all
}

func cloneHead(h *message.Head) *message.Head {
	c := *h
	c.Method, c.Scheme, c.Protocol = strings.Clone(h.Method), strings.Clone(h.Scheme), strings.Clone(h.Protocol)
	c.Authority, c.Path = strings.Clone(h.Authority), strings.Clone(h.Path)
	c.Fields = cloneFields(h.Fields)
	return &c
}
