package evloop

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// Kind is how a loop does its input and output.
type Kind uint8

// Native is epoll on Linux and Portable elsewhere.
const (
	Native Kind = iota
	Portable
)

// Deferred is work for the end of the current turn of the loop, when all events
// that are there have been handled: one write for what several events brought.
type Deferred interface{ RunDeferred() }

// Loop is one event loop. Its methods are for its own goroutine, the one that
// called Run, except Post, Stop and Load.
type Loop struct {
	// ID counts from 0.
	ID int

	now int64
	// drained is when a turn last began that took all events that were there.
	drained int64
	wheel   wheel
	buffers buffers
	pipes   pipes
	later   []Deferred
	running []Deferred
	poller  poller

	mu      sync.Mutex
	inbox   []func()
	spare   []func()
	ended   bool
	posted  atomic.Bool
	stopped atomic.Bool
	end     chan struct{}
	conns   atomic.Int64
	lag     atomic.Int64
}

// poller is the part that differs between systems.
type poller interface {
	// wait handles events until at least one was there, wake was called or the
	// time is over: wait nanoseconds, negative for ever.
	wait(wait int64) error
	// wake ends wait, from any goroutine.
	wake()
	// dial begins to connect; the result is told by events.
	dial(network, address string, addr netip.AddrPort) (Conn, error)
	// adopt takes over an established connection.
	adopt(c net.Conn) (Conn, error)
	// listen hands connections to accept until the returned function is called.
	// place, unless nil, chooses the loop that gets the next one.
	listen(ln net.Listener, place func() *Loop, accept func(*Loop, Conn)) (stop func(), err error)
	close()
}

// New makes a loop; Run runs it.
func New(id int, kind Kind) (*Loop, error) {
	l := &Loop{ID: id, now: Clock(), end: make(chan struct{})}
	l.wheel.at = l.now >> slotShift
	var err error
	l.poller, err = newPoller(l, kind)
	if err != nil {
		return nil, err
	}
	return l, nil
}

//nolint:gochecknoglobals // the zero of the monotonic clock, set once
var started = time.Now()

// Clock is the monotonic time in nanoseconds since the program started.
func Clock() int64 { return int64(time.Since(started)) }

// Wall converts a time of Clock to one of the calendar.
func Wall(at int64) time.Time { return started.Add(time.Duration(at)) }

// Now is the time at which the current turn began.
func (l *Loop) Now() int64 { return l.now }

// Lag is how long an event had to wait at most, in nanoseconds: from when the loop
// last took all that was there to the end of the last turn. As long as a turn takes
// all, that is its length; under overload it grows. Any goroutine may ask.
func (l *Loop) Lag() int64 { return l.lag.Load() }

// Conns is the number of connections of this loop. Any goroutine may ask.
func (l *Loop) Conns() int64 { return l.conns.Load() }

// Run handles events until Stop.
func (l *Loop) Run() error {
	defer l.finish()
	for !l.stopped.Load() {
		if err := l.poller.wait(l.patience()); err != nil {
			return err
		}
		if l.posted.Load() {
			l.runInbox()
		}
		l.wheel.fire(l.now)
		l.runDeferred()
		l.lag.Store(Clock() - l.drained)
	}
	return nil
}

// finish runs what was posted by now: it may hold a connection that only it
// can close.
func (l *Loop) finish() {
	l.mu.Lock()
	l.ended = true
	todo := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, f := range todo {
		f()
	}
	l.runDeferred()
	l.pipes.close()
	l.poller.close()
	close(l.end)
}

func (l *Loop) patience() int64 {
	if l.posted.Load() {
		return 0
	}
	return l.wheel.wait(Clock())
}

// Stop ends Run after its current turn. Connections that are open then are left
// to their owners: close them before.
func (l *Loop) Stop() {
	l.stopped.Store(true)
	l.poller.wake()
}

// Post runs f on the loop, soon; it may be called by any goroutine. A loop whose
// Run has returned drops f.
func (l *Loop) Post(f func()) { l.TryPost(f) }

// TryPost is Post for an f that owns something: false says that it will not run.
func (l *Loop) TryPost(f func()) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.inbox = append(l.inbox, f)
	l.mu.Unlock()
	if !l.posted.Swap(true) {
		l.poller.wake()
	}
	return true
}

// Call runs f on the loop and waits for it; never call it from a loop. It
// reports false, and f did not run, when Run has returned.
func (l *Loop) Call(f func()) bool {
	done := make(chan struct{})
	return l.TryPost(func() {
		defer close(done)
		f()
	}) && wait(done, l.end)
}

func wait(done, end <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-end:
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// Defer runs d at the end of this turn. The caller sees to it that d is added
// once.
func (l *Loop) Defer(d Deferred) { l.later = append(l.later, d) }

// Dial begins to connect to addr, or to a Unix socket when unix is not empty.
// Writable tells that the connection stands, Hangup that it failed.
func (l *Loop) Dial(addr netip.AddrPort, unix string) (Conn, error) {
	if unix != "" {
		return l.poller.dial("unix", unix, addr)
	}
	return l.poller.dial("tcp", "", addr)
}

// Adopt takes over an established connection; c must not be used any more.
func (l *Loop) Adopt(c net.Conn) (Conn, error) { return l.poller.adopt(c) }

// Listen accepts connections from ln on this loop and gives each to accept. ln
// stays the caller's: several loops may listen on one. stop ends it.
func (l *Loop) Listen(ln net.Listener, accept func(Conn)) (stop func(), err error) {
	return l.poller.listen(ln, nil, func(_ *Loop, c Conn) { accept(c) })
}

func (l *Loop) runInbox() {
	l.posted.Store(false)
	l.mu.Lock()
	todo := l.inbox
	l.inbox = l.spare[:0]
	l.mu.Unlock()
	for i, f := range todo {
		todo[i] = nil
		f()
	}
	l.spare = todo
}

func (l *Loop) runDeferred() {
	// What runs may defer more; that runs in this turn too, so that nothing
	// lies about while the loop sleeps.
	for len(l.later) > 0 {
		l.running, l.later = l.later, l.running[:0]
		for i, d := range l.running {
			l.running[i] = nil
			d.RunDeferred()
		}
	}
}

func infoOf(local, remote net.Addr) stream.ConnInfo {
	return stream.ConnInfo{Local: addrPort(local), Remote: addrPort(remote)}
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
