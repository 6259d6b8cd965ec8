package http2

import (
	"errors"

	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

// readBatch bounds what one connection reads in one turn of the loop, in bytes.
const readBatch = 1 << 20

// reader is the input of a conn.
type reader struct {
	in       []byte
	inStart  int
	inEnd    int
	reading  bool
	large    bool // the last read filled the buffer
	held     bool // reading stopped because too much waits to be written
	resumeAt func()
	waste    int // bytes read while lingering

	// prefaceLeft is what must still come of the client's preface.
	prefaceLeft string
	data        dataFrame
	// A header block under way: its stream, flags and fragments so far.
	blockID    uint32
	blockEnd   bool
	blockParts int
	blockBuf   []byte

	dec     *hpack.Decoder
	block   block
	scratch message.Head
}

// dataFrame is a DATA frame that is being read; it is delivered as it comes.
type dataFrame struct {
	stream *h2stream // nil: gone, the rest is thrown away
	active bool
	end    bool
	left   int
	pad    int
}

// read takes what is there until there is nothing more.
func (c *conn) read() {
	if c.reading {
		return
	}
	c.reading = true
	for total := 0; c.mayRead(); {
		if total >= readBatch {
			c.yield()
			break
		}
		c.makeRoom()
		room := c.in[c.inEnd:]
		n, err := c.nc.Read(room)
		if err != nil {
			if !errors.Is(err, evloop.ErrAgain) {
				c.lost(c.lossReason())
			}
			break
		}
		total += n
		c.large = n == len(room)
		c.inEnd += n
		c.lastRead, c.pingAt = c.loop.Now(), 0
		c.consume()
	}
	c.reading = false
	if c.inStart == c.inEnd || c.state == connClosed {
		c.dropInput()
	}
}

// mayRead also stops a peer that asks and never takes the answers.
func (c *conn) mayRead() bool {
	if c.state == connClosed {
		return false
	}
	if c.pending() > outHigh {
		c.held = true
	}
	return !c.held
}

// yield lets the other connections of the loop have their turn.
func (c *conn) yield() {
	if c.resumeAt == nil {
		c.resumeAt = c.read
	}
	c.loop.Post(c.resumeAt)
}

// consume handles what was read.
func (c *conn) consume() {
	if c.state == connOpen {
		if err := c.process(); err != nil {
			c.fail(err)
		}
	}
	if c.state == connLinger {
		c.waste += c.inEnd - c.inStart
		c.inStart, c.inEnd = 0, 0
		if c.waste > lingerBytes {
			c.lost(c.lossReason())
		}
	}
}

// makeRoom sees to it that something can be read behind what is there.
func (c *conn) makeRoom() {
	size := evloop.SmallBuffer
	if c.large || c.inEnd-c.inStart >= frameHeaderLen && c.frameLen() > size {
		size = evloop.LargeBuffer
	}
	if c.inStart == c.inEnd {
		c.inStart, c.inEnd = 0, 0
	}
	if len(c.in) >= size && c.inEnd < len(c.in) && (c.inStart == 0 || len(c.in)-c.inEnd >= 1024) {
		return
	}
	old := c.in
	if len(old) < size {
		c.in = c.loop.Buffer(size)
	}
	n := copy(c.in, old[c.inStart:c.inEnd])
	c.inStart, c.inEnd = 0, n
	if len(old) > 0 && &old[0] != &c.in[0] {
		c.loop.Release(old)
	}
}

// frameLen is the size of the frame that waits to be complete.
func (c *conn) frameLen() int {
	if c.data.active || c.prefaceLeft != "" {
		return 0
	}
	return frameHeaderLen + parseFrameHeader(c.in[c.inStart:]).length
}

// dropInput gives the buffer back; an idle connection holds none.
func (c *conn) dropInput() {
	if !c.reading {
		c.loop.Release(c.in)
		c.in, c.inStart, c.inEnd = nil, 0, 0
	}
}

// process handles the frames that are complete.
func (c *conn) process() error {
	for c.state == connOpen {
		if c.data.active {
			if !c.takeData() {
				return nil
			}
			continue
		}
		if more, err := c.nextFrame(); !more || err != nil {
			return err
		}
	}
	return nil
}

// nextFrame handles one frame, of DATA only the beginning; it reports false when
// more bytes are needed.
func (c *conn) nextFrame() (bool, error) {
	if c.prefaceLeft != "" {
		if err := c.takePreface(); err != nil {
			return false, err
		}
	}
	p := c.in[c.inStart:c.inEnd]
	if len(p) < frameHeaderLen {
		return false, nil
	}
	h := parseFrameHeader(p)
	if err := c.judge(h); err != nil {
		return false, err
	}
	if h.typ == frameData {
		return c.beginData(h, p[frameHeaderLen:])
	}
	size := frameHeaderLen + h.length
	if len(p) < size {
		return false, nil
	}
	c.inStart += size
	return true, c.frame(h, p[frameHeaderLen:size])
}

// takePreface compares what came of the preface; when something is missing,
// nothing is left to read.
func (c *conn) takePreface() error {
	p := c.in[c.inStart:c.inEnd]
	n := min(len(p), len(c.prefaceLeft))
	if string(p[:n]) != c.prefaceLeft[:n] {
		return &connError{codeProtocol, "not the HTTP/2 preface"}
	}
	c.prefaceLeft = c.prefaceLeft[n:]
	c.inStart += n
	return nil
}

// judge refuses frames that may not come now.
func (c *conn) judge(h frameHeader) error {
	switch {
	case h.length > maxFrame:
		return &connError{codeFrameSize, "frame larger than SETTINGS_MAX_FRAME_SIZE"}
	case !c.peer.settled && (h.typ != frameSettings || h.has(flagAck)):
		return &connError{codeProtocol, "the first frame is not SETTINGS"}
	case c.blockID != 0 && (h.typ != frameContinuation || h.id != c.blockID):
		return &connError{codeProtocol, "frame inside a header block"}
	case c.blockID == 0 && h.typ == frameContinuation:
		return &connError{codeProtocol, "CONTINUATION without a header block"}
	}
	return nil
}

// beginData starts a DATA frame; it reports false when more bytes are needed.
func (c *conn) beginData(h frameHeader, p []byte) (bool, error) {
	d := dataFrame{active: true, end: h.has(flagEndStream), left: h.length}
	used := frameHeaderLen
	if h.has(flagPadded) {
		if h.length == 0 {
			return false, &connError{codeFrameSize, "padded frame without a pad length"}
		}
		if len(p) == 0 {
			return false, nil
		}
		d.pad = int(p[0])
		d.left -= 1 + d.pad
		used++
		if d.left < 0 {
			return false, &connError{codeProtocol, "padding as long as the frame or longer"}
		}
	}
	c.inStart += used
	if h.id == 0 {
		return false, &connError{codeProtocol, "DATA on stream 0"}
	}
	s, err := c.admitData(h, d)
	if err != nil {
		return false, err
	}
	d.stream = s
	c.data = d
	// Nobody waits for padding.
	if padding := int64(h.length - d.left); padding > 0 {
		c.consumed(padding)
		if s != nil {
			s.unacked += padding
		}
	}
	return true, nil
}

// admitData charges the windows and finds who gets the frame; nil: nobody.
func (c *conn) admitData(h frameHeader, d dataFrame) (*h2stream, error) {
	if c.recvWindow -= int64(h.length); c.recvWindow < 0 {
		return nil, &connError{codeFlowControl, "more than the window of the connection"}
	}
	if d.left > 0 {
		c.floods.earn(4)
	} else if !d.end {
		if err := c.cheap(1); err != nil {
			return nil, err
		}
	}
	s := c.find(h.id)
	if s == nil {
		return nil, c.dataOnClosed(h.id)
	}
	switch {
	case s.recvEnd:
		return nil, c.streamError(h.id, s, codeStreamClosed)
	case s.expectsHead():
		return nil, c.streamError(h.id, s, codeProtocol)
	}
	if s.recvWindow -= int64(h.length); s.recvWindow < 0 {
		return nil, c.streamError(h.id, s, codeFlowControl)
	}
	if !s.fits(d) {
		return nil, c.streamError(h.id, s, codeProtocol)
	}
	return s, nil
}

// fits says that the frame agrees with the content-length.
func (s *h2stream) fits(d dataFrame) bool {
	if s.bodyLeft < 0 {
		return true
	}
	s.bodyLeft -= int64(d.left)
	return s.bodyLeft == 0 || s.bodyLeft > 0 && !d.end
}

func (c *conn) dataOnClosed(id uint32) error {
	if c.idle(id) {
		return &connError{codeProtocol, "DATA on an idle stream"}
	}
	if c.graves.cause(id) == causeUs {
		return c.cheap(1)
	}
	return c.streamError(id, nil, codeStreamClosed)
}

// idle says that no such stream was opened yet.
func (c *conn) idle(id uint32) bool { return id&1 == 0 || id > c.lastID }

// takeData delivers what is there of a DATA frame; it reports false when more
// bytes are needed.
func (c *conn) takeData() bool {
	d := &c.data
	p := c.in[c.inStart:c.inEnd]
	if d.left > 0 && len(p) == 0 {
		return false
	}
	if d.left > 0 || d.end {
		p = p[:min(len(p), d.left)]
		d.left -= len(p)
		c.inStart += len(p)
		end := d.end && d.left == 0
		if end {
			d.end = false
		}
		if s := d.stream; s != nil {
			s.receive(p, end)
		} else {
			c.consumed(int64(len(p)))
		}
		if d.left > 0 || c.state != connOpen {
			return c.state == connOpen
		}
	}
	n := min(d.pad, c.inEnd-c.inStart)
	d.pad -= n
	c.inStart += n
	if d.pad > 0 {
		return false
	}
	c.data = dataFrame{}
	return true
}

// consumed gives credit for the connection back, in batches.
func (c *conn) consumed(n int64) {
	c.unacked += n
	if c.unacked*2 >= c.limits.connWindow && c.state == connOpen {
		c.reserve(16)
		c.out = appendWindowUpdate(c.out, 0, c.unacked)
		c.recvWindow += c.unacked
		c.unacked = 0
		c.schedule()
	}
}
