package http1

import (
	"errors"
	"io"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// link is what both sides of a connection have: buffers, the memory of edges, and
// the message that is being read and the one that is being written.
//
// Reading is a loop of small steps (see run of ServerConn and ClientConn). What is
// called from within it may do anything to the connection, except read: then
// running is set, and the loop looks at the state again after every call.
type link struct {
	loop *evloop.Loop
	conn evloop.Conn
	in   input
	out  output

	handler stream.Handler
	parser  wire.Parser
	head    message.Head
	framing wire.Framing
	body    wire.Body

	// ready remembers an edge: there may be something to read.
	ready bool
	// eof: the peer has closed its direction. readErr: the connection broke.
	eof     bool
	readErr error

	// budget is how many bytes this run may still read; again goes on when it
	// is used up, after other connections had their turn.
	budget  int
	again   func()
	yielded bool
	side    runner

	running   bool
	scheduled bool
	closed    bool
	paused    bool
	// wantRoom: SendData said that there is no room, and OnRoom is owed.
	wantRoom bool

	writing writeState
	// left is how much of the body by length is to be written, in bytes.
	left int64
	// chunkOpen: the last chunk lacks its CRLF.
	chunkOpen bool
}

// writeState is what has been written of the message.
type writeState uint8

const (
	writeHead writeState = iota // nothing yet
	writeLength
	writeChunked
	writeClose
	writeNothing // a body that is not sent, as with HEAD
	writeTunnel
	writeDone
)

// runner is the side that a link is part of.
type runner interface{ run() }

// runBytes is how much one connection may read before others have their turn.
const runBytes = 512 << 10

func (l *link) start(loop *evloop.Loop, conn evloop.Conn, side runner) {
	l.loop, l.conn, l.side = loop, conn, side
	l.in.loop, l.out.loop, l.out.conn = loop, loop, conn
}

// fill reads once, and reports whether bytes came. When not, eof, readErr or a
// cleared ready say why, unless the buffer is full.
func (l *link) fill() bool {
	if !l.ready || l.eof || l.readErr != nil {
		return false
	}
	if l.budget <= 0 {
		l.yield()
		return false
	}
	p := l.in.space()
	if len(p) == 0 {
		return false
	}
	n, err := l.conn.Read(p)
	l.noteRead(err)
	if n <= 0 {
		return false
	}
	l.in.take(n, len(p))
	l.budget -= n
	return true
}

// yield goes on reading in the next turn of the loop.
func (l *link) yield() {
	if l.yielded {
		return
	}
	l.yielded = true
	if l.again == nil {
		l.again = func() {
			l.yielded = false
			l.side.run()
		}
	}
	l.loop.Post(l.again)
}

func (l *link) noteRead(err error) {
	switch {
	case err == nil:
	case errors.Is(err, evloop.ErrAgain):
		l.ready = false
	case errors.Is(err, io.EOF):
		l.eof = true
	default:
		l.readErr = err
	}
}

// rest gives back what an idle connection does not need: the buffer, and the
// strings that would keep it from being freed.
func (l *link) rest() {
	l.in.rest()
	l.head.Reset()
}

// over says that nothing more will be read.
func (l *link) over() bool { return l.eof || l.readErr != nil }

// makeRoom reports whether there is room for more, and notes that it is asked for.
func (l *link) makeRoom() bool {
	if !l.out.room() {
		l.out.flush()
	}
	l.wantRoom = l.wantRoom || !l.out.room()
	return l.out.room()
}

// writeBody encodes a part of a body. It reports false when the part is not what
// the head has promised.
func (l *link) writeBody(p []byte, end bool) bool {
	switch l.writing {
	case writeLength:
		if int64(len(p)) > l.left || end && int64(len(p)) < l.left {
			return false
		}
		l.left -= int64(len(p))
		l.out.send(p)
	case writeChunked:
		l.writeChunk(p, end)
	case writeClose, writeTunnel:
		l.out.send(p)
	default:
	}
	return true
}

func (l *link) writeChunk(p []byte, end bool) {
	if len(p) > 0 {
		dst := l.out.reserve(wire.ChunkRoom + 2)
		if l.chunkOpen {
			dst = append(dst, "\r\n"...)
		}
		l.out.commit(wire.AppendChunkSize(dst, len(p)))
		l.out.send(p)
		l.chunkOpen = true
	}
	if end {
		l.endChunks(nil)
	}
}

// endChunks writes the last chunk and the trailers.
func (l *link) endChunks(fields []message.Field) {
	dst := l.out.reserve(wire.TrailersSize(fields) + 2)
	if l.chunkOpen {
		dst = append(dst, "\r\n"...)
		l.chunkOpen = false
	}
	l.out.commit(wire.AppendTrailers(dst, fields))
}

// closeChunk completes a chunk whose CRLF waited for the next one, which did not
// come in this turn: some readers give nothing on before they have seen it.
func (l *link) closeChunk() {
	if l.chunkOpen {
		l.chunkOpen = false
		l.out.commit(append(l.out.reserve(2), "\r\n"...))
	}
}
