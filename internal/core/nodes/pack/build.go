package pack

import (
	"math"
	"math/rand/v2"
	"slices"
)

// builder fills bins one after the other until nothing is left: each time the
// bin and the filling that hold the most value for their price.
type builder struct {
	*packer
	value []float64
	// bins are indexes into packer.bins: those worth trying.
	bins []int
	// limits is what is left of each.
	limits []float64
	// rng, when given, varies the values, so that each call builds differently.
	rng *rand.Rand
	// thorough tries several fillings for each bin.
	thorough bool

	noisy  []float64
	active []int32
	loads  []Load
	price  float64
	// price up to the load at which to end with one bin for all the rest, and
	// that bin.
	endAt, endBin int
	endPrice      float64
}

// build packs the items counted, and empties count. What no bin takes, or the
// limits forbid, stays in it.
func (b *builder) build(count []int) ([]Load, float64) {
	b.loads, b.price = b.loads[:0], 0
	b.endAt, b.endPrice = -1, math.Inf(1)
	b.start(count)
	var rest [][]Share
	for len(b.active) > 0 && b.price < b.endPrice {
		if t, price := b.last(count); t >= 0 && b.price+price < b.endPrice {
			b.endAt, b.endBin, b.endPrice = len(b.loads), t, b.price+price
			rest = append(rest[:0], b.all(count))
		}
		if !b.next(count) {
			break
		}
	}
	if b.endAt < 0 || len(b.active) == 0 && b.price <= b.endPrice {
		return b.loads, b.price
	}
	for _, l := range b.loads[b.endAt:] {
		b.take(l.Bin, -l.Times)
	}
	for _, i := range b.active {
		count[i] = 0
	}
	b.active = b.active[:0]
	b.loads = append(b.loads[:b.endAt], Load{Bin: b.endBin, Times: 1, Shares: rest[0]})
	b.take(b.endBin, 1)
	b.price = b.endPrice
	return b.loads, b.price
}

func (b *builder) start(count []int) {
	b.active = b.active[:0]
	if b.noisy == nil {
		b.noisy = make([]float64, len(b.value))
	}
	for i, n := range count {
		if n > 0 && b.home[i] >= 0 {
			b.active = append(b.active, int32(i))
			// What is worth nothing by the duals still needs a place.
			b.noisy[i] = math.Max(b.value[i], 1e-6*math.Max(b.packer.bins[b.home[i]].price, 1))
			if b.rng != nil {
				b.noisy[i] *= 1 + 0.15*b.rng.Float64()
			}
		}
	}
}

// next adds the load with the most value for its price.
func (b *builder) next(count []int) bool {
	best, bestRate := -1, 0.0
	var shares []Share
	for _, t := range b.bins {
		bin := &b.packer.bins[t]
		if !b.affords(bin) {
			continue
		}
		for way := range b.ways() {
			b.fill(bin, count, way)
			if len(b.work.touched) == 0 {
				break
			}
			if rate := b.worth(b.noisy) / math.Max(bin.price, 1e-3); rate > bestRate {
				best, bestRate = t, rate
				shares = b.shares(shares)
			}
		}
	}
	if best < 0 {
		return b.single(count)
	}
	b.add(best, slices.Clone(shares), count)
	return true
}

func (b *builder) ways() int {
	if b.thorough {
		return 3
	}
	return 1
}

func (b *builder) fill(bin *bin, count []int, way int) {
	switch way {
	case 0:
		b.fillBalanced(bin, b.active, b.noisy, count, 4)
	case 1:
		b.fillBalanced(bin, b.active, b.noisy, count, 1)
	default:
		weights := b.work.scarce
		for d, c := range bin.cap {
			weights[d] = 1 / math.Max(c, 1)
		}
		b.fillOrdered(bin, b.active, weights, b.noisy, count)
	}
}

// single serves an item that none of the bins tried takes: in its home.
func (b *builder) single(count []int) bool {
	for n := 0; n < len(b.active); n++ {
		i := b.active[n]
		for t := range b.packer.bins {
			bin := &b.packer.bins[t]
			if !b.affords(bin) || !bin.accepts.Has(int(i)) || !b.fits(int(i), bin.cap) {
				continue
			}
			if t != b.home[i] && b.affords(&b.packer.bins[b.home[i]]) {
				continue
			}
			b.fillBalanced(bin, []int32{i}, b.noisy, count, 1)
			b.topUp(bin, b.active, b.noisy, count, 1)
			if len(b.work.touched) == 0 {
				continue
			}
			b.add(t, b.shares(nil), count)
			return true
		}
	}
	return false
}

// add buys a bin as often as its filling can be repeated, in the smallest size
// that holds it.
func (b *builder) add(t int, shares []Share, count []int) {
	t = b.rightSize(t, shares)
	times := math.MaxInt
	for _, s := range shares {
		times = min(times, count[s.Item]/s.Count)
	}
	times = min(times, b.affordable(t))
	for _, s := range shares {
		count[s.Item] -= times * s.Count
	}
	b.active = slices.DeleteFunc(b.active, func(i int32) bool { return count[i] == 0 })
	b.take(t, times)
	b.loads = append(b.loads, Load{Bin: t, Times: times, Shares: shares})
	b.price += b.packer.bins[t].price * float64(times)
}

func (b *builder) take(t, times int) {
	for _, u := range b.packer.bins[t].uses {
		b.limits[u.Limit] -= float64(u.Amount) * float64(times)
	}
}

// affordable is how many of a bin the limits allow.
func (b *builder) affordable(t int) int {
	times := math.MaxInt
	for _, u := range b.packer.bins[t].uses {
		if u.Amount > 0 {
			times = min(times, int(b.limits[u.Limit]/float64(u.Amount)))
		}
	}
	return times
}

func (b *builder) affords(t *bin) bool {
	for _, u := range t.uses {
		if float64(u.Amount) > b.limits[u.Limit] {
			return false
		}
	}
	return true
}

// rightSize finds the cheapest bin that holds the shares; t does.
func (b *builder) rightSize(t int, shares []Share) int {
	sum := b.sum(shares)
	for c := range b.packer.bins {
		bin := &b.packer.bins[c]
		if bin.price >= b.packer.bins[t].price {
			return t
		}
		if b.affords(bin) && holds(bin, sum, shares) {
			return c
		}
	}
	return t
}

func (k *packer) sum(shares []Share) []float64 {
	sum := k.work.scarce
	clear(sum)
	for _, s := range shares {
		for d, v := range k.size[s.Item*k.dims : (s.Item+1)*k.dims] {
			sum[d] += v * float64(s.Count)
		}
	}
	return sum
}

func holds(b *bin, sum []float64, shares []Share) bool {
	for d, v := range sum {
		if v > b.cap[d] {
			return false
		}
	}
	if b.accepts == nil {
		return true
	}
	for _, s := range shares {
		if !b.accepts.Has(s.Item) {
			return false
		}
	}
	return true
}

// last finds the cheapest bin that holds all that is left; -1 when none does.
func (b *builder) last(count []int) (int, float64) {
	sum := b.work.scarce
	clear(sum)
	for _, i := range b.active {
		if count[i] > b.items[i].perBin {
			return -1, 0
		}
		for d, v := range b.size[int(i)*b.dims : int(i+1)*b.dims] {
			sum[d] += v * float64(count[i])
		}
	}
	for t := range b.packer.bins {
		bin := &b.packer.bins[t]
		if b.affords(bin) && b.holdsAll(bin, sum) {
			return t, bin.price
		}
	}
	return -1, 0
}

func (b *builder) holdsAll(t *bin, sum []float64) bool {
	for d, v := range sum {
		if v > t.cap[d] {
			return false
		}
	}
	for _, i := range b.active {
		if !t.accepts.Has(int(i)) {
			return false
		}
		for _, o := range b.items[i].apart {
			if slices.Contains(b.active, o) {
				return false
			}
		}
	}
	return true
}

func (b *builder) all(count []int) []Share {
	out := make([]Share, 0, len(b.active))
	for _, i := range b.active {
		out = append(out, Share{Item: int(i), Count: count[i]})
	}
	return out
}
