package tunnel

import (
	"errors"
	"io"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

const (
	// turn bounds how many bytes one direction moves before others have theirs.
	turn = 2 << 20
	// A direction splices when a read has filled a large buffer, and copies again
	// when it got little more than so many times in a row: for small messages the
	// extra system calls cost more than the copy.
	little      = 16 << 10
	littleTimes = 4
)

// way is one direction.
type way struct {
	tunnel   *Tunnel
	src, dst evloop.Conn
	bytes    int64

	// held is the part of buf that dst has no room for yet.
	held []byte
	buf  []byte
	size int

	in    evloop.Splicer // nil: src or dst cannot splice
	out   evloop.Splicer
	pipe  *evloop.Pipe
	bulk  bool
	small int

	eof bool
	// shut: the end was passed on.
	shut bool
	// broken: the tunnel ends after this pump.
	broken bool
}

func newWay(t *Tunnel, src, dst evloop.Conn, initial []byte) way {
	w := way{tunnel: t, src: src, dst: dst, size: evloop.SmallBuffer}
	in, ok := src.(evloop.Splicer)
	if out, both := dst.(evloop.Splicer); ok && both {
		w.in, w.out = in, out
	}
	if len(initial) > 0 {
		w.buf = t.loop.Buffer(len(initial))
		w.held = w.buf[:copy(w.buf, initial)]
	}
	return w
}

// release gives back what the way holds.
func (w *way) release() {
	w.tunnel.loop.Release(w.buf)
	w.tunnel.loop.GivePipe(w.pipe)
	w.buf, w.held, w.pipe = nil, nil, nil
}

// pump moves bytes until the source has no more, the destination no room, or it
// is others' turn.
func (w *way) pump() {
	if w.shut {
		return
	}
	moved := 0
	for moved < turn {
		if !w.flush() {
			return
		}
		if w.eof {
			w.end()
			return
		}
		n, err := w.fill()
		moved += n
		switch {
		case err == nil:
		case errors.Is(err, evloop.ErrAgain):
			w.rest(moved)
			return
		case errors.Is(err, io.EOF):
			w.eof = true
		default:
			w.fail(err, w.src)
			return
		}
	}
	if !w.broken {
		w.tunnel.later()
	}
}

// flush hands on what is held; false: some is left, or the tunnel has ended.
func (w *way) flush() bool {
	var n int
	var err error
	switch {
	case len(w.held) > 0:
		n, err = w.dst.Write(w.held, nil)
		w.held = w.held[n:]
	case w.pipe != nil && w.pipe.Held() > 0:
		n, err = w.out.SpliceOut(w.pipe)
	default:
		return true
	}
	if n > 0 {
		w.bytes += int64(n)
		w.tunnel.moved = w.tunnel.loop.Now()
	}
	if err != nil && !errors.Is(err, evloop.ErrAgain) {
		w.fail(err, w.dst)
	}
	return err == nil
}

// fill reads into the buffer or the pipe, both of which are empty.
func (w *way) fill() (int, error) {
	if w.bulk && w.pipe == nil {
		w.splicing()
	}
	if w.bulk {
		n, err := w.in.SpliceIn(w.pipe)
		if errors.Is(err, errors.ErrUnsupported) {
			w.in, w.out = nil, nil
			w.copying()
			return 0, nil
		}
		return n, err
	}
	if len(w.buf) < w.size {
		w.tunnel.loop.Release(w.buf)
		w.buf = w.tunnel.loop.Buffer(w.size)
	}
	n, err := w.src.Read(w.buf)
	w.held = w.buf[:n]
	switch {
	case n < len(w.buf):
	case w.size < evloop.LargeBuffer:
		w.size = evloop.LargeBuffer
	case w.in != nil:
		w.splicing()
	}
	return n, err
}

func (w *way) splicing() {
	var err error
	if w.pipe, err = w.tunnel.loop.TakePipe(); err != nil {
		w.in, w.out = nil, nil // out of descriptors, or another system
		w.bulk = false
		return
	}
	w.bulk = true
}

func (w *way) copying() {
	w.tunnel.loop.GivePipe(w.pipe)
	w.pipe, w.bulk, w.small, w.size = nil, false, 0, evloop.SmallBuffer
}

// rest gives back what an idle connection does not need.
func (w *way) rest(moved int) {
	w.tunnel.loop.Release(w.buf)
	w.buf, w.held = nil, nil
	if !w.bulk {
		if moved < evloop.SmallBuffer {
			w.size = evloop.SmallBuffer
		}
		return
	}
	w.tunnel.loop.GivePipe(w.pipe)
	w.pipe = nil
	if w.small++; moved > little {
		w.small = 0
	}
	if w.small >= littleTimes {
		w.copying()
	}
}

// end passes the end on.
func (w *way) end() {
	w.shut = true
	w.release()
	// An error here means that dst is broken, and it tells of that itself.
	_ = w.dst.CloseWrite()
	w.tunnel.finish()
}

// fail ends the tunnel: a call on one of the connections has failed.
func (w *way) fail(err error, on evloop.Conn) {
	if w.broken {
		return // it ends anyway, and by the first cause
	}
	i := 0
	if on == w.tunnel.ways[1].src {
		i = 1
	}
	w.tunnel.end(err, i == 0)
}
