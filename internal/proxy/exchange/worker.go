package exchange

import (
	"math/rand/v2"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/balance"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
	"github.com/tatami-platform/tatami/internal/proxy/upstream"
)

// Worker serves the exchanges of one event loop. All methods are for that loop.
type Worker struct {
	loop     *evloop.Loop
	shard    *telemetry.Shard
	hand     *tlsconn.Handshaker
	snap     *Snapshot
	overload *resilience.Overload
	rng      rand.PCG

	open     *Exchange // list of open exchanges
	openSize int64
	free     []*Exchange
	dead     []*Exchange // over in this turn: not used again before the next
	deferred bool
	members  *Member // list of client connections
	retiring bool
	locals   map[*balance.Host]*local
	reply    message.Head
	choice   balance.Choice
	date     date
	outcome  balance.Outcome
	ticker   evloop.Timer
}

// local is what one loop keeps about one host.
type local struct {
	pool   *upstream.Pool
	limits *limits
	series [4]*metrics.Series // by protocol
}

// tickEvery is how often time-outs of idle things are looked for.
const tickEvery = int64(1e9)

// NewWorker makes the worker of a loop. It has no configuration yet.
func NewWorker(loop *evloop.Loop, shard *telemetry.Shard, hand *tlsconn.Handshaker) *Worker {
	w := &Worker{
		loop: loop, shard: shard, hand: hand,
		overload: resilience.NewOverload(resilience.OverloadPolicy{
			// Three times what a neighbour on the same processor causes now and then.
			Target: 100 * time.Millisecond, Interval: 500 * time.Millisecond,
		}),
		locals: map[*balance.Host]*local{},
		snap:   &Snapshot{},
	}
	w.rng.Seed(rand.Uint64(), rand.Uint64())
	w.ticker.Func = w.tick
	return w
}

// Start begins to look after time-outs; it is called on the loop.
func (w *Worker) Start() { w.loop.After(tickEvery, &w.ticker) }

// Use changes to a new configuration. Open exchanges go on with the old one.
func (w *Worker) Use(s *Snapshot) {
	before := w.snap
	w.snap = s
	now := make(map[*balance.Host]*Cluster, len(w.locals))
	for _, c := range s.Clusters {
		for i := range c.Set.Len() {
			now[c.Set.Host(i)] = c
		}
	}
	for h, l := range w.locals {
		c := now[h]
		if c == nil {
			l.pool.Close()
			delete(w.locals, h)
			continue
		}
		old := l.limits.cluster
		if old == c {
			continue
		}
		l.limits.cluster, l.limits.count = c, w.shard.Cluster(c.Service)
		l.series = [4]*metrics.Series{}
		if !sameWay(old, c) {
			l.pool.Retarget(c.target(h, w.hand))
		}
	}
	if before.Config == nil || before.Config.Node != s.Config.Node {
		for _, l := range w.locals {
			l.series = [4]*metrics.Series{}
		}
	}
}

// local finds or makes what this loop keeps about a host.
func (w *Worker) local(c *Cluster, h *balance.Host) *local {
	if l := w.locals[h]; l != nil {
		return l
	}
	l := &local{limits: &limits{cluster: c, host: h, count: w.shard.Cluster(c.Service)}}
	l.pool = upstream.NewPool(w.loop, c.target(h, w.hand), l.limits)
	w.locals[h] = l
	return l
}

// seriesOf finds where requests of a protocol to a host are counted.
func (w *Worker) seriesOf(l *local, p metrics.Protocol) *metrics.Series {
	if s := l.series[p]; s != nil {
		return s
	}
	node := &w.snap.Config.Node
	s := w.shard.Route(metrics.Labels{
		SourceService: node.Service, SourceZone: node.Zone,
		DestinationService: l.limits.cluster.Service,
		DestinationZone:    l.limits.host.Endpoint().Zone, Protocol: p,
	})
	l.series[p] = s
	return s
}

func (w *Worker) random() uint64 { return w.rng.Uint64() }

// get takes an exchange for a new request.
func (w *Worker) get() *Exchange {
	var x *Exchange
	if n := len(w.free); n > 0 {
		x = w.free[n-1]
		w.free = w.free[:n-1]
	} else {
		x = &Exchange{w: w}
		x.attempt.x = x
		x.attempt.wait.Waiter = &x.attempt
		x.attempt.timer.Func = x.attempt.timeout
		x.deadline.Func = x.timedOut
		x.pause.Func = x.resumed
		x.body.complete = true
	}
	x.next, x.prev = w.open, nil
	if w.open != nil {
		w.open.prev = x
	}
	w.open = x
	w.openSize++
	return x
}

// close takes an exchange out of the list. It is used again only in a later turn:
// until then callers further up may still look at it.
func (w *Worker) close(x *Exchange) {
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		w.open = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	}
	x.next, x.prev = nil, nil
	w.openSize--
	w.dead = append(w.dead, x)
	if !w.deferred {
		w.deferred = true
		w.loop.Defer(w)
	}
}

// RunDeferred makes what ended in this turn ready for use.
func (w *Worker) RunDeferred() {
	w.deferred = false
	w.shard.Lag(w.loop.Lag())
	for i, x := range w.dead {
		w.dead[i] = nil
		x.clear()
		w.free = append(w.free, x)
	}
	w.dead = w.dead[:0]
}

func (w *Worker) tick() {
	w.loop.After(tickEvery, &w.ticker)
	now := w.loop.Now()
	for x := w.open; x != nil; {
		next := x.next
		x.tick(now)
		x = next
	}
	for _, l := range w.locals {
		idle := l.limits.cluster.Config.IdleTimeout
		if idle == 0 {
			idle = defaultIdleUpstream
		}
		l.pool.Expire(now, int64(idle))
	}
	// What a burst needed is given back bit by bit.
	if keep := int(w.openSize) + 256; len(w.free) > keep {
		clear(w.free[keep:])
		w.free = w.free[:keep]
	}
}

// overloaded says whether a new request is refused, and when to come again.
func (w *Worker) overloaded() (refused bool, retryAfter int) {
	now := w.loop.Now()
	w.overload.Observe(now, w.loop.Lag(), w.openSize)
	a := w.overload.Admit(now, w.openSize, w.random())
	if !a.OK {
		w.shard.Shed()
	}
	return !a.OK, a.RetryAfter
}

// Open is the number of open exchanges.
func (w *Worker) Open() int64 { return w.openSize }
