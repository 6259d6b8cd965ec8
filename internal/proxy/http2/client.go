package http2

import (
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// unsettledStreams is how many streams are opened before the backend has said
// how many it takes (RFC 9113 section 6.5.2 advises servers to take 100).
const unsettledStreams = 100

// ClientConn is a connection to a backend. It is used on its loop only.
type ClientConn struct {
	conn
	owner stream.ClientOwner
	// leaving: no streams are opened any more; told: the owner knows.
	leaving bool
	told    bool
	used    bool
}

var (
	_ evloop.Events = (*ClientConn)(nil)
	_ stream.Client = (*ClientConn)(nil)
)

// NewClientConn takes over a connection that is established or being so, and
// greets at once. Exchanges may be opened right away. Their heads arrive with
// Method, Scheme, Authority and Path empty; the answer to a stream that asked
// for a Protocol is a 101 as on HTTP/1.1.
func NewClientConn(loop *evloop.Loop, nc evloop.Conn, opts ClientOptions, owner stream.ClientOwner) *ClientConn {
	c := &ClientConn{owner: owner}
	c.client = true
	c.init(loop, nc, c, opts.limits())
	c.out = append(loop.Buffer(evloop.SmallBuffer)[:0], preface...)
	c.greet(
		setting{settingEnablePush, 0},
		setting{settingInitialWindow, uint32(c.limits.streamWindow)},
		setting{settingMaxHeaderListSize, uint32(c.limits.maxHeader)},
	)
	return c
}

// Open begins an exchange.
func (c *ClientConn) Open(h stream.Handler) stream.Stream {
	s := c.newStream(0)
	s.handler = h
	c.used = true
	if c.state != connOpen {
		// Against the contract, but it must not wait for ever.
		c.loop.Post(func() {
			if !s.dead {
				s.vanish(causeUs, stream.ReasonUnsent)
			}
		})
	}
	return s
}

// Room is how many exchanges can be opened now.
func (c *ClientConn) Room() int {
	if c.leaving || c.state != connOpen {
		return 0
	}
	limit := uint32(c.limits.maxStreams)
	if c.peer.settled {
		limit = min(limit, c.peer.maxStreams)
	} else {
		limit = min(limit, unsettledStreams)
	}
	return max(int(limit)-c.active, 0)
}

// Active is how many exchanges are open.
func (c *ClientConn) Active() int { return c.active }

// Fresh says that no exchange was opened yet.
func (c *ClientConn) Fresh() bool { return !c.used }

// Drain takes no more exchanges and closes when the last one has ended.
func (c *ClientConn) Drain() {
	c.leaving = true
	c.schedule()
}

// headers takes the head of a response, or its trailers.
func (c *ClientConn) headers(id uint32, p []byte, end bool) error {
	s := c.find(id)
	if s == nil {
		if c.idle(id) {
			return &connError{codeProtocol, "HEADERS on a stream that was not opened"}
		}
		return c.onClosed(id, p)
	}
	if s.gotHead || s.recvEnd {
		return c.trailers(s, p, end)
	}
	if err := c.decode(p, &s.head, responseBlock); err != nil {
		return err
	}
	if c.block.tooLarge {
		c.limits.stats.TooLarge.Add(1)
		s.rst(codeEnhanceYourCalm)
		s.vanish(causeUs, stream.ReasonTooLarge)
		return nil
	}
	if why := c.block.finishResponse(end); why != "" {
		return c.streamError(id, s, codeProtocol)
	}
	return c.response(s, end)
}

func (c *ClientConn) response(s *h2stream, end bool) error {
	h := &s.head
	if h.Status < 200 {
		h.ContentLength = message.LengthUnknown
		if s.handler != nil {
			s.handler.OnHead(h, false)
		}
		return nil
	}
	s.gotHead = true
	switch {
	case s.extended && h.Status < 300:
		h.Status, h.Protocol, h.ContentLength = 101, s.protocol, message.LengthUnknown
	case s.bodyless, h.Status == 204, h.Status == 304:
		s.bodyLeft = 0
	case end && h.ContentLength > 0:
		return c.streamError(s.id, s, codeProtocol)
	case end:
		h.ContentLength = 0
	default:
		s.bodyLeft = h.ContentLength
	}
	s.recvEnd = end
	if s.handler == nil {
		s.settle()
		return nil
	}
	s.gotEnd = end
	s.handler.OnHead(h, end)
	s.settle()
	return nil
}

// stopped is a RST_STREAM from the backend.
func (s *h2stream) stopped(code errCode) {
	reason := stream.ReasonCancel
	switch {
	case code == codeNone && s.recvEnd:
		// The answer is complete, and the rest of the request is not wanted.
		if s.handler != nil && !s.gotEnd {
			s.stop = true
			return
		}
		reason = stream.ReasonNone
	case code == codeRefused && !s.gotHead:
		reason = stream.ReasonRefused
	case code == codeProtocol, code == codeFlowControl, code == codeFrameSize, code == codeStreamClosed, code == codeCompression:
		reason = stream.ReasonProtocol
	case code == codeInternal:
		reason = stream.ReasonClosed
	}
	s.vanish(causePeer, reason)
}

// goAway: streams above last were not seen, and may be tried elsewhere.
func (c *ClientConn) goAway(last uint32) {
	c.losing()
	for s := c.first; s != nil; {
		if s.id != 0 && s.id <= last {
			s = s.next
			continue
		}
		reason := stream.ReasonRefused
		if s.id == 0 {
			reason = stream.ReasonUnsent
		}
		s.vanish(causePeer, reason)
		// What was called may have ended any other: from the start.
		s = c.first
	}
	c.schedule()
}

func (c *ClientConn) losing() {
	c.leaving = true
	if !c.told {
		c.told = true
		c.owner.ClientGone(c)
	}
}

func (c *ClientConn) turn() {
	if c.peer.settled && c.heldHeads > 0 {
		c.sendHeld()
	}
	if c.lastID >= maxStreamID-1 {
		c.losing()
	}
	// One call for each: an owner may open one exchange per call.
	for ; c.ended > 0 && c.Room() > 0; c.ended-- {
		c.owner.ClientRoom(c)
	}
	c.ended = 0
	if c.state != connOpen {
		return
	}
	if c.leaving && c.active == 0 {
		c.reserve(64)
		c.out = appendGoAway(c.out, 0, codeNone, "")
		c.linger(stream.ReasonNone)
	}
}

// sendHeld sends the extended CONNECTs that waited for the backend's SETTINGS.
func (c *ClientConn) sendHeld() {
	for s := c.first; s != nil; {
		h := s.held
		if h == nil {
			s = s.next
			continue
		}
		s.held = nil
		c.heldHeads--
		if !c.peer.connectProtocol {
			s.vanish(causeUs, stream.ReasonProtocol)
			s = c.first
			continue
		}
		next := s.next
		s.begin(h, s.sentEnd && s.sendQ.size == 0 && s.sendTrailers == nil)
		if s.sendQ.size == 0 && s.sendTrailers != nil {
			c.writeTrailers(s, s.sendTrailers)
		}
		s.widen(0)
		s = next
	}
}

func (c *ClientConn) tick(int64) int64 { return never }

func (c *ClientConn) closed() {}
