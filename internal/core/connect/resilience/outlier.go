package resilience

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// OutlierPolicy is a connect.Outlier with its defaults filled in.
type OutlierPolicy struct {
	Failures        uint32
	AllServerErrors bool
	BaseTime        time.Duration
	MaxTime         time.Duration
	MaxPercent      int
}

// NewOutlierPolicy fills in the defaults: 5 failures, 1 s to 60 s, 50 %.
func NewOutlierPolicy(c *connect.Outlier) OutlierPolicy {
	p := OutlierPolicy{
		Failures:        uint32(orDefault(c.Failures, 5)),
		AllServerErrors: c.AllServerErrors,
		BaseTime:        orDefault(c.BaseTime, time.Second),
		MaxTime:         orDefault(c.MaxTime, time.Minute),
		MaxPercent:      min(orDefault(c.MaxPercent, 50), 100),
	}
	p.MaxTime = max(p.MaxTime, p.BaseTime)
	return p
}

// orDefault treats what makes no sense as not given.
func orDefault[T int | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// Counts says whether an outcome is a failure in the sense of this policy.
func (p *OutlierPolicy) Counts(f Failure, status int) bool {
	return Bad(f, status) || (f == FailureNone && p.AllServerErrors && status >= 500)
}

// duration of the n-th ejection in a row, n from 1: the base doubled n-1 times,
// at most MaxTime, less up to a quarter so that proxies do not probe together.
func (p *OutlierPolicy) duration(n uint32, random uint64) time.Duration {
	d := backoff(p.BaseTime, p.MaxTime, int(n-1))
	return d - spread(d/4, random)
}

// backoff doubles base n times, up to limit.
func backoff(base, limit time.Duration, n int) time.Duration {
	if n >= bits.LeadingZeros64(uint64(base))-1 {
		return limit
	}
	return min(base<<max(n, 0), limit)
}

// spread maps a random number to a duration of at least 0 and less than width.
func spread(width time.Duration, random uint64) time.Duration {
	hi, _ := bits.Mul64(random, uint64(width))
	return time.Duration(hi)
}

// Outlier is what requests tell about one host. The zero value is a host without
// failures. It belongs to the host and not to a route: a host that fails for one
// route fails for the others too.
type Outlier struct {
	failures atomic.Uint32 // in a row
	// probeAt is 0 for hosts in use; else the host is ejected, and from this time
	// on (ns) one request may find out whether it works again.
	probeAt    atomic.Int64
	ejections  atomic.Uint32 // in a row
	readmitted atomic.Int64  // ns
	total      atomic.Uint64
}

// Ejected says that the host gets no requests but probes.
func (o *Outlier) Ejected() bool { return o.probeAt.Load() != 0 }

// ProbeAt is the time in ns from which a probe may be sent; 0: not ejected.
func (o *Outlier) ProbeAt() int64 { return o.probeAt.Load() }

// Failures in a row until now.
func (o *Outlier) Failures() int { return int(o.failures.Load()) }

// Ejections since the start.
func (o *Outlier) Ejections() uint64 { return o.total.Load() }

// probeLease is for how long a claimed probe keeps others away, should its
// outcome never be reported.
const probeLease = int64(time.Minute)

// ClaimProbe gives the right to send one request to an ejected host, to one
// caller at a time. Its outcome goes to Outliers.Report with Probe, or to
// CancelProbe when there is none.
func (o *Outlier) ClaimProbe(now int64) bool {
	at := o.probeAt.Load()
	return at != 0 && at <= now && o.probeAt.CompareAndSwap(at, now+probeLease)
}

// CancelProbe gives a claim back without a verdict: the next one may probe.
func (o *Outlier) CancelProbe(now int64) {
	if at := o.probeAt.Load(); at != 0 {
		o.probeAt.CompareAndSwap(at, max(now, 1))
	}
}

// Vitals is all that is known about the health of one host.
type Vitals struct {
	Health  Health
	Outlier Outlier
}

// Event is what a report changed.
type Event uint8

// The events, for logs and metrics.
const (
	EventNone Event = iota
	// EventEjected: the host failed too often in a row.
	EventEjected
	// EventSpared: it did, and is kept because too many are ejected already.
	EventSpared
	// EventProbeFailed: the probe failed, the host stays away for longer.
	EventProbeFailed
	// EventReadmitted: the probe succeeded.
	EventReadmitted
)

// String is the name that metrics and logs use.
func (e Event) String() string {
	switch e {
	case EventEjected:
		return "ejected"
	case EventSpared:
		return "spared"
	case EventProbeFailed:
		return "probe-failed"
	case EventReadmitted:
		return "readmitted"
	default:
		return "none"
	}
}

// Change is what a report did to a host.
type Change struct {
	Event Event
	// For is the time that the host is left alone, after EventEjected and
	// EventProbeFailed.
	For time.Duration
	// Ejections in a row, this one included.
	Ejections int
}

// Outliers is the passive health checking of one cluster: it knows how many of
// its members may be ejected at once.
type Outliers struct {
	policy  OutlierPolicy
	members []*Vitals
	checked bool
	// ejecting lets one ejection at a time count the others. It is shared with
	// the values before and after a change of the configuration.
	ejecting *atomic.Bool
}

// NewOutliers watches members, which are the hosts that are not draining.
// Checked says that active health checks count as well: a host that they hold for
// ill is no alternative. Old is the value that this one replaces, or nil.
func NewOutliers(c *connect.Outlier, members []*Vitals, checked bool, old *Outliers) *Outliers {
	g := &Outliers{policy: NewOutlierPolicy(c), members: members, checked: checked}
	if old != nil {
		g.ejecting = old.ejecting
		return g
	}
	g.ejecting = new(atomic.Bool)
	return g
}

// Policy is what counts as a failure.
func (g *Outliers) Policy() *OutlierPolicy { return &g.policy }

// Report is the outcome of one request.
type Report struct {
	Now    int64 // ns
	Failed bool
	// Probe says that the request went to an ejected host after ClaimProbe.
	Probe  bool
	Random uint64
}

// Report notes an outcome. The way of a success without failures before it reads
// two words and writes none. It never blocks: when two hosts reach the limit at
// the same moment, one of them waits for its next failure.
func (g *Outliers) Report(v *Vitals, r Report) Change {
	o := &v.Outlier
	if o.probeAt.Load() != 0 {
		if !r.Probe {
			return Change{} // sent before the ejection, or in panic: only a probe decides
		}
		return g.probed(o, r)
	}
	if !r.Failed {
		if o.failures.Load() != 0 {
			o.failures.Store(0)
		}
		return Change{}
	}
	n := o.failures.Add(1)
	if n < g.policy.Failures {
		return Change{}
	}
	return g.eject(v, n, r)
}

func (g *Outliers) probed(o *Outlier, r Report) Change {
	if !r.Failed {
		o.failures.Store(0)
		o.readmitted.Store(r.Now)
		o.probeAt.Store(0)
		return Change{Event: EventReadmitted, Ejections: int(o.ejections.Load())}
	}
	n := o.ejections.Add(1)
	d := g.policy.duration(n, r.Random)
	o.probeAt.Store(max(r.Now+int64(d), 1))
	return Change{Event: EventProbeFailed, For: d, Ejections: int(n)}
}

func (g *Outliers) eject(v *Vitals, failures uint32, r Report) Change {
	if !g.ejecting.CompareAndSwap(false, true) {
		return Change{}
	}
	defer g.ejecting.Store(false)
	o := &v.Outlier
	if o.Ejected() {
		return Change{}
	}
	if !g.room(v) {
		if failures%g.policy.Failures != 0 {
			return Change{} // say it now and then, not for each request
		}
		return Change{Event: EventSpared}
	}
	// A host that fails soon after it came back goes on where it was.
	if r.Now-o.readmitted.Load() > int64(g.policy.MaxTime) {
		o.ejections.Store(0)
	}
	n := o.ejections.Add(1)
	d := g.policy.duration(n, r.Random)
	o.total.Add(1)
	o.probeAt.Store(max(r.Now+int64(d), 1))
	return Change{Event: EventEjected, For: d, Ejections: int(n)}
}

// room says whether v may be ejected too: one host always may, and never the
// last one that works.
func (g *Outliers) room(v *Vitals) bool {
	ejected, alternatives := 0, 0
	for _, m := range g.members {
		switch {
		case m.Outlier.Ejected():
			ejected++
		case m != v && m.Health.Usable(g.checked):
			alternatives++
		}
	}
	return alternatives > 0 && ejected < max(1, len(g.members)*g.policy.MaxPercent/100)
}
