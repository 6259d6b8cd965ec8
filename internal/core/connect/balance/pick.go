package balance

import (
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
)

// Choice is what a pick goes by.
type Choice struct {
	// Random is a fresh random number, all 64 bits of it.
	Random uint64
	// Hash is that of the request's key, for PolicyRingHash. Without HasHash the
	// policy is random.
	Hash    uint64
	HasHash bool
	// Bound limits the load of a host on the ring to this many percent of the
	// mean, e.g. 125; a key whose host is full moves on. 0: no bound. InFlight is
	// the number of requests in the cluster.
	Bound    uint32
	InFlight int64
	// Tried are hosts to avoid, because they failed this request.
	Tried []*Host
}

func (c *Choice) tried(h *Host) bool { return slices.Contains(c.Tried, h) }

func (c *Choice) untried(h *Host) *Host {
	if c.tried(h) {
		return nil
	}
	return h
}

// Picked is a host, and what is to be known about the choice.
type Picked struct {
	// Host is nil when the cluster has none.
	Host *Host
	// Probe says that the request decides whether an ejected host comes back.
	Probe bool
	// Panic says that no host is eligible, so that all were considered.
	Panic bool
	// Draining says that only draining hosts were left.
	Draining bool
	// Again says that the host was tried before: no other was left.
	Again bool
	// Far says that the request left the local zone.
	Far bool
}

// Pick chooses a host at the time now (ns).
//
// The order is: hosts that are eligible and were not tried, then draining ones
// that work, then those that were tried. Only where no host is eligible, all that
// are not draining are considered, ejected and ill ones too (panic), and where
// there is none of these, the draining ones. A probe of an ejected host goes
// before all of that.
func (s *Set) Pick(now int64, c *Choice) Picked {
	v := s.current()
	if len(s.ring) > 0 && c.HasHash {
		if p, ok := s.hashed(v, now, c); ok {
			return p
		}
	} else if now >= v.nextProbe {
		if p, ok := s.probe(v, now, c); ok {
			return p
		}
	}
	g, far := &v.near, false
	if len(v.far.members) > 0 {
		s.zone.compare(now)
		if !s.zone.stay(v, mix(c.Random)) {
			g, far = &v.far, true
		}
	}
	if h := g.pick(s.policy, now, c); h != nil {
		return Picked{Host: h, Panic: v.panicking, Draining: v.lastResort, Far: far}
	}
	return s.rest(v, now, c)
}

// probe looks for an ejected host whose time has come.
func (s *Set) probe(v *view, now int64, c *Choice) (Picked, bool) {
	for _, h := range v.probes {
		if !c.tried(h) && s.claim(h, now) {
			return Picked{Host: h, Probe: true}, true
		}
	}
	return Picked{}, false
}

// rest chooses when the usual way came upon hosts that were tried.
func (s *Set) rest(v *view, now int64, c *Choice) Picked {
	p := Picked{Panic: v.panicking, Draining: v.lastResort}
	if p.Host = v.near.scan(c); p.Host != nil {
		return p
	}
	if p.Host = v.far.scan(c); p.Host != nil {
		p.Far = true
		return p
	}
	if p.Host = v.drain.scan(c); p.Host != nil {
		p.Draining = true
		return p
	}
	again := *c
	again.Tried = nil
	if p.Host = v.near.pick(s.policy, now, &again); p.Host == nil {
		return Picked{} // there are none
	}
	p.Again = true
	return p
}

// Outcome is how an attempt went, as soon as the head of an answer is there or
// none will come.
type Outcome struct {
	// Latency from Begin to the head of the answer, or to the failure.
	Latency time.Duration
	Failure resilience.Failure
	// Status of the answer; 0 without one.
	Status int
	// Random is for the jitter of an ejection.
	Random uint64
}

// Observe takes in the outcome of an attempt that Begin was called for, at the
// time now (ns), and says what it changed, for logs and metrics.
func (s *Set) Observe(now int64, p Picked, o *Outcome) resilience.Change {
	failed := resilience.Bad(o.Failure, o.Status)
	p.Host.observe(now, o, failed)
	if s.cluster.Breaker.Adaptive && (!silent(o) || o.Failure == resilience.FailureRefused) {
		p.Host.Adaptive.Observe(now, o.Latency, failed || o.Failure == resilience.FailureRefused)
	}
	return s.outcome(now, p, o)
}

// Abandon gives back what Pick claimed when no attempt follows, so that another
// request can probe.
func (s *Set) Abandon(now int64, p Picked) {
	if !p.Probe {
		return
	}
	p.Host.vitals.Outlier.CancelProbe(now)
	s.shared.changes.Add(1)
}

// NeedsHash says that Pick goes by Choice.Hash.
func (s *Set) NeedsHash() bool { return len(s.ring) > 0 }
