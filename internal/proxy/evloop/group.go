package evloop

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
)

// Group runs a loop per core, or as many as wanted, and spreads connections over
// them. Its methods may be called by any goroutine but those of its loops.
type Group struct {
	loops []*Loop
	ended sync.WaitGroup
	errs  []error
}

// spareProcs are processors of the Go runtime for what is not a loop.
const spareProcs = 2

// NewGroup makes n loops and runs them.
func NewGroup(n int, kind Kind) (*Group, error) {
	if n < 1 {
		return nil, fmt.Errorf("a group of %d loops: it needs at least 1", n)
	}
	// A loop keeps a processor of the runtime while it waits under load; what else
	// the program does needs others.
	if runtime.GOMAXPROCS(0) < n+spareProcs {
		runtime.GOMAXPROCS(n + spareProcs)
	}
	g := &Group{errs: make([]error, n)}
	for id := range n {
		l, err := New(id, kind)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("loop %d: %w", id, err), g.Stop())
		}
		g.loops = append(g.loops, l)
		g.ended.Go(func() { g.errs[id] = l.Run() })
	}
	return g, nil
}

// Loops are those of the group, by ID.
func (g *Group) Loops() []*Loop { return g.loops }

// Stop ends the loops and waits for them. It returns what ended one of them
// before.
func (g *Group) Stop() error {
	for _, l := range g.loops {
		l.Stop()
	}
	g.ended.Wait()
	return errors.Join(g.errs...)
}

// Listen accepts connections from ln on every loop, and gives each to accept on
// the loop that shall own it: the one that accepted it, unless it has more
// than another by one and a quarter. The kernel wakes the same loop again and again
// while it is quick, so that of 16 connections 12 might end on one of two loops.
//
// ln stays the caller's. stop returns when no loop accepts any more; what was
// accepted by then is still handed to accept.
func (g *Group) Listen(ln net.Listener, accept func(l *Loop, c Conn)) (stop func(), err error) {
	stops := make([]func(), len(g.loops))
	stop = func() {
		for i, l := range g.loops {
			if stops[i] != nil {
				l.Call(stops[i])
			}
		}
	}
	for i, l := range g.loops {
		lerr := fmt.Errorf("loop %d has stopped", i)
		l.Call(func() {
			stops[i], lerr = l.poller.listen(ln, func() *Loop { return g.place(l) }, accept)
		})
		if lerr != nil {
			stop()
			return nil, lerr
		}
	}
	return stop, nil
}

// place chooses the loop for a connection that l has accepted.
func (g *Group) place(l *Loop) *Loop {
	least, few := l, l.Conns()
	mine := few
	for _, other := range g.loops {
		if n := other.Conns(); n < few {
			least, few = other, n
		}
	}
	// A hand-over wakes another loop, which costs as much as a small request; where
	// connections come and go, counts that differ a little are as good as equal.
	if mine > few+1+few/4 {
		return least
	}
	return l
}
