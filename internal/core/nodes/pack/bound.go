package pack

import (
	"cmp"
	"math"
	"slices"
)

// point is where an item begins to be worth its weight in one dimension.
type point struct{ at, load float64 }

func (k *packer) weight(i int, prices []float64) float64 {
	sum := 0.0
	for d, v := range k.size[i*k.dims : (i+1)*k.dims] {
		sum += prices[d] * v
	}
	return sum
}

// tighten lowers the bound that prices give to what a bin can hold, and leaves
// the best prices in place. First it moves one price after the other to where the
// bound is lowest; where that gets stuck in a fold, it steps against the slope,
// as far as if the bound could come down to target (Polyak's step).
func (k *packer) tighten(b *bin, prices, value []float64, target float64) float64 {
	for d := range prices {
		prices[d] = k.lowest(b, prices, value, d)
	}
	w := &k.work
	copy(w.trial, prices)
	best := math.Inf(1)
	for range polyakSteps {
		bound := k.slope(b, w.trial, value)
		if bound < best {
			best = bound
			copy(prices, w.trial)
		}
		over, norm := bound-target, 0.0
		for d, g := range w.slope {
			if b.cap[d] > 0 {
				norm += (g / b.cap[d]) * (g / b.cap[d])
			}
		}
		if over <= 1e-6*target || norm < 1e-12 {
			break
		}
		for d, g := range w.slope {
			if b.cap[d] > 0 {
				w.trial[d] = math.Max(0, w.trial[d]-over/norm*g/b.cap[d]/b.cap[d])
			}
		}
	}
	return best
}

// tightest finds good prices for the dimensions of a bin from nothing, and what
// the bin holds at most by them.
func (k *packer) tightest(b *bin, value []float64) ([]float64, float64) {
	if len(b.items) == 0 {
		return make([]float64, k.dims), 0
	}
	best := k.poured(b)
	bound := k.slope(b, best, value)
	start := slices.Clone(best)
	if now := k.tighten(b, best, value, b.price); now < bound {
		return best, now
	}
	return start, bound
}

// ownedHold bounds the value that the existing bins hold together.
func (k *packer) ownedHold(value []float64) float64 {
	sum := 0.0
	for o := range k.owned {
		_, most := k.tightest(&k.owned[o], value)
		sum += most
	}
	return sum
}

// polyakSteps bounds the steps of one call of tighten.
const polyakSteps = 12

// slope is upper, and how fast it grows with each price.
func (k *packer) slope(b *bin, prices, value []float64) float64 {
	w := &k.work
	sum := 0.0
	for d, c := range b.cap {
		sum += prices[d] * c
		w.slope[d] = c
	}
	k.effort.work += len(b.items)
	for n, i := range b.items {
		excess := value[i] - k.weight(int(i), prices)
		if excess <= 0 {
			continue
		}
		most := float64(b.most[n])
		sum += excess * most
		for d, v := range k.size[int(i)*k.dims : int(i+1)*k.dims] {
			w.slope[d] -= most * v
		}
	}
	return sum
}

// lowest finds the price of dimension d that makes the bound lowest when the
// others stay: as the price falls, items become worth their weight, and where
// they begin to overfill the bin the bound turns up again.
func (k *packer) lowest(b *bin, prices, value []float64, d int) float64 {
	points := k.work.points[:0]
	k.effort.work += 4 * len(b.items)
	for n, i := range b.items {
		v := k.size[int(i)*k.dims+d]
		if v == 0 {
			continue
		}
		if rest := value[i] - k.weight(int(i), prices) + prices[d]*v; rest > 0 {
			points = append(points, point{at: rest / v, load: v * float64(b.most[n])})
		}
	}
	k.work.points = points
	slices.SortFunc(points, func(a, b point) int { return cmp.Compare(b.at, a.at) })
	load := 0.0
	if b.cap[d] == 0 {
		return prices[d]
	}
	for _, p := range points {
		if load += p.load; load > b.cap[d] {
			return p.at
		}
	}
	return 0
}

// farley turns values of the items into a lower bound for packing so many of
// each. If no bin can hold more value than it costs, all items together cost at
// least their value; otherwise the values are scaled down until that holds. A bin
// costs its tolls besides, so what the limits could take in tolls is taken off
// again. held is an upper bound of the value that each bin can hold; existing
// bins hold theirs for nothing.
func (k *packer) farley(d duals, count []int, held []float64, owned float64, cost func(*bin) float64) float64 {
	scale := math.Inf(1)
	for t := range k.bins {
		if b := &k.bins[t]; held[t] > 0 {
			scale = math.Min(scale, (cost(b)+d.tollOf(b))/held[t])
		}
	}
	if math.IsInf(scale, 1) {
		return 0
	}
	sum := -owned
	for i, v := range d.value {
		if k.home[i] >= 0 {
			sum += v * float64(count[i])
		}
	}
	sum *= scale
	for l, toll := range d.toll {
		sum -= toll * k.limits[l]
	}
	return math.Max(0, sum)
}

// duals are the prices of one solution of the linear program: what one item is
// worth, and what one unit of a limit is.
type duals struct{ value, toll []float64 }

func (d duals) tollOf(b *bin) float64 {
	sum := 0.0
	for _, u := range b.uses {
		sum += d.toll[u.Limit] * float64(u.Amount)
	}
	return sum
}
