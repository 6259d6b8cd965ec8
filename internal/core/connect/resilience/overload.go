package resilience

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// OverloadPolicy says when a proxy is overloaded. Zero fields mean the default in
// brackets.
type OverloadPolicy struct {
	// Target is the delay that may stand (20 ms) for an Interval (200 ms).
	Target   time.Duration
	Interval time.Duration
	// MaxInFlight refuses what is above; 0: no limit.
	MaxInFlight int64
}

// What overload means beyond the policy.
const (
	// overloadGrowth intervals in a row with a queue that grew by a sixteenth each
	// arm the shedding at a quarter of the target: the delay will be there soon.
	overloadGrowth = 5
	// overloadCalm intervals without a standing delay disarm it.
	overloadCalm = 5
	// overloadRetryMin and Max bound Retry-After, in seconds.
	overloadRetryMin = 1
	overloadRetryMax = 10
)

// Overload decides whether a new request is refused, so that those which are
// accepted are answered in time. As in CoDel (RFC 8289) the measure is the least
// delay within an interval: a burst has moments without a queue, an overload has
// none. Once armed it refuses while the delay is above half of the target, which
// keeps the queue short and the processor busy with answers.
//
// Use one per event loop, or one for all goroutines with a ticker that measures
// how late it is called. Methods may be called from anywhere.
type Overload struct {
	policy OverloadPolicy

	lag       atomic.Int64 // the last one
	leastLag  atomic.Int64 // within the interval
	leastWork atomic.Int64 // requests in flight, the least within the interval
	standing  atomic.Int64 // leastWork of the interval before
	end       atomic.Int64 // of the interval
	growing   atomic.Int32 // intervals in a row
	calm      atomic.Int32
	since     atomic.Int64 // armed since; 0: not armed

	refused atomic.Uint64
}

// NewOverload fills in the defaults.
func NewOverload(p OverloadPolicy) *Overload {
	p.Target = orDefault(p.Target, 20*time.Millisecond)
	p.Interval = orDefault(p.Interval, 200*time.Millisecond)
	o := &Overload{policy: p}
	o.leastLag.Store(math.MaxInt64)
	o.leastWork.Store(math.MaxInt64)
	return o
}

// Observe notes how long what is handled now has waited (the lag of the event
// loop, ns), and how many requests are in flight.
func (o *Overload) Observe(now, lag, inFlight int64) {
	end := o.end.Load()
	// The interval is closed before the sample counts: a sample that comes after a
	// long silence belongs to the next one.
	if now >= end && o.end.CompareAndSwap(end, now+int64(o.policy.Interval)) {
		o.judge(now)
	}
	o.lag.Store(lag)
	lower(&o.leastLag, lag)
	lower(&o.leastWork, inFlight)
}

func lower(least *atomic.Int64, value int64) {
	for {
		old := least.Load()
		if value >= old || least.CompareAndSwap(old, value) {
			return
		}
	}
}

// judge closes an interval.
func (o *Overload) judge(now int64) {
	lag, work := o.leastLag.Swap(math.MaxInt64), o.leastWork.Swap(math.MaxInt64)
	if lag == math.MaxInt64 {
		return // the first one
	}
	if before := o.standing.Swap(work); work > before+before/16 && before > 0 {
		o.growing.Add(1)
	} else {
		o.growing.Store(0)
	}
	target := int64(o.policy.Target)
	switch {
	case lag >= target, lag >= target/4 && o.growing.Load() >= overloadGrowth:
		o.calm.Store(0)
		o.since.CompareAndSwap(0, max(now, 1))
	case o.since.Load() == 0:
	case lag >= target/4:
		o.calm.Store(0)
	case o.calm.Add(1) >= overloadCalm:
		o.since.Store(0)
		o.calm.Store(0)
	}
}

// Shedding says that new requests are refused while they have to wait.
func (o *Overload) Shedding() bool { return o.since.Load() != 0 }

// Refused is how many requests were refused since the start.
func (o *Overload) Refused() uint64 { return o.refused.Load() }

// Admission is the verdict on one request.
type Admission struct {
	OK bool
	// RetryAfter is in seconds, for the 503.
	RetryAfter int
	// Full says that MaxInFlight was the reason, not the delay.
	Full bool
}

// Admit decides on a new request. Random spreads the clients that come back.
func (o *Overload) Admit(now, inFlight int64, random uint64) Admission {
	if o.policy.MaxInFlight > 0 && inFlight >= o.policy.MaxInFlight {
		o.refused.Add(1)
		return Admission{RetryAfter: overloadRetryMin, Full: true}
	}
	since := o.since.Load()
	if since == 0 || o.lag.Load() < int64(o.policy.Target)/2 {
		return Admission{OK: true}
	}
	o.refused.Add(1)
	// The longer it lasts, the longer clients are asked to stay away.
	seconds := min(max((now-since)/int64(time.Second), overloadRetryMin), overloadRetryMax)
	extra, _ := bits.Mul64(random, uint64(seconds)+1)
	return Admission{RetryAfter: int(seconds) + int(extra)}
}
