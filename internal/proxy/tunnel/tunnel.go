package tunnel

import (
	"errors"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

// ErrIdle ends a tunnel in which nothing was moved for too long.
var ErrIdle = errors.New("nothing was sent in either direction for too long")

// ErrClosed ends a tunnel that its owner has closed.
var ErrClosed = errors.New("the tunnel was closed on this side")

// Options of a tunnel.
type Options struct {
	// Idle is how long nothing may be moved in either direction; 0: for ever.
	Idle time.Duration
	// InitialA was read from a before, and goes to b first; InitialB the same the
	// other way. Both are copied.
	InitialA []byte
	InitialB []byte
	// Done is called once, on the loop, after Start has returned and when both
	// connections are closed. nil: nobody wants to know.
	Done func(Result)
}

// Result says how a tunnel ended.
type Result struct {
	// AToB and BToA are the bytes that were handed to the other side.
	AToB, BToA int64
	// Err is nil when both sides ended orderly; else ErrIdle, ErrClosed or what
	// broke a connection.
	Err error
	// BrokenA says that it was a's connection that broke; else it was b's.
	BrokenA bool
}

// Tunnel is two joined connections. It is used on their loop only.
type Tunnel struct {
	loop  *evloop.Loop
	ways  [2]way // from a, from b
	done  func(Result)
	timer evloop.Timer
	idle  int64
	// moved is when something was moved last.
	moved int64
	ended bool
	// resume goes on with what was left for the next turn.
	resume  func()
	resumed bool
}

// Start joins a and b, which belong to the tunnel from now on: both are on l,
// established and not closed. The caller has to hand over every byte that it read.
func Start(l *evloop.Loop, a, b evloop.Conn, o Options) *Tunnel {
	t := &Tunnel{loop: l, done: o.Done, idle: int64(o.Idle), moved: l.Now()}
	t.ways[0] = newWay(t, a, b, o.InitialA)
	t.ways[1] = newWay(t, b, a, o.InitialB)
	t.resume = t.pumpBoth
	a.Handle((*sideA)(t))
	b.Handle((*sideB)(t))
	if t.idle > 0 {
		t.timer.Func = t.checkIdle
		l.After(t.idle, &t.timer)
	}
	l.Defer(t)
	return t
}

// RunDeferred moves what was there before Start.
func (t *Tunnel) RunDeferred() { t.pumpBoth() }

// Close ends both connections at once. What is not complete is reset.
func (t *Tunnel) Close() { t.end(ErrClosed, false) }

// Bytes are those that were handed on so far.
func (t *Tunnel) Bytes() (aToB, bToA int64) { return t.ways[0].bytes, t.ways[1].bytes }

func (t *Tunnel) pumpBoth() {
	t.resumed = false
	for i := range t.ways {
		if !t.ended {
			t.ways[i].pump()
		}
	}
}

// later pumps both ways again in the next turn.
func (t *Tunnel) later() {
	if !t.resumed {
		t.resumed = true
		t.loop.Post(t.resume)
	}
}

// checkIdle is lazy: moving bytes only notes the time, and the timer finds out.
func (t *Tunnel) checkIdle() {
	left := t.moved + t.idle - t.loop.Now()
	if left > 0 {
		t.loop.After(left, &t.timer)
		return
	}
	t.end(ErrIdle, false)
}

// sideA and sideB hear of the events of a and b.
type (
	sideA Tunnel
	sideB Tunnel
)

// Readable moves what a sent.
func (s *sideA) Readable() { (*Tunnel)(s).pump(0) }

// Writable moves what a has room for.
func (s *sideA) Writable() { (*Tunnel)(s).pump(1) }

// Hangup ends the tunnel.
func (s *sideA) Hangup(err error) { (*Tunnel)(s).broken(err, 0) }

// Readable moves what b sent.
func (s *sideB) Readable() { (*Tunnel)(s).pump(1) }

// Writable moves what b has room for.
func (s *sideB) Writable() { (*Tunnel)(s).pump(0) }

// Hangup ends the tunnel.
func (s *sideB) Hangup(err error) { (*Tunnel)(s).broken(err, 1) }

func (t *Tunnel) pump(i int) {
	if !t.ended {
		t.ways[i].pump()
	}
}

// broken: the connection that way i reads from is broken in both directions.
func (t *Tunnel) broken(err error, i int) {
	if t.ended {
		return
	}
	// What it sent before still goes to the other side, as far as there is room.
	t.ways[i].broken = true
	t.ways[i].pump()
	t.end(err, i == 0)
}

// finish ends the tunnel when both ways have ended.
func (t *Tunnel) finish() {
	if t.ways[0].shut && t.ways[1].shut {
		t.end(nil, false)
	}
}

func (t *Tunnel) end(err error, brokenA bool) {
	if t.ended {
		return
	}
	t.ended = true
	t.timer.Stop()
	for i := range t.ways {
		w := &t.ways[i]
		w.release()
		// Who did not get everything must not take it for everything.
		if w.shut {
			w.dst.Close()
		} else {
			evloop.Reset(w.dst)
		}
	}
	if t.done != nil {
		t.done(Result{AToB: t.ways[0].bytes, BToA: t.ways[1].bytes, Err: err, BrokenA: brokenA})
	}
}
