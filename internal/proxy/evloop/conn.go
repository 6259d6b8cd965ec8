package evloop

import (
	"errors"

	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// ErrAgain says that nothing can be read or written now; Events tells when.
var ErrAgain = errors.New("would block")

// ErrClosed is returned by a connection that was closed on this side.
var ErrClosed = errors.New("connection closed on this side")

// Conn is a byte stream that never waits. It is used on its loop only. TLS is a
// Conn above a Conn.
type Conn interface {
	// Read reads what is there: n > 0; or ErrAgain; or io.EOF when the peer has
	// closed its direction; or the error that ended the connection.
	Read(p []byte) (n int, err error)
	// Write writes a and then b with one system call. It returns how many bytes
	// of both were taken, and ErrAgain when not all were.
	Write(a, b []byte) (n int, err error)
	// CloseWrite tells the peer that nothing follows (a half-close; with TLS
	// close_notify first). What was taken by Write is delivered before it.
	CloseWrite() error
	// Close ends the connection and calls no more events. Calling it again does
	// nothing.
	Close()
	// Handle sets who hears of events; it takes effect at once.
	Handle(e Events)
	// Info is filled when the connection is established.
	Info() *stream.ConnInfo
}

// Resetter is a Conn that can end with a reset, so that the peer does not take
// what it got for all there is.
type Resetter interface{ Reset() }

// Reset ends c with a reset where its transport has one (TCP, and TLS above it),
// else it closes c. Bytes that were not sent yet are lost.
func Reset(c Conn) {
	if r, ok := c.(Resetter); ok {
		r.Reset()
		return
	}
	c.Close()
}

// Quieter is a Conn that can ask the system whether anything has come.
type Quieter interface{ Quiet() bool }

// Quiet says that nothing has come on c that was not read yet, not even its end.
// Read goes by the events that were told so far; this costs a system call.
func Quiet(c Conn) bool {
	q, ok := c.(Quieter)
	return !ok || q.Quiet()
}

// silent is the Events of a connection that has no owner yet. Nothing is lost:
// the state of the connection is kept, and its error returned by Read.
type silent struct{}

func (silent) Readable()    {}
func (silent) Writable()    {}
func (silent) Hangup(error) {}

// Events are told on the connection's loop. They come at edges: after Readable,
// read until ErrAgain, or remember to go on later without being told again.
type Events interface {
	// Readable: bytes, the end or an error can be read.
	Readable()
	// Writable: a connection that was dialled is established, or a Write that
	// returned ErrAgain can go on.
	Writable()
	// Hangup: the connection is broken in both directions, or could not be
	// established. Bytes that came before may still be read, except when dialling
	// failed. The owner closes it.
	Hangup(err error)
}
