package http1

import (
	"errors"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

const (
	// copyBelow is the size in bytes up to which a part of a body is copied
	// behind what is pending; above, it is written from where it lies.
	copyBelow = 4 << 10
	// highWater and lowWater bound what is pending before the source is asked to
	// pause, and to go on.
	highWater = 64 << 10
	lowWater  = 16 << 10
)

// output is what was not written yet.
type output struct {
	loop *evloop.Loop
	conn evloop.Conn
	segs []segment
	// size is the sum of the segments.
	size int
	// sent counts all bytes that the connection took.
	sent    int64
	blocked bool
	err     error
}

type segment struct {
	buf  []byte
	r, w int
}

// reserve returns a slice with room for n bytes more; commit takes it back.
func (o *output) reserve(n int) []byte {
	if k := len(o.segs); k > 0 {
		s := &o.segs[k-1]
		if len(s.buf)-s.w >= n {
			return s.buf[:s.w]
		}
	}
	buf := o.loop.Buffer(max(n, evloop.SmallBuffer))
	o.segs = append(o.segs, segment{buf: buf})
	return buf[:0]
}

func (o *output) commit(p []byte) {
	s := &o.segs[len(o.segs)-1]
	o.size += len(p) - s.w
	s.buf, s.w = p[:cap(p)], len(p)
}

// copyIn appends p to what is pending.
func (o *output) copyIn(p []byte) {
	for len(p) > 0 {
		k := len(o.segs) - 1
		if k < 0 || o.segs[k].w == len(o.segs[k].buf) {
			size := evloop.SmallBuffer
			if len(p) > size {
				size = evloop.LargeBuffer
			}
			o.segs = append(o.segs, segment{buf: o.loop.Buffer(size)})
			k++
		}
		s := &o.segs[k]
		n := copy(s.buf[s.w:], p)
		s.w += n
		o.size += n
		p = p[n:]
	}
}

// send takes p: small parts are copied, large ones go out behind what is pending
// with one call, and only what the connection does not take is copied.
func (o *output) send(p []byte) {
	if o.err != nil {
		return
	}
	if len(p) <= copyBelow || o.blocked || len(o.segs) > 1 {
		o.copyIn(p)
		return
	}
	var head []byte
	if len(o.segs) == 1 {
		head = o.segs[0].buf[o.segs[0].r:o.segs[0].w]
	}
	n, err := o.conn.Write(head, p)
	o.note(n, err)
	inHead := min(n, len(head))
	o.advance(inHead)
	o.copyIn(p[n-inHead:])
}

// flush writes as much as the connection takes.
func (o *output) flush() {
	for o.size > 0 && !o.blocked && o.err == nil {
		var next []byte
		first := o.segs[0].buf[o.segs[0].r:o.segs[0].w]
		if len(o.segs) > 1 {
			next = o.segs[1].buf[o.segs[1].r:o.segs[1].w]
		}
		n, err := o.conn.Write(first, next)
		o.note(n, err)
		o.advance(n)
	}
	if o.err != nil {
		o.drop()
	}
}

func (o *output) note(n int, err error) {
	o.sent += int64(n)
	switch {
	case err == nil:
	case errors.Is(err, evloop.ErrAgain):
		o.blocked = true
	default:
		o.err = err
	}
}

// advance drops n bytes from the front.
func (o *output) advance(n int) {
	o.size -= n
	done := 0
	for done < len(o.segs) {
		s := &o.segs[done]
		k := min(n, s.w-s.r)
		s.r += k
		n -= k
		if s.r < s.w {
			break
		}
		o.loop.Release(s.buf)
		done++
	}
	if done > 0 {
		left := copy(o.segs, o.segs[done:])
		clear(o.segs[left:])
		o.segs = o.segs[:left]
	}
}

// drop forgets what is pending.
func (o *output) drop() { o.advance(o.size) }

// room says that the source may go on.
func (o *output) room() bool { return o.size <= highWater }
