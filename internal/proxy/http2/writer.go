package http2

import (
	"errors"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

const (
	// outData bounds how much lies in the output before DATA waits in the queues
	// of the streams, where a small answer can overtake a large one.
	outData = 56 << 10
	// Above outHigh, which only heads and answers to the peer can reach, nothing
	// is read; below outLow it is again.
	outHigh = 256 << 10
	outLow  = 64 << 10
	// writeBatch is how much one connection writes in one turn of the loop.
	writeBatch = 512 << 10
	// Room of a stream's queue.
	roomHigh = 64 << 10
	roomLow  = 16 << 10
)

// writer is the output of a conn.
type writer struct {
	out      []byte
	outStart int
	flushed  int64 // bytes ever given to the socket
	blocked  bool
	deferred bool
	shut     bool
	broken   error
	progress int64 // when the socket last took something
	// turnBytes were written in the turn that began at turnAt. yielded: enough for
	// one turn, the rest is posted to the next.
	turnAt    int64
	turnBytes int
	yielded   bool
	goOn      func()

	enc        encoder
	sendWindow int64
	ready      ring
}

func (w *writer) pending() int { return len(w.out) - w.outStart }

// reserve makes room for n bytes, so that append moves nothing.
func (c *conn) reserve(n int) {
	if cap(c.out)-len(c.out) >= n {
		return
	}
	pending := c.out[c.outStart:]
	if c.outStart >= n && cap(c.out)-len(pending) >= n && len(pending) <= c.outStart {
		c.out = c.out[:copy(c.out, pending)]
		c.outStart = 0
		return
	}
	size := len(pending) + n
	if size > evloop.LargeBuffer {
		size *= 2
	}
	grown := append(c.loop.Buffer(size)[:0], pending...)
	c.loop.Release(c.out)
	c.out, c.outStart = grown, 0
}

// write gives the output to the socket once.
func (c *conn) write() {
	n, err := c.nc.Write(c.out[c.outStart:], nil)
	if n > 0 {
		c.flushed += int64(n)
		c.outStart += n
		c.progress = c.loop.Now()
		if c.turnAt != c.progress {
			c.turnAt, c.turnBytes = c.progress, 0
		}
		c.turnBytes += n
	}
	if c.outStart == len(c.out) {
		c.out, c.outStart = c.out[:0], 0
	}
	switch {
	case err == nil:
	case errors.Is(err, evloop.ErrAgain):
		if !c.blocked {
			c.blocked = true
			c.progress = c.loop.Now()
			c.wake(c.progress + c.limits.write)
		}
	default:
		c.broken = err
		c.schedule()
	}
}

// flush writes all that can be written.
func (c *conn) flush() {
	for !c.blocked && c.broken == nil {
		c.fill()
		if c.state == connClosed || c.pending() == 0 {
			break
		}
		if c.spent() {
			c.yieldWrites()
			return
		}
		c.write()
	}
	switch {
	case c.state == connClosed:
	case c.broken != nil:
		// What the peer has sent may say why, or complete a response.
		c.read()
		c.lost(c.lossReason())
	case c.pending() == 0:
		c.loop.Release(c.out)
		c.out, c.outStart = nil, 0
		if c.state == connLinger && !c.shut {
			c.shut = true
			_ = c.nc.CloseWrite()
		}
	}
}

// spent says that this turn's share is written: a peer that takes as fast as we
// give must not keep the loop from the others.
func (c *conn) spent() bool { return c.turnBytes >= writeBatch && c.turnAt == c.loop.Now() }

func (c *conn) yieldWrites() {
	if c.goOn == nil {
		c.goOn = func() {
			c.yielded = false
			c.schedule()
		}
	}
	c.yielded = true
	c.loop.Post(c.goOn)
}

// fill moves data from the queues of the streams to the output, a frame of each
// in turn, as far as windows allow.
func (c *conn) fill() {
	for c.ready.at != nil && c.sendWindow > 0 && c.pending() < outData && c.state == connOpen {
		s := c.ready.at
		if s.sendWindow <= 0 {
			c.ready.remove(s)
			continue
		}
		n := int(min(int64(s.sendQ.size), s.sendWindow, c.sendWindow, maxFrame))
		at := c.beginDataFrame(s, n)
		c.out = s.sendQ.moveTo(c.loop, c.out, n)
		if s.sendQ.size > 0 {
			c.ready.at = s.ringNext
		} else {
			c.ready.remove(s)
			s.drained(at)
		}
		if !s.dead && s.full && s.sendQ.size < roomLow {
			s.full = false
			if s.handler != nil && !s.sentEnd {
				s.handler.OnRoom()
			}
		}
	}
}

// beginDataFrame begins a DATA frame of n bytes without flags, charges the windows
// and returns where it is.
func (c *conn) beginDataFrame(s *h2stream, n int) int {
	c.reserve(frameHeaderLen + n)
	at := len(c.out)
	c.out = appendFrameHeader(c.out, n, frameData, 0, s.id)
	s.sendWindow -= int64(n)
	c.sendWindow -= int64(n)
	c.floods.earn(4)
	return at
}

// sendNow writes what of p can go straight to the output, and returns the rest.
func (c *conn) sendNow(s *h2stream, p []byte, end bool) []byte {
	for len(p) > 0 {
		n := int(min(int64(len(p)), s.sendWindow, c.sendWindow, maxFrame))
		if n <= 0 {
			break
		}
		if c.pending()+n > outData && c.pending() > 0 {
			if c.blocked || c.broken != nil || c.spent() {
				break
			}
			c.write()
			continue
		}
		at := c.beginDataFrame(s, n)
		c.out = append(c.out, p[:n]...)
		p = p[n:]
		if end && len(p) == 0 {
			c.out[at+4] |= flagEndStream
			s.wroteEnd = true
		}
	}
	return p
}

// beginHead begins a HEADERS frame that needs no more than size bytes.
func (c *conn) beginHead(s *h2stream, size int) int {
	c.reserve(frameHeaderLen + size)
	at := len(c.out)
	c.out = appendFrameHeader(c.out, 0, frameHeaders, flagEndHeaders, s.id)
	c.out = c.enc.begin(c.out)
	return at
}

// endHead completes the frame at, and splits it if it is too long.
func (c *conn) endHead(s *h2stream, at int, end bool) {
	if end {
		c.out[at+4] |= flagEndStream
		s.wroteEnd = true
	}
	c.schedule()
	length := len(c.out) - at - frameHeaderLen
	if length <= maxFrame {
		putLength(c.out[at:], length)
		return
	}
	block := slices.Clone(c.out[at+frameHeaderLen+maxFrame:])
	c.out = c.out[:at+frameHeaderLen+maxFrame]
	putLength(c.out[at:], maxFrame)
	c.out[at+4] &^= flagEndHeaders
	for len(block) > 0 {
		n := min(len(block), maxFrame)
		var flags uint8
		if n == len(block) {
			flags = flagEndHeaders
		}
		c.out = append(appendFrameHeader(c.out, n, frameContinuation, flags, s.id), block[:n]...)
		block = block[n:]
	}
}

// sizeOf is more than a block of the head can need.
func sizeOf(h *message.Head) int {
	return 256 + len(h.Method) + len(h.Path) + len(h.Authority) + len(h.Protocol) + sizeOfFields(h.Fields)
}

func sizeOfFields(fields []message.Field) int {
	n := 32
	for i := range fields {
		n += len(fields[i].Name) + len(fields[i].Value) + 16
	}
	return n
}

func (c *conn) writeResponse(s *h2stream, h *message.Head, end bool) {
	status := h.Status
	if status == 101 {
		status = 200 // RFC 8441 section 5
	}
	at := c.beginHead(s, sizeOf(h))
	c.out = appendStatus(c.out, status)
	c.writeFields(h.Fields)
	if h.Status >= 200 && h.Status != 204 {
		c.writeLength(h, end)
	}
	c.endHead(s, at, end)
}

func appendStatus(dst []byte, status int) []byte {
	for i, known := range [...]int{200, 204, 206, 304, 400, 404, 500} {
		if status == known {
			return append(dst, 0x80|byte(staticStatus200+i))
		}
	}
	return append(dst, staticStatus200, 3, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

func (c *conn) writeRequest(s *h2stream, h *message.Head, end bool) {
	at := c.beginHead(s, sizeOf(h))
	e := &c.enc
	tunnel := h.Method == "CONNECT" && h.Protocol == ""
	switch {
	case h.Protocol != "":
		c.out = e.field(c.out, 0, ":method", "CONNECT")
		c.out = e.field(c.out, 0, ":protocol", h.Protocol)
	case h.Method == "GET":
		c.out = e.indexed(c.out, staticMethodGET)
	case h.Method == "POST":
		c.out = e.indexed(c.out, staticMethodPOST)
	default:
		c.out = e.field(c.out, 0, ":method", h.Method)
	}
	if !tunnel {
		if h.Scheme == "https" {
			c.out = e.indexed(c.out, staticSchemeHTTPS)
		} else {
			c.out = e.indexed(c.out, staticSchemeHTTP)
		}
		if h.Path == "/" || h.Path == "" {
			c.out = e.indexed(c.out, staticPathRoot)
		} else {
			c.out = e.field(c.out, 0, ":path", h.Path)
		}
	}
	if h.Authority != "" {
		c.out = e.field(c.out, 0, ":authority", h.Authority)
	}
	c.writeFields(h.Fields)
	c.writeLength(h, end)
	c.endHead(s, at, end)
}

func (c *conn) writeFields(fields []message.Field) {
	for i := range fields {
		f := &fields[i]
		switch {
		case f.ID == message.IDTE && c.client:
		case f.ID.HopByHop(), f.ID == message.IDHost, f.ID == message.IDContentLength:
			continue
		}
		c.out = c.enc.field(c.out, f.ID, f.Name, f.Value)
	}
}

// writeLength leaves out a 0 that END_STREAM says already: trailers-only
// responses stay as they were.
func (c *conn) writeLength(h *message.Head, end bool) {
	if h.ContentLength > 0 || h.ContentLength == 0 && !end {
		c.out = c.enc.number(c.out, staticContentLength, h.ContentLength)
	}
}

func (c *conn) writeTrailers(s *h2stream, fields []message.Field) {
	at := c.beginHead(s, sizeOfFields(fields))
	c.writeFields(fields)
	c.endHead(s, at, true)
}

// refuse resets a stream that has no h2stream.
func (c *conn) refuse(id uint32) {
	c.limits.stats.Refused.Add(1)
	c.graves.bury(id, causeUs)
	c.reserve(16)
	c.out = appendRSTStream(c.out, id, codeRefused)
	c.schedule()
}

func codeOf(r stream.Reason, client bool) errCode {
	switch r {
	case stream.ReasonNone:
		if client {
			return codeCancel
		}
		return codeNone
	case stream.ReasonRefused, stream.ReasonUnsent:
		return codeRefused
	case stream.ReasonProtocol:
		return codeProtocol
	case stream.ReasonTooLarge:
		return codeEnhanceYourCalm
	case stream.ReasonInternal, stream.ReasonStale, stream.ReasonClosed:
		if client {
			return codeCancel
		}
		return codeInternal
	default:
		return codeCancel
	}
}
