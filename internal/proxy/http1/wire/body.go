package wire

import (
	"bytes"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// Body takes a message's content out of its framing.
type Body struct {
	kind  Kind
	state chunkState
	ended bool
	// left is how many bytes of the content, or of the chunk, are to come.
	left int64
	// digits of a chunk's size, then bytes of its extensions.
	digits   int
	trailers message.Head
	parser   Parser
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkCR
	chunkLF
	chunkTrailers
)

const (
	// maxDigits keeps a size below 2^60.
	maxDigits = 15
	// maxExtension bounds the extensions of one chunk, in bytes. Nobody uses
	// them; they are dropped.
	maxExtension = 1024
	// maxTrailers bounds the trailer section in bytes.
	maxTrailers = 8 << 10
)

// Start begins a body that is framed as f says.
func (b *Body) Start(f *Framing, limits Limits) {
	b.kind, b.state, b.ended = f.Kind, chunkSize, f.Kind == NoBody
	b.left, b.digits = 0, 0
	if f.Kind == ByLength {
		b.left = f.Length
	}
	b.parser.Reset()
	b.parser.Limits = limits
	b.parser.Limits.Head = min(limits.Head, maxTrailers)
	b.trailers.Fields = b.trailers.Fields[:0]
}

// Ended says that the whole body, trailers included, was taken.
func (b *Body) Ended() bool { return b.ended }

// Trailers are the fields after the body. They alias what was given to Next.
func (b *Body) Trailers() []message.Field { return b.trailers.Fields }

// Next takes n bytes from the begin of p; data, a part of those, is content. It
// must be called again with what is left, until the body has ended or n is 0: then
// more bytes are needed behind those in p.
func (b *Body) Next(p []byte) (data []byte, n int, fault Fault) {
	switch b.kind {
	case ByLength:
		n = len(p)
		if int64(n) >= b.left {
			n = int(b.left)
			b.ended = true
		}
		b.left -= int64(n)
		return p[:n], n, None
	case Chunked:
		return b.chunk(p)
	case UntilClose, Tunnel:
		return p, len(p), None
	default:
		return nil, 0, None
	}
}

// chunk decodes up to the end of the first piece of content.
func (b *Body) chunk(p []byte) (data []byte, n int, fault Fault) {
	for n < len(p) && b.state != chunkTrailers {
		if b.state == chunkData {
			take := min(int64(len(p)-n), b.left)
			data = p[n : n+int(take)]
			n += int(take)
			if b.left -= take; b.left == 0 {
				b.state = chunkCR
				n += b.last(p[n:])
			}
			return data, n, None
		}
		if fault := b.frame(p[n]); fault != None {
			return nil, 0, fault
		}
		n++
	}
	if b.state != chunkTrailers || n == len(p) {
		return nil, n, None
	}
	t, fault := b.parser.trailers(p[n:], &b.trailers)
	if fault == FaultHeadLong {
		fault = FaultTrailersLong
	}
	b.ended = t > 0
	return nil, n + t, fault
}

// last sees whether the end of the body follows right away, as it does for most
// small ones, so that the last part of the content is known to be the last.
func (b *Body) last(p []byte) int {
	const end = "\r\n0\r\n\r\n"
	if len(p) >= len(end) && bytes.Equal(p[:len(end)], []byte(end)) {
		b.ended = true
		return len(end)
	}
	return 0
}

// frame takes one byte that is not content.
func (b *Body) frame(c byte) Fault {
	switch b.state {
	case chunkSize:
		return b.size(c)
	case chunkExtension:
		return b.extension(c)
	case chunkSizeLF:
		if c != '\n' {
			return FaultBareCR
		}
		b.state = chunkData
		if b.left == 0 {
			b.state = chunkTrailers
		}
	case chunkCR:
		if c != '\r' {
			return FaultChunkEnd
		}
		b.state = chunkLF
	default: // chunkLF
		if c != '\n' {
			return FaultChunkEnd
		}
		b.state, b.left, b.digits = chunkSize, 0, 0
	}
	return None
}

func (b *Body) size(c byte) Fault {
	if classes[c]&isHex != 0 {
		if b.digits++; b.digits > maxDigits {
			return FaultChunkSize
		}
		b.left = b.left<<4 | int64(hexValue(c))
		return None
	}
	switch {
	case c == '\n':
		return FaultBareLF
	case b.digits == 0:
		return FaultChunkSize
	case c == '\r':
		b.state = chunkSizeLF
	case c == ';':
		b.state, b.digits = chunkExtension, 0
	default:
		return FaultChunkSize
	}
	return None
}

func (b *Body) extension(c byte) Fault {
	switch {
	case c == '\r':
		b.state = chunkSizeLF
	case c == '\n':
		return FaultBareLF
	case c < ' ' && c != '\t', c == 0x7f:
		return FaultChunkExtension
	default:
		if b.digits++; b.digits > maxExtension {
			return FaultChunkExtension
		}
	}
	return None
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
