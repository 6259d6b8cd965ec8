package pack

import (
	"cmp"
	"slices"
)

// item and bin are those of the problem in the form in which they are computed
// with: floating point, in which integers up to 2^53 are exact.
type item struct {
	count, perBin int // perBin is at least 1
	apart         []int32
}

type bin struct {
	cap         []float64
	price, cost float64
	accepts     Set
	items       []int32 // that it accepts and that fit, one at least
	most        []int32 // how many of each of them fit alone
	uses        []Use
	at          int // index into Problem.Bins; -1 for an owned one
}

// packer is one run.
type packer struct {
	p     *Problem
	dims  int
	size  []float64 // item × dims
	items []item
	bins  []bin     // those worth buying
	owned []bin     // in the order of the problem
	value []float64 // of each item: the dual prices in use
	// class of each item, and the prices of the dimensions at which each class
	// could be poured: where the search for tight ones starts.
	class  []int
	pours  [][]float64
	home   []int // the cheapest bin for one item alone; -1 when none takes it
	limits []float64
	work   scratch
	effort effort
}

// prepare drops what cannot be of use: items without a bin, and bins that
// another one beats in every respect.
func prepare(p *Problem) *packer {
	k := &packer{p: p, items: make([]item, len(p.Items)), value: make([]float64, len(p.Items)), class: make([]int, len(p.Items))}
	if len(p.Items) > 0 {
		k.dims = len(p.Items[0].Size)
	}
	k.size = make([]float64, len(p.Items)*k.dims)
	for i := range p.Items {
		it := &p.Items[i]
		for d, v := range it.Size {
			k.size[i*k.dims+d] = float64(v)
		}
		k.items[i] = item{count: it.Count, perBin: it.Count}
		if it.PerBin > 0 {
			k.items[i].perBin = min(it.PerBin, it.Count)
		}
		for _, o := range it.Apart {
			k.items[i].apart = append(k.items[i].apart, int32(o))
		}
	}
	for _, l := range p.Limits {
		k.limits = append(k.limits, float64(l))
	}
	for _, b := range k.worthwhile() {
		k.bins = append(k.bins, k.bin(b))
	}
	for i := range p.Owned {
		o := &p.Owned[i]
		b := bin{cap: floats(o.Size), accepts: o.Accepts, at: -1}
		k.takes(&b)
		k.owned = append(k.owned, b)
	}
	k.home = k.homes()
	k.work = newScratch(len(k.items), k.dims)
	return k
}

func floats(v []int64) []float64 {
	out := make([]float64, len(v))
	for i, n := range v {
		out[i] = float64(n)
	}
	return out
}

func (k *packer) bin(at int) bin {
	src := &k.p.Bins[at]
	b := bin{
		cap: floats(src.Size), price: float64(src.Price), cost: float64(src.Cost),
		accepts: src.Accepts, uses: src.Uses, at: at,
	}
	k.takes(&b)
	return b
}

// takes finds the items of which one fits, and how many of each do.
func (k *packer) takes(b *bin) {
	for i := range k.items {
		if k.items[i].count > 0 && b.accepts.Has(i) && k.fits(i, b.cap) {
			b.items = append(b.items, int32(i))
			b.most = append(b.most, int32(k.alone(i, b)))
		}
	}
}

func (k *packer) fits(i int, free []float64) bool {
	for d, v := range k.size[i*k.dims : (i+1)*k.dims] {
		if v > free[d] {
			return false
		}
	}
	return true
}

// worthwhile lists the bins that no other one dominates, cheapest first. One
// that uses limits dominates only what uses the same of them.
func (k *packer) worthwhile() []int {
	bins := k.p.Bins
	order := make([]int, 0, len(bins))
	for i := range bins {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(bins[a].Price, bins[b].Price), cmp.Compare(bins[a].Cost, bins[b].Cost),
			-slices.Compare(bins[a].Size, bins[b].Size))
	})
	var kept []int
	for _, i := range order {
		beaten := slices.ContainsFunc(kept, func(j int) bool { return dominates(&bins[j], &bins[i]) })
		if !beaten {
			kept = append(kept, i)
		}
	}
	return kept
}

// dominates says whether a, which is no dearer, can replace b in any solution.
func dominates(a, b *Bin) bool {
	if a.Cost > b.Cost || len(a.Uses) > 0 && !slices.Equal(a.Uses, b.Uses) {
		return false
	}
	for d, v := range a.Size {
		if v < b.Size[d] {
			return false
		}
	}
	return a.Accepts.Covers(b.Accepts)
}

// homes finds for each item the bin in which one costs least when the bin is
// filled with it alone; a bin without limits goes before one with.
func (k *packer) homes() []int {
	out := make([]int, len(k.items))
	best := make([]float64, len(k.items))
	for i := range out {
		out[i] = -1
	}
	for t := range k.bins {
		b := &k.bins[t]
		for n, i := range b.items {
			each := b.price / float64(b.most[n])
			free := len(b.uses) == 0
			if h := out[i]; h < 0 || free && len(k.bins[h].uses) > 0 || free == (len(k.bins[h].uses) == 0) && each < best[i] {
				out[i], best[i] = t, each
			}
		}
	}
	return out
}

// alone is how many of an item fill a bin; at least 1 for one that fits.
func (k *packer) alone(i int, b *bin) int {
	n := k.items[i].perBin
	for d, v := range k.size[i*k.dims : (i+1)*k.dims] {
		if v > 0 {
			n = min(n, int(b.cap[d]/v))
		}
	}
	return n
}
