package tlsconn

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

const (
	// maxIn bounds what lies between loop and handshake, in bytes.
	maxIn = 64 << 10
	// maxOut bounds the records that wait for room below. Data stops far below it;
	// what can pass is answers to key updates of a peer that reads nothing.
	maxOut = 256 << 10
)

// ErrTruncated says that the connection ended without close_notify: what was
// read may not be all that was sent.
var ErrTruncated = errors.New("TLS connection ended without close_notify")

// errFull ends a connection whose peer makes us answer and does not read.
var errFull = errors.New("the peer reads none of the TLS records that it asks for")

// again is what crypto/tls gets instead of waiting. Temporary errors do not stick
// to a tls.Conn: after one, Read begins where it was.
type again struct{}

func (again) Error() string   { return "no record is complete" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// wire is the net.Conn below a tls.Conn. During the handshake it is a pipe in
// memory between a goroutine and the loop; then it is live: crypto/tls, called
// from the loop, reads from and writes to the lower connection without waiting.
type wire struct {
	conn *Conn
	live bool

	mu     sync.Mutex
	cond   sync.Cond
	in     []byte
	inErr  error
	paused bool // the loop has stopped reading until in is taken
	out    []byte
}

func (w *wire) Read(p []byte) (int, error) {
	if w.live {
		return w.readLive(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.in) == 0 {
		if w.inErr != nil {
			return 0, w.inErr
		}
		if w.paused {
			w.paused = false
			w.conn.loop.Post(w.conn.feed)
		}
		w.cond.Wait()
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

func (w *wire) readLive(p []byte) (int, error) {
	if len(w.in) > 0 {
		n := copy(p, w.in)
		w.in = w.in[n:]
		return n, nil
	}
	w.in = nil
	if w.inErr != nil {
		return 0, w.inErr
	}
	n, err := w.conn.lower.Read(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, evloop.ErrAgain):
		w.conn.dry = true
		return n, again{}
	default:
		return n, truncated(err)
	}
}

// truncated: crypto/tls takes io.EOF between two records for an orderly end.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return ErrTruncated
	}
	return err
}

func (w *wire) Write(p []byte) (int, error) {
	if w.live {
		return w.conn.send(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	first := len(w.out) == 0
	w.out = append(w.out, p...)
	if first {
		w.conn.loop.Post(w.conn.flushHandshake)
	}
	return len(p), nil
}

// deliver hands bytes to the handshake; paused says that it has enough.
func (w *wire) deliver(p []byte) (paused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in = append(w.in, p...)
	w.paused = len(w.in) >= maxIn
	w.cond.Signal()
	return w.paused
}

// fail ends the handshake, unless it ended before.
func (w *wire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inErr == nil {
		w.inErr = err
	}
	w.cond.Signal()
}

// takeOut empties what the handshake has written.
func (w *wire) takeOut() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.out
	w.out = nil
	return out
}

// Close does nothing: the owner of the Conn closes it.
func (w *wire) Close() error { return nil }

// LocalAddr and RemoteAddr name sessions in crypto/tls when there is no server
// name.
func (w *wire) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(w.conn.lower.Info().Local) }

// RemoteAddr is the peer's address.
func (w *wire) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(w.conn.lower.Info().Remote) }

// SetDeadline and its kin do nothing: the loop has timers.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
