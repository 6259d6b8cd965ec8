package resilience

import (
	"math"
	"sync/atomic"
	"time"
)

// The figures of the adaptive limit. Gradient, smoothing and tolerance are those
// of Netflix's concurrency-limits (Gradient2), the allowance for a queue is that
// of its first gradient, and the pause is BBR's ProbeRTT: without it the reference
// follows a standing queue, and the limit drifts up under a long overload.
const (
	adaptiveInitial   = 20
	adaptiveMin       = 4
	adaptiveMax       = 1000
	adaptiveWindow    = int64(100 * time.Millisecond)
	adaptiveSamples   = 10   // at least, for a window to count
	adaptiveSmoothing = 0.2  // share of a window's result that is taken over
	adaptiveTolerance = 1.5  // latency above the reference that is no queue yet
	adaptiveLong      = 600  // windows of the reference's average
	adaptiveDrop      = 0.9  // factor for a window with too many drops,
	adaptiveDropShare = 10   // which are more than one in so many
	adaptiveEvery     = 100  // windows from pause to pause
	adaptivePause     = 3    // windows of a pause
	adaptiveReduced   = 0.25 // of the limit during a pause
	adaptiveRecovery  = 0.95 // of the reference, while it is far too high
)

// Adaptive finds how many requests a host can answer at once: it lets the limit
// grow while latency stays near its long-run reference, and shrinks it by the
// ratio of the two when a queue builds up in the host. The zero value is ready.
//
// The limit stays within 4 and 1,000. It changes once per 100 ms at most, and only
// while at least half of it is in use: otherwise latency says nothing about it.
type Adaptive struct {
	gauge     Gauge
	limit     atomic.Uint64 // float64; 0: the initial one
	reference atomic.Uint64 // float64 of ns
	allowed   atomic.Int64  // the limit as Acquire uses it; 0: the initial one

	windowEnd atomic.Int64
	windows   atomic.Uint64
	sum       atomic.Int64 // ns
	count     atomic.Int64
	drops     atomic.Int64
	peak      atomic.Int64 // requests at once
	refused   atomic.Uint64
	paused    atomic.Bool
}

// Acquire takes a place, if the limit allows it. Each success needs one Release.
func (a *Adaptive) Acquire() bool { return a.gauge.Acquire(a.Limit()) }

// Release gives the place back.
func (a *Adaptive) Release() { a.gauge.Release() }

// Used is how many places are taken.
func (a *Adaptive) Used() int64 { return a.gauge.Used() }

// Limit is what is allowed now, lowered during a pause.
func (a *Adaptive) Limit() int64 {
	if n := a.allowed.Load(); n != 0 {
		return n
	}
	return adaptiveInitial
}

// Observe notes the latency of an answer. Dropped says that there was none in
// time, or a refusal: the latency does not count then, and the limit shrinks when
// that happens to more than a tenth of the requests.
func (a *Adaptive) Observe(now int64, latency time.Duration, dropped bool) {
	var n int64
	if dropped {
		n = a.drops.Add(1) + a.count.Load()
	} else {
		a.sum.Add(int64(latency))
		n = a.count.Add(1) + a.drops.Load()
	}
	if used := a.gauge.Used(); used > a.peak.Load() {
		a.peak.Store(used) // a lost race costs one sample
	}
	end := a.windowEnd.Load()
	if now < end || n < adaptiveSamples || !a.windowEnd.CompareAndSwap(end, now+adaptiveWindow) {
		return
	}
	a.adjust()
}

// adjust closes a window. One caller at a time gets here: the next one has to
// wait for 100 ms.
func (a *Adaptive) adjust() {
	sum, count, drops, peak := a.sum.Swap(0), a.count.Swap(0), a.drops.Swap(0), a.peak.Swap(0)
	window := a.windows.Add(1)
	paused := a.paused.Load()
	limit := a.current()
	reference := math.Float64frombits(a.reference.Load())
	short := reference
	if count > 0 {
		short = max(float64(sum)/float64(count), 1)
		reference = nextReference(reference, short, paused)
		a.reference.Store(math.Float64bits(reference))
	}
	dropped := drops*adaptiveDropShare > count
	if !paused && (dropped || float64(peak)*2 >= limit) {
		limit = nextLimit(limit, reference, short, dropped)
		a.limit.Store(math.Float64bits(limit))
	}
	paused = a.pause(window)
	a.paused.Store(paused)
	if paused {
		limit = max(limit*adaptiveReduced, adaptiveMin)
	}
	a.allowed.Store(int64(limit))
}

// pause says whether the limit is lowered in a window, to see the latency without
// a queue of ours. That is only worth it after the limit had to refuse something:
// where it did not, it made no queue either.
func (a *Adaptive) pause(window uint64) bool {
	switch phase := window % adaptiveEvery; {
	case phase == 0:
		refused := a.gauge.Refused()
		return a.refused.Swap(refused) != refused
	case phase < adaptivePause:
		return a.paused.Load()
	case phase == adaptivePause:
		// What the pause itself refused must not lead to the next one.
		a.refused.Store(a.gauge.Refused())
		return false
	default:
		return false
	}
}

func (a *Adaptive) current() float64 {
	if limit := math.Float64frombits(a.limit.Load()); limit != 0 {
		return limit
	}
	return adaptiveInitial
}

func nextReference(reference, short float64, paused bool) float64 {
	switch {
	case reference == 0:
		return short
	case paused:
		return min(reference, short) // there is no queue of ours now: this is the truth
	case reference > 2*short:
		return reference * adaptiveRecovery
	default:
		return reference + (short-reference)/adaptiveLong
	}
}

func nextLimit(limit, reference, short float64, dropped bool) float64 {
	next := limit * adaptiveDrop
	if !dropped {
		gradient := min(max(adaptiveTolerance*reference/short, 0.5), 1)
		target := limit*gradient + math.Sqrt(limit)
		next = limit + (target-limit)*adaptiveSmoothing
	}
	return min(max(next, adaptiveMin), adaptiveMax)
}
