package tlsconn

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

const (
	// DefaultTimeout bounds a handshake, from the established connection on.
	DefaultTimeout = 10 * time.Second
	// DefaultHandshakes is how many handshakes run at once.
	DefaultHandshakes = 1024

	// queued handshakes per running one; what is above is refused.
	queueFactor  = 4
	recordHeader = 5
)

// Handshaker runs handshakes, a bounded number at once. One serves all loops of a
// process; its methods may be called by any of them.
type Handshaker struct {
	limit   int
	timeout time.Duration

	mu     sync.Mutex
	active int
	queue  []*Conn
}

// NewHandshaker runs at most limit handshakes at once, each for at most timeout,
// waiting for its turn included; 0 means the defaults.
func NewHandshaker(limit int, timeout time.Duration) *Handshaker {
	if limit <= 0 {
		limit = DefaultHandshakes
	}
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &Handshaker{limit: limit, timeout: timeout}
}

// Active is how many handshakes run now.
func (h *Handshaker) Active() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.active
}

// Server begins a handshake as the server on lower, which belongs to it from now
// on. It calls done once on the loop, later: with the connection, which is to be
// handled at once, or with nil and a *HandshakeError when lower is closed.
// Closing what Server returns gives up, and done is not called.
func (h *Handshaker) Server(l *evloop.Loop, lower evloop.Conn, config *tls.Config, done func(evloop.Conn, error)) evloop.Conn {
	c := newConn(h, l, lower, done)
	c.tls = tls.Server(&c.wire, config)
	c.server = true
	c.begin()
	return c
}

// Client is Server for the other side. The name that is sent is the config's.
func (h *Handshaker) Client(l *evloop.Loop, lower evloop.Conn, config *tls.Config, done func(evloop.Conn, error)) evloop.Conn {
	c := newConn(h, l, lower, done)
	c.tls = tls.Client(&c.wire, config)
	c.vouched = config.InsecureSkipVerify && config.VerifyConnection != nil
	c.info.ServerName = config.ServerName
	c.begin()
	return c
}

// start runs c's handshake now or when one has ended; false: there are too many.
func (h *Handshaker) start(c *Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.active >= h.limit {
		if len(h.queue) >= queueFactor*h.limit {
			return false
		}
		h.queue = append(h.queue, c)
		return true
	}
	h.active++
	go h.run(c)
	return true
}

func (h *Handshaker) run(c *Conn) {
	for ; c != nil; c = h.next() {
		c.handshake()
	}
}

func (h *Handshaker) next() *Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) == 0 {
		h.active--
		h.queue = nil
		return nil
	}
	c := h.queue[0]
	h.queue[0] = nil
	h.queue = h.queue[1:]
	return c
}

// drop takes c out of the queue; false: it was not in it.
func (h *Handshaker) drop(c *Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.queue, c)
	if i < 0 {
		return false
	}
	h.queue = slices.Delete(h.queue, i, i+1)
	return true
}

// begin is called on the loop.
func (c *Conn) begin() {
	c.timer.Func = func() { c.abort(errTimeout) }
	c.loop.After(int64(c.handshaker.timeout), &c.timer)
	c.lower.Handle((*below)(c))
	if !c.server {
		c.start()
	}
	c.feed()
}

func (c *Conn) start() {
	if c.started {
		return
	}
	c.started = true
	if !c.handshaker.start(c) {
		c.started = false
		c.abort(errOverload)
	}
}

// abort ends a handshake. One that has not begun has no goroutine to tell.
func (c *Conn) abort(err error) {
	running := c.started && !c.handshaker.drop(c)
	c.started = true
	c.wire.fail(err)
	if !running {
		// Not now: the caller of Server does not expect done yet.
		c.loop.Post(func() { c.finish(err) })
	}
}

// feed reads for the handshake. A server's begins when the first record is whole,
// so that connections on which nothing comes cost no goroutine.
func (c *Conn) feed() {
	if c.closed || c.wire.live {
		return
	}
	buf := c.loop.Buffer(evloop.SmallBuffer)
	defer c.loop.Release(buf)
	for {
		n, err := c.lower.Read(buf)
		paused := false
		if n > 0 {
			paused = c.wire.deliver(buf[:n])
			if !c.started && c.whole() {
				c.start()
			}
		}
		switch {
		case err == nil && !paused:
			continue
		case err == nil || isAgain(err):
		default:
			c.abort(truncated(err))
		}
		return
	}
}

// whole says that the first record is there, or enough to see that there is none.
func (c *Conn) whole() bool {
	in := c.wire.in // no goroutine has it yet
	if len(in) < recordHeader {
		return false
	}
	size := int(in[3])<<8 | int(in[4])
	return in[0] != recordHandshake || size > maxRecord || len(in) >= recordHeader+size
}

func (c *Conn) flushHandshake() {
	if c.closed || c.wire.live {
		return
	}
	if out := c.wire.takeOut(); len(out) > 0 {
		if _, err := c.send(out); err != nil {
			c.abort(err)
		}
	}
}

// handshake waits, in a goroutine.
func (c *Conn) handshake() {
	// Without a context of its own: wire.fail ends it.
	err := c.tls.HandshakeContext(context.Background())
	c.loop.Post(func() { c.finish(err) })
}

// finish ends the handshake, on the loop.
func (c *Conn) finish(err error) {
	c.timer.Stop()
	if c.closed || c.wire.live {
		return
	}
	c.wire.live = true
	if out := c.wire.takeOut(); len(out) > 0 {
		_, _ = c.send(out) // an error comes again at the next call
	}
	done := c.done
	c.done = nil
	if err != nil {
		c.Close()
		done(nil, handshakeError(err))
		return
	}
	c.describe()
	done(c, nil)
	// What came with the end of the handshake is told of, as the kernel would.
	c.loop.Defer(c)
}

// RunDeferred tells the owner for the first time.
func (c *Conn) RunDeferred() {
	if !c.closed {
		c.events.Readable()
	}
}
