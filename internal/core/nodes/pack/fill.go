package pack

import (
	"cmp"
	"math"
	"slices"
)

// scratch is memory that fills and bounds share, so that they allocate nothing.
type scratch struct {
	free    []float64 // what is left of the bin, by dimension
	take    []int     // how many of each item are in; 0 outside of touched
	touched []int32   // items that are in
	blocked []int     // how many items that are in keep this one out
	key     []float64
	order   []int32
	scarce  []float64
	trial   []float64
	slope   []float64
	points  []point
}

func newScratch(items, dims int) scratch {
	return scratch{
		free: make([]float64, dims), scarce: make([]float64, dims),
		trial: make([]float64, dims), slope: make([]float64, dims), take: make([]int, items), blocked: make([]int, items),
		key: make([]float64, items), order: make([]int32, 0, items),
	}
}

// open makes the bin of the scratch empty.
func (k *packer) open(b *bin) {
	w := &k.work
	for _, i := range w.touched {
		for _, o := range k.items[i].apart {
			w.blocked[o]--
		}
		w.take[i] = 0
	}
	w.touched = w.touched[:0]
	copy(w.free, b.cap)
}

// room is how many more of item i fit, at most n.
func (k *packer) room(i int32, n int) int {
	w := &k.work
	n = min(n, k.items[i].perBin) - w.take[i]
	if n <= 0 || w.blocked[i] > 0 {
		return 0
	}
	free := w.free
	for d, v := range k.size[int(i)*k.dims : int(i+1)*k.dims] {
		if v <= 0 {
			continue
		}
		if v > free[d] {
			return 0
		}
		if q := free[d] / v; q < float64(n) {
			n = int(q)
		}
	}
	return n
}

// put takes n more of item i into the bin.
func (k *packer) put(i int32, n int) {
	w := &k.work
	if w.take[i] == 0 {
		w.touched = append(w.touched, i)
		for _, o := range k.items[i].apart {
			w.blocked[o]++
		}
	}
	w.take[i] += n
	for d, v := range k.size[int(i)*k.dims : int(i+1)*k.dims] {
		w.free[d] -= v * float64(n)
	}
}

// worth is the value of what is in the bin.
func (k *packer) worth(value []float64) float64 {
	sum := 0.0
	for _, i := range k.work.touched {
		sum += value[i] * float64(k.work.take[i])
	}
	return sum
}

// shares are what is in the bin, by item.
func (k *packer) shares(out []Share) []Share {
	out = out[:0]
	for _, i := range k.work.touched {
		out = append(out, Share{Item: int(i), Count: k.work.take[i]})
	}
	slices.SortFunc(out, func(a, b Share) int { return cmp.Compare(a.Item, b.Item) })
	return out
}

// fillOrdered opens the bin and takes the items with the highest value for what
// they weigh, as many as fit of each.
func (k *packer) fillOrdered(b *bin, from []int32, weights, value []float64, count []int) {
	k.open(b)
	w := &k.work
	w.order = w.order[:0]
	k.effort.work += len(from)
	for _, i := range from {
		if count[i] <= 0 || value[i] <= 0 || !b.accepts.Has(int(i)) {
			continue
		}
		weight := 1e-12
		for d, v := range k.size[int(i)*k.dims : int(i+1)*k.dims] {
			weight += weights[d] * v
		}
		w.key[i] = -value[i] / weight
		w.order = append(w.order, i)
	}
	slices.SortFunc(w.order, func(a, b int32) int { return cmp.Compare(w.key[a], w.key[b]) })
	for _, i := range w.order {
		if n := k.room(i, count[i]); n > 0 {
			k.put(i, n)
		}
	}
}

// fillBalanced opens the bin and takes, step by step, the item with the highest
// value for what it weighs by what is scarce by then: so the dimensions run out
// together. A step takes a part of what would fit, one at least; the larger
// part, the coarser and the faster.
func (k *packer) fillBalanced(b *bin, from []int32, value []float64, count []int, part int) {
	k.open(b)
	k.topUp(b, from, value, count, part)
}

// topUp goes on with a bin that is open.
func (k *packer) topUp(b *bin, from []int32, value []float64, count []int, part int) {
	w := &k.work
	w.order = w.order[:0]
	for _, i := range from {
		if count[i] > 0 && value[i] > 0 && b.accepts.Has(int(i)) {
			w.order = append(w.order, i)
		}
	}
	scarce := w.scarce
	for len(w.order) > 0 {
		k.effort.work += len(w.order)
		for d, f := range w.free {
			scarce[d] = 1 / math.Max(f, 1e-9)
		}
		best, bestKey, bestRoom := int32(-1), 0.0, 0
		kept := w.order[:0]
		for _, i := range w.order {
			room := k.room(i, count[i])
			if room == 0 {
				continue
			}
			kept = append(kept, i)
			weight := 1e-12
			for d, v := range k.size[int(i)*k.dims : int(i+1)*k.dims] {
				weight += scarce[d] * v
			}
			if key := value[i] / weight; key > bestKey {
				best, bestKey, bestRoom = i, key, room
			}
		}
		w.order = kept
		if best < 0 {
			return
		}
		k.put(best, max(1, bestRoom/part))
	}
}
