package http1

import "github.com/tatami-platform/tatami/internal/proxy/evloop"

// input is what was read and not used yet. While an exchange is open, the bytes
// of its head stay where they are, since its strings alias them: below floor, or
// in pin when a larger buffer took over.
type input struct {
	loop *evloop.Loop
	buf  []byte
	pin  []byte
	// buf[r:w] is unused; nothing below floor may be overwritten.
	floor, r, w int
	// full counts reads that filled all the space there was, total the bytes of
	// this exchange. large: the one before was so large that this one begins with
	// a large buffer.
	full  int
	total int
	large bool
}

// minSpace is the space in bytes below which reading is not worth a call.
const minSpace = 1 << 10

func (in *input) bytes() []byte { return in.buf[in.r:in.w] }

func (in *input) len() int { return in.w - in.r }

// space is where to read to. It is empty only when the buffer holds nothing but
// unused bytes and pinned ones.
func (in *input) space() []byte {
	if in.buf == nil {
		size := evloop.SmallBuffer
		if in.large {
			size = evloop.LargeBuffer
		}
		in.buf = in.loop.Buffer(size)
		in.floor, in.r, in.w, in.full = 0, 0, 0, 0
	}
	if in.r == in.w {
		in.r, in.w = in.floor, in.floor
	}
	if len(in.buf)-in.w < minSpace && in.r > in.floor {
		in.w = in.floor + copy(in.buf[in.floor:], in.buf[in.r:in.w])
		in.r = in.floor
	}
	return in.buf[in.w:]
}

// take notes that n bytes were read into space, which had room for of.
func (in *input) take(n, of int) {
	in.w += n
	in.total += n
	if n == of {
		in.full++
	}
}

// use consumes n bytes.
func (in *input) use(n int) { in.r += n }

// pinHead consumes the n bytes of a head, which stay valid until unpin.
func (in *input) pinHead(n int) {
	in.r += n
	in.floor = in.r
}

// widen goes on in a large buffer. It reports false when there is none larger.
func (in *input) widen() bool {
	if len(in.buf) >= evloop.LargeBuffer && in.floor == 0 {
		return false
	}
	old := in.buf
	in.buf = in.loop.Buffer(evloop.LargeBuffer)
	in.w = copy(in.buf, old[in.r:in.w])
	in.r = 0
	switch {
	case in.floor == 0:
		in.loop.Release(old)
	case in.pin == nil:
		in.pin = old
	default:
		// A second one that heads alias, after long 1xx heads: the garbage
		// collector's.
	}
	in.floor = 0
	return true
}

// roomy makes room for a body: behind a long head, or when it fills every read.
func (in *input) roomy() {
	room := len(in.buf) - in.floor
	if in.buf == nil || in.len() > 0 || room >= evloop.LargeBuffer/2 {
		return
	}
	if in.full > 0 || room < 2*minSpace {
		in.widen()
	}
}

// unpin says that the exchange is over.
func (in *input) unpin() {
	in.large = in.total > evloop.SmallBuffer
	in.floor, in.full, in.total = 0, 0, 0
	if in.pin != nil {
		in.loop.Release(in.pin)
		in.pin = nil
	}
}

// rest gives the buffer back if nothing lies in it.
func (in *input) rest() {
	if in.buf != nil && in.r == in.w && in.floor == 0 {
		in.loop.Release(in.buf)
		in.buf = nil
		in.r, in.w = 0, 0
	}
}

// drop gives everything back.
func (in *input) drop() {
	in.r, in.w = 0, 0
	in.unpin()
	in.rest()
}
