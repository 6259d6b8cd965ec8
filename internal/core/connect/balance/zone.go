package balance

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// spillAt is the default of connect.Balance.SpillAt, in percent.
	spillAt = 70
	// zoneWindow is how often the zones are compared, in ns.
	zoneWindow = int64(time.Second)
	// zoneSamples answers at least are needed for a comparison.
	zoneSamples = 10
	// zoneSlower is how many times slower than the others the local zone must be
	// to count as saturated. Another zone adds about a millisecond itself.
	zoneSlower = 2
	// zoneLess and zoneMore move the local share down by a factor and up by a
	// step, as TCP moves its window.
	zoneLess = 0.7
	zoneMore = 0.05
	// zoneForget lets the least latency seen rise by 2 % per window, so that a
	// service which became slower for good is not taken for saturated for ever.
	zoneForget = 1.02
)

// zone decides how much stays in the local zone. Two things make requests leave
// it. First, too few of its members are eligible: below SpillAt its part shrinks
// in proportion. Second, it is saturated while others are not: its answers take
// twice as long as theirs. This happens where more callers than hosts are in the
// zone, which no single proxy can see, so it goes by what all of them cause.
//
// Either way the zone keeps at least its fair share, that of its eligible weight,
// so that no host elsewhere gets more than a local one.
type zone struct {
	near, far []*Host
	weight    uint64 // of all local members, eligible or not, that are not draining
	spillAt   float64

	pull   atomic.Uint64 // float64: 1: all that the first rule allows, 0: the fair share
	end    atomic.Int64  // of the window, ns
	before [4]atomic.Uint64
	least  atomic.Uint64 // float64: least mean latency of the local zone, ns
}

// shares are the local parts by the first rule, and by weight alone.
func (z *zone) shares(near, far uint64) (share, fair float64) {
	fair = float64(near) / float64(near+far)
	eligible := float64(near) / float64(max(z.weight, near))
	return max(min(1, eligible*100/z.spillAt), fair), fair
}

// stay says whether a request stays in the local zone.
func (z *zone) stay(v *view, random uint64) bool {
	pull := math.Float64frombits(z.pull.Load())
	share := v.fair + (v.share-v.fair)*pull
	return float64(random>>11)*0x1p-53 < share
}

// compare moves the share, once per window.
func (z *zone) compare(now int64) {
	end := z.end.Load()
	if now < end || !z.end.CompareAndSwap(end, now+zoneWindow) {
		return
	}
	nearCount, nearMean := z.mean(z.near, 0)
	farCount, farMean := z.mean(z.far, 2)
	pull := math.Float64frombits(z.pull.Load())
	if end == 0 {
		return // these were the counts from before there was a window
	}
	reference := math.Float64frombits(z.least.Load()) * zoneForget
	if nearCount >= zoneSamples && (reference == 0 || nearMean < reference) {
		reference = nearMean
	}
	z.least.Store(math.Float64bits(reference))
	if farCount >= zoneSamples {
		reference = farMean
	}
	if nearCount >= zoneSamples && nearMean > zoneSlower*reference {
		pull *= zoneLess
	} else {
		pull = min(1, pull+zoneMore)
	}
	z.pull.Store(math.Float64bits(pull))
}

// mean is the number of answers since the last time and their mean latency in ns.
func (z *zone) mean(hosts []*Host, slot int) (count, mean float64) {
	var answers, nanos uint64
	for _, h := range hosts {
		answers += h.answered.Load()
		nanos += h.nanos.Load()
	}
	n := answers - z.before[slot].Swap(answers)
	t := nanos - z.before[slot+1].Swap(nanos)
	if n == 0 || n > math.MaxInt64 || t > math.MaxInt64 {
		return 0, 0 // counts that went backwards are of other hosts
	}
	return float64(n), float64(t) / float64(n)
}
