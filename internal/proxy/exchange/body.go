package exchange

import (
	"slices"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

// body keeps the request's body as far as it may have to be sent again, or could
// not be sent yet.
type body struct {
	buf []byte
	// complete: buf holds everything from the first byte on.
	complete bool
	trailers []message.Field
}

// defaultReplay is how much of a body is kept to ask again.
const defaultReplay = 64 << 10

func (b *body) reset(l *evloop.Loop) {
	l.Release(b.buf)
	*b = body{complete: true}
}

// keep appends p.
func (b *body) keep(l *evloop.Loop, p []byte) {
	if len(p) == 0 {
		return
	}
	need := len(b.buf) + len(p)
	if need > cap(b.buf) {
		// At least twice as large: a large body that grows bit by bit is not copied
		// at every bit.
		bigger := l.Buffer(max(need, 2*cap(b.buf)))[:len(b.buf)]
		copy(bigger, b.buf)
		l.Release(b.buf)
		b.buf = bigger
	}
	b.buf = append(b.buf, p...)
}

// forget gives up the possibility to ask again.
func (b *body) forget(l *evloop.Loop) {
	l.Release(b.buf)
	b.buf, b.complete = nil, false
}

// keepTrailers copies, for what a codec hands over is only borrowed.
func (b *body) keepTrailers(fields []message.Field) {
	b.trailers = cloneFields(fields)
}

func cloneFields(fields []message.Field) []message.Field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].Name = string([]byte(out[i].Name))
		out[i].Value = string([]byte(out[i].Value))
	}
	return out
}
