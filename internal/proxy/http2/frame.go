package http2

import (
	"encoding/binary"
	"fmt"
)

// Frame types (RFC 9113 section 6). Frames are read in place here and not by
// x/net's Framer, which copies every payload and allocates for every HEADERS.
const (
	frameData uint8 = iota
	frameHeaders
	framePriority
	frameRSTStream
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

const (
	flagEndStream  uint8 = 0x1
	flagAck        uint8 = 0x1
	flagEndHeaders uint8 = 0x4
	flagPadded     uint8 = 0x8
	flagPriority   uint8 = 0x20
)

const (
	frameHeaderLen = 9
	// maxFrame is SETTINGS_MAX_FRAME_SIZE in both directions: the least that is
	// allowed, so that a small response never waits behind a huge frame.
	maxFrame = 16 << 10
	// defaultWindow is what both sides begin with (RFC 9113 section 6.9.2).
	defaultWindow = 65535
	maxWindow     = 1<<31 - 1
	maxStreamID   = 1<<31 - 1
	preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// Settings (RFC 9113 section 6.5.2, RFC 8441 section 3).
const (
	settingHeaderTableSize   uint16 = 1
	settingEnablePush        uint16 = 2
	settingMaxStreams        uint16 = 3
	settingInitialWindow     uint16 = 4
	settingMaxFrameSize      uint16 = 5
	settingMaxHeaderListSize uint16 = 6
	settingConnectProtocol   uint16 = 8
)

// errCode is an error code of RFC 9113 section 7.
type errCode uint32

const (
	codeNone errCode = iota
	codeProtocol
	codeInternal
	codeFlowControl
	codeSettingsTimeout
	codeStreamClosed
	codeFrameSize
	codeRefused
	codeCancel
	codeCompression
	codeConnect
	codeEnhanceYourCalm
)

// connError ends the connection with a GOAWAY.
type connError struct {
	code errCode
	why  string
}

// Error says what the peer did.
func (e *connError) Error() string { return fmt.Sprintf("http2: %s (code %d)", e.why, e.code) }

type frameHeader struct {
	length int
	typ    uint8
	flags  uint8
	id     uint32
}

func (h frameHeader) has(flag uint8) bool { return h.flags&flag != 0 }

// parseFrameHeader reads the first 9 bytes of p.
func parseFrameHeader(p []byte) frameHeader {
	_ = p[8]
	return frameHeader{
		length: int(p[0])<<16 | int(p[1])<<8 | int(p[2]),
		typ:    p[3],
		flags:  p[4],
		id:     binary.BigEndian.Uint32(p[5:]) & maxStreamID,
	}
}

func appendFrameHeader(dst []byte, length int, typ, flags uint8, id uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), typ, flags,
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func putLength(frame []byte, length int) {
	frame[0], frame[1], frame[2] = byte(length>>16), byte(length>>8), byte(length)
}

func appendRSTStream(dst []byte, id uint32, code errCode) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHeader(dst, 4, frameRSTStream, 0, id), uint32(code))
}

func appendWindowUpdate(dst []byte, id uint32, n int64) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHeader(dst, 4, frameWindowUpdate, 0, id), uint32(n))
}

func appendPing(dst []byte, flags uint8, data []byte) []byte {
	return append(appendFrameHeader(dst, 8, framePing, flags, 0), data[:8]...)
}

// appendGoAway carries why as debug data, which saves its reader a dump.
func appendGoAway(dst []byte, last uint32, code errCode, why string) []byte {
	dst = appendFrameHeader(dst, 8+len(why), frameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, why...)
}

type setting struct {
	id    uint16
	value uint32
}

func appendSettings(dst []byte, settings ...setting) []byte {
	dst = appendFrameHeader(dst, 6*len(settings), frameSettings, 0, 0)
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, s.id)
		dst = binary.BigEndian.AppendUint32(dst, s.value)
	}
	return dst
}

// unpad takes the padding off a payload of a frame with the PADDED flag.
func unpad(h frameHeader, p []byte) ([]byte, error) {
	if !h.has(flagPadded) {
		return p, nil
	}
	if len(p) == 0 {
		return nil, &connError{codeFrameSize, "padded frame without a pad length"}
	}
	pad := int(p[0])
	if pad > len(p)-1 {
		return nil, &connError{codeProtocol, "padding as long as the frame or longer"}
	}
	return p[1 : len(p)-pad], nil
}
