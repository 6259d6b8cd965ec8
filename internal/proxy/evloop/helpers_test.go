package evloop_test

import (
	"errors"
	"hash/crc32"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
)

// events calls what is set.
type events struct {
	readable func()
	writable func()
	hangup   func(error)
}

func (e *events) Readable() {
	if e.readable != nil {
		e.readable()
	}
}

func (e *events) Writable() {
	if e.writable != nil {
		e.writable()
	}
}

func (e *events) Hangup(err error) {
	if e.hangup != nil {
		e.hangup(err)
	}
}

// echo sends back what comes, keeps its end open until the peer's is closed and
// everything was sent, and then closes orderly.
type echo struct {
	conn  evloop.Conn
	buf   []byte
	held  []byte
	eof   bool
	shut  bool
	ended func(err error)
}

func newEcho(c evloop.Conn, ended func(error)) *echo {
	e := &echo{conn: c, buf: make([]byte, 32<<10), ended: ended}
	c.Handle(e)
	e.move()
	return e
}

func (e *echo) Readable() { e.move() }
func (e *echo) Writable() { e.move() }

func (e *echo) Hangup(err error) { e.finish(err) }

func (e *echo) finish(err error) {
	e.conn.Close()
	if e.ended != nil {
		e.ended(err)
		e.ended = nil
	}
}

func (e *echo) move() {
	for {
		if len(e.held) > 0 {
			n, err := e.conn.Write(e.held, nil)
			e.held = e.held[n:]
			if errors.Is(err, evloop.ErrAgain) {
				return
			}
			if err != nil {
				e.finish(err)
				return
			}
		}
		if e.eof {
			if !e.shut {
				e.shut = true
				_ = e.conn.CloseWrite()
				e.finish(nil)
			}
			return
		}
		n, err := e.conn.Read(e.buf)
		e.held = e.buf[:n]
		switch {
		case errors.Is(err, evloop.ErrAgain):
			return
		case errors.Is(err, io.EOF):
			e.eof = true
		case err != nil:
			e.finish(err)
			return
		}
	}
}

// noise is size bytes that differ from place to place.
func noise(size int) []byte {
	p := make([]byte, size)
	x := uint32(size) | 1
	for i := range p {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		p[i] = byte(x)
	}
	return p
}

// exchange sends data, ends its direction, and checks that the same comes back.
func exchange(t *testing.T, c net.Conn, data []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		sent <- errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err != nil || crc32.ChecksumIEEE(got) != crc32.ChecksumIEEE(data) {
		t.Errorf("came back: %d bytes of %d, %v", len(got), len(data), err)
	}
	if err := <-sent; err != nil {
		t.Errorf("send: %v", err)
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(evlooptest.Patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if f() {
			return
		}
	}
	t.Errorf("never: %s", what)
}

func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

func listenOn(t *testing.T, l *evloop.Loop, ln net.Listener, accept func(evloop.Conn)) {
	t.Helper()
	var stop func()
	var err error
	evlooptest.On(t, l, func() { stop, err = l.Listen(ln, accept) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Call(stop) })
}

type counter = atomic.Int64
