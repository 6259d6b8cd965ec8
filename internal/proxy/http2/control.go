package http2

import (
	"encoding/binary"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// frame handles a complete frame other than DATA.
func (c *conn) frame(h frameHeader, p []byte) error {
	switch h.typ {
	case frameHeaders:
		return c.onHeaders(h, p)
	case frameContinuation:
		return c.onContinuation(h, p)
	case frameWindowUpdate:
		return c.onWindowUpdate(h, p)
	case frameRSTStream:
		return c.onRSTStream(h, p)
	case frameSettings:
		return c.onSettings(h, p)
	case framePing:
		return c.onPing(h, p)
	case framePriority:
		return c.onPriority(h, p)
	case frameGoAway:
		return c.onGoAway(h, p)
	case framePushPromise:
		return &connError{codeProtocol, "PUSH_PROMISE, which was not allowed"}
	default:
		return c.cheap(1) // extensions are ignored (RFC 9113 section 5.5)
	}
}

func (c *conn) onHeaders(h frameHeader, p []byte) error {
	if h.id == 0 {
		return &connError{codeProtocol, "HEADERS on stream 0"}
	}
	p, err := unpad(h, p)
	if err != nil {
		return err
	}
	if h.has(flagPriority) {
		if len(p) < 5 {
			return &connError{codeFrameSize, "HEADERS too short for its priority"}
		}
		if dependsOnItself(h.id, p) {
			return &connError{codeProtocol, "stream that depends on itself"}
		}
		p = p[5:]
	}
	if h.has(flagEndHeaders) {
		return c.role.headers(h.id, p, h.has(flagEndStream))
	}
	c.blockID, c.blockEnd, c.blockParts = h.id, h.has(flagEndStream), 1
	c.blockBuf = append(c.blockBuf[:0], p...)
	return nil
}

// onContinuation bounds a block in bytes and in frames before it is decoded.
func (c *conn) onContinuation(h frameHeader, p []byte) error {
	c.blockParts++
	if c.blockParts > maxFragments || len(c.blockBuf)+len(p) > 2*c.limits.maxHeader {
		return errHeaderFlood
	}
	c.blockBuf = append(c.blockBuf, p...)
	if !h.has(flagEndHeaders) {
		return nil
	}
	id, block := c.blockID, c.blockBuf
	c.blockID, c.blockBuf = 0, nil // rare, and not worth keeping
	return c.role.headers(id, block, c.blockEnd)
}

func dependsOnItself(id uint32, p []byte) bool {
	return binary.BigEndian.Uint32(p)&maxStreamID == id
}

func (c *conn) onPriority(h frameHeader, p []byte) error {
	switch {
	case h.id == 0:
		return &connError{codeProtocol, "PRIORITY on stream 0"}
	case len(p) != 5:
		if s := c.find(h.id); s != nil {
			return c.streamError(h.id, s, codeFrameSize)
		}
		return &connError{codeFrameSize, "PRIORITY of the wrong length"}
	case dependsOnItself(h.id, p):
		return &connError{codeProtocol, "stream that depends on itself"}
	}
	return c.cheap(1)
}

func (c *conn) onWindowUpdate(h frameHeader, p []byte) error {
	if len(p) != 4 {
		return &connError{codeFrameSize, "WINDOW_UPDATE of the wrong length"}
	}
	if err := c.cheap(1); err != nil {
		return err
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	if h.id == 0 {
		return c.widen(n)
	}
	if c.idle(h.id) {
		return &connError{codeProtocol, "WINDOW_UPDATE on an idle stream"}
	}
	s := c.find(h.id)
	switch {
	case s == nil:
		return nil
	case n == 0:
		return c.streamError(h.id, s, codeProtocol)
	case s.sendWindow+n > maxWindow:
		return c.streamError(h.id, s, codeFlowControl)
	}
	s.widen(n)
	return nil
}

func (c *conn) widen(n int64) error {
	switch {
	case n == 0:
		return &connError{codeProtocol, "WINDOW_UPDATE of 0"}
	case c.sendWindow+n > maxWindow:
		return &connError{codeFlowControl, "window of the connection over 2^31-1"}
	}
	c.sendWindow += n
	if c.ready.at != nil {
		c.schedule()
	}
	return nil
}

// widen changes the window by n, which is negative when SETTINGS took it back.
func (s *h2stream) widen(n int64) {
	s.sendWindow += n
	if s.sendWindow > 0 && s.sendQ.size > 0 && s.held == nil {
		s.c.ready.add(s)
		s.c.schedule()
	}
}

func (c *conn) onRSTStream(h frameHeader, p []byte) error {
	switch {
	case len(p) != 4:
		return &connError{codeFrameSize, "RST_STREAM of the wrong length"}
	case h.id == 0:
		return &connError{codeProtocol, "RST_STREAM on stream 0"}
	case c.idle(h.id):
		return &connError{codeProtocol, "RST_STREAM on an idle stream"}
	}
	s := c.find(h.id)
	if s == nil {
		return c.cheap(1)
	}
	code := errCode(binary.BigEndian.Uint32(p))
	if c.client {
		s.stopped(code)
		return nil
	}
	// Rapid reset: whatever was begun for the stream was in vain.
	if err := c.early(s); err != nil {
		return err
	}
	s.vanish(causePeer, stream.ReasonCancel)
	return nil
}

func (c *conn) onSettings(h frameHeader, p []byte) error {
	switch {
	case h.id != 0:
		return &connError{codeProtocol, "SETTINGS on a stream"}
	case h.has(flagAck) && len(p) != 0, len(p)%6 != 0:
		return &connError{codeFrameSize, "SETTINGS of the wrong length"}
	}
	if err := c.cheap(1 + int64(len(p)/6)); err != nil {
		return err
	}
	if h.has(flagAck) {
		c.acked = true
		return nil
	}
	for ; len(p) > 0; p = p[6:] {
		if err := c.apply(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	c.peer.settled = true
	c.reserve(frameHeaderLen)
	c.out = appendFrameHeader(c.out, 0, frameSettings, flagAck, 0)
	c.schedule()
	return nil
}

func (c *conn) apply(id uint16, value uint32) error {
	switch id {
	case settingHeaderTableSize:
		c.enc.resize(value)
	case settingEnablePush:
		if value > 1 || c.client && value == 1 {
			return &connError{codeProtocol, "SETTINGS_ENABLE_PUSH out of range"}
		}
	case settingMaxStreams:
		c.peer.maxStreams = value
		c.ended++ // there may be more room
	case settingInitialWindow:
		return c.applyWindow(value)
	case settingMaxFrameSize:
		if value < maxFrame || value > 1<<24-1 {
			return &connError{codeProtocol, "SETTINGS_MAX_FRAME_SIZE out of range"}
		}
	case settingConnectProtocol:
		return c.applyConnect(value)
	}
	return nil
}

func (c *conn) applyConnect(value uint32) error {
	if value > 1 || value == 0 && c.peer.connectProtocol {
		return &connError{codeProtocol, "SETTINGS_ENABLE_CONNECT_PROTOCOL out of range"}
	}
	c.peer.connectProtocol = value == 1
	return nil
}

// applyWindow changes the windows of all streams (RFC 9113 section 6.9.2).
func (c *conn) applyWindow(value uint32) error {
	if value > maxWindow {
		return &connError{codeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE over 2^31-1"}
	}
	delta := int64(value) - c.peer.initialWindow
	c.peer.initialWindow = int64(value)
	for s := c.first; s != nil; s = s.next {
		if s.sendWindow+delta > maxWindow {
			return &connError{codeFlowControl, "window of a stream over 2^31-1"}
		}
		s.widen(delta)
	}
	return nil
}

func (c *conn) onPing(h frameHeader, p []byte) error {
	switch {
	case h.id != 0:
		return &connError{codeProtocol, "PING on a stream"}
	case len(p) != 8:
		return &connError{codeFrameSize, "PING of the wrong length"}
	}
	if err := c.cheap(1); err != nil {
		return err
	}
	if h.has(flagAck) {
		if string(p) == drainPing {
			c.drainPong = true
			c.schedule()
		}
		return nil
	}
	c.reserve(32)
	c.out = appendPing(c.out, flagAck, p)
	c.schedule()
	return nil
}

func (c *conn) onGoAway(h frameHeader, p []byte) error {
	switch {
	case h.id != 0:
		return &connError{codeProtocol, "GOAWAY on a stream"}
	case len(p) < 8:
		return &connError{codeFrameSize, "GOAWAY of the wrong length"}
	}
	c.role.goAway(binary.BigEndian.Uint32(p) & maxStreamID)
	return c.cheap(1)
}

// trailers takes the second header block of a stream, and whatever else comes
// as one when it may not.
func (c *conn) trailers(s *h2stream, p []byte, end bool) error {
	id := s.id
	if err := c.decode(p, &c.scratch, trailerBlock); err != nil {
		return err
	}
	switch b := &c.block; {
	case s.recvEnd:
		return c.streamError(id, s, codeStreamClosed)
	case b.tooLarge:
		c.limits.stats.TooLarge.Add(1)
		return c.streamError(id, s, codeEnhanceYourCalm)
	case !end, b.bad != "", s.bodyLeft > 0:
		return c.streamError(id, s, codeProtocol)
	}
	s.receiveTrailers(c.scratch.Fields)
	return nil
}

// onClosed judges a header block of a stream that is gone.
func (c *conn) onClosed(id uint32, p []byte) error {
	if err := c.skip(p); err != nil {
		return err
	}
	switch c.graves.cause(id) {
	case causeUs:
		return c.cheap(1)
	case causeUnknown:
		return &connError{codeProtocol, "stream identifier that is not larger than the last"}
	default:
		return &connError{codeStreamClosed, "HEADERS on a closed stream"}
	}
}

// expectBody notes how much the head said would follow.
func (s *h2stream) expectBody(h *message.Head, end bool) {
	s.recvEnd = end
	s.bodyLeft = h.ContentLength
}
