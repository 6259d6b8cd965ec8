package balance

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// tickBits makes a tick of 65.5 µs, so that a 32-bit time wraps after 78 h.
	tickBits = 16
	// decayTicks is the time in which a peak loses all but 1/e of its height.
	decayTicks = float64(10*time.Second) / (1 << tickBits)
	// pastTicks is the most by which clocks of two loops may seem to run
	// backwards; a larger distance is one that has wrapped.
	pastTicks = 1 << 16
)

// peakEWMA is a latency in one word: float32 ns and the tick of its last change.
// It rises to a peak at once and comes down with time, so that a host which
// turns slow is left at once and tried again with care. Zero: nothing seen.
type peakEWMA struct {
	word atomic.Uint64
}

func pack(ns float64, tick uint32) uint64 {
	return uint64(math.Float32bits(float32(ns)))<<32 | uint64(tick)
}

func unpack(word uint64) (ns float64, tick uint32) {
	return float64(math.Float32frombits(uint32(word >> 32))), uint32(word)
}

// observe takes in one latency, in ns.
func (p *peakEWMA) observe(now int64, ns float64) {
	tick := uint32(now >> tickBits)
	ns = max(ns, 1)
	for {
		old := p.word.Load()
		value, at := unpack(old)
		next, since := ns, tick
		if ns < value {
			w := decay(tick, at)
			next = value*w + ns*(1-w)
			if ahead := at - tick; ahead < pastTicks {
				since = at // the time of another loop was a little ahead
			}
		}
		word := pack(next, since)
		if word == old || p.word.CompareAndSwap(old, word) {
			return
		}
	}
}

// peak is the latency in ns without what time has taken off; 0: nothing seen.
func (p *peakEWMA) peak() float64 {
	ns, _ := unpack(p.word.Load())
	return ns
}

// at is the latency in ns as of now; 0: nothing seen.
func (p *peakEWMA) at(now int64) float64 {
	ns, tick := unpack(p.word.Load())
	if ns == 0 {
		return 0
	}
	return ns * decay(uint32(now>>tickBits), tick)
}

// decay is e^(-elapsed/decay time).
func decay(now, then uint32) float64 {
	elapsed := now - then
	if then-now < pastTicks {
		return 1
	}
	x := float64(elapsed) / decayTicks
	switch {
	case x < 1.0/64:
		return 1 - x // right to 0.01 %, and busy hosts are always here
	case x > 32:
		return 0
	default:
		return math.Exp(-x)
	}
}
