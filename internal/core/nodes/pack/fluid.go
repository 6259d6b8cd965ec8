package pack

import (
	"cmp"
	"math"
	"slices"
)

// fluid prices the dimensions as if items could be poured: bins are bought by the
// capacity that all items need, and each dimension of a bin can go to another
// class of items. Items of a class may go into the same bins and have the same
// prices. The values that follow are where everything starts: no bin holds more
// value than it costs, so together they prove a first bound.
func (k *packer) fluid() []float64 {
	value := make([]float64, len(k.items))
	classes := k.classes()
	if len(classes)*k.dims > maxPouring {
		// Too many to tell apart in time: one class for all gives values, too.
		classes = [][]int32{slices.Concat(classes...)}
	}
	k.pours = k.pour(classes)
	for c, class := range classes {
		for _, i := range class {
			k.class[i] = c
			value[i] = k.weight(int(i), k.pours[c])
		}
	}
	return value
}

// maxPouring bounds the rows of the program; its work grows with their square.
const maxPouring = 240

// poured are the prices of the dimensions in a bin: for each what the class that
// pays most for it would pay.
func (k *packer) poured(b *bin) []float64 {
	prices := make([]float64, k.dims)
	for _, i := range b.items {
		if k.home[i] < 0 {
			continue
		}
		for d, p := range k.pours[k.class[i]] {
			prices[d] = math.Max(prices[d], p)
		}
	}
	return prices
}

// classes groups the items by the bins that they may go into.
func (k *packer) classes() [][]int32 {
	sets := make([]Set, len(k.items))
	for i := range sets {
		sets[i] = NewSet(len(k.bins))
	}
	for t := range k.bins {
		for i := range k.items {
			if k.bins[t].accepts.Has(i) {
				sets[i].Add(t)
			}
		}
	}
	var order []int32
	for i := range k.items {
		if k.home[i] >= 0 {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return slices.Compare(sets[a], sets[b]) })
	var out [][]int32
	for n, i := range order {
		if n > 0 && slices.Equal(sets[order[n-1]], sets[i]) {
			out[len(out)-1] = append(out[len(out)-1], i)
			continue
		}
		out = append(out, []int32{i})
	}
	return out
}

// pouring is the linear program of fluid: a row for each class and dimension
// that is needed, a column for each way to share out a bin.
type pouring struct {
	*packer
	row  [][]int32 // by class and dimension; -1 when nothing is needed
	need []float64 // by row
	lp   *lp
}

// pour solves the program by generating the columns, and returns prices by class
// and dimension.
func (k *packer) pour(classes [][]int32) [][]float64 {
	p := pouring{packer: k, row: make([][]int32, len(classes))}
	for c, class := range classes {
		p.row[c] = make([]int32, k.dims)
		for d := range k.dims {
			need := 0.0
			for _, i := range class {
				need += k.size[int(i)*k.dims+d] * float64(k.items[i].count)
			}
			if p.row[c][d] = -1; need > 0 {
				p.row[c][d] = int32(len(p.need))
				p.need = append(p.need, need)
			}
		}
	}
	if len(p.need) == 0 {
		return make([][]float64, len(classes))
	}
	// In units of what is needed, so that all rows have the same scale.
	rhs, start := make([]float64, len(p.need)), make([]column, len(p.need))
	for r := range rhs {
		rhs[r] = 1
		start[r] = column{cost: k.dearest() * 1e6, rows: []int32{int32(r)}, vals: []float64{1}}
	}
	p.lp = newLP(rhs, start)
	takers := p.takers(classes)
	for range 400 {
		if !p.extend(takers) {
			break
		}
		p.effort.work += p.lp.m * p.lp.m
		p.lp.solve(func() bool { p.effort.work += askEvery * p.lp.m * p.lp.m / 8; return false })
	}
	prices := make([][]float64, len(classes))
	for c := range classes {
		prices[c] = make([]float64, k.dims)
		for d, r := range p.row[c] {
			if r >= 0 {
				prices[c][d] = math.Max(0, p.lp.dual[r]) / p.need[r]
			}
		}
	}
	return prices
}

func (k *packer) dearest() float64 {
	most := 1.0
	for t := range k.bins {
		most = math.Max(most, k.bins[t].price)
	}
	return most
}

// takers lists the classes of each bin.
func (p *pouring) takers(classes [][]int32) [][]int {
	out := make([][]int, len(p.bins))
	for t := range p.bins {
		for c, class := range classes {
			if slices.ContainsFunc(class, func(i int32) bool { return p.bins[t].accepts.Has(int(i)) }) {
				out[t] = append(out[t], c)
			}
		}
	}
	return out
}

// extend adds for each bin the best way to share it out at the prices of now.
func (p *pouring) extend(takers [][]int) bool {
	added := false
	for t := range p.bins {
		b := &p.bins[t]
		col := column{cost: b.price}
		for d, capacity := range b.cap {
			best, worth := int32(-1), 0.0
			for _, c := range takers[t] {
				if r := p.row[c][d]; r >= 0 && capacity > 0 && p.lp.dual[r]/p.need[r] > worth {
					best, worth = r, p.lp.dual[r]/p.need[r]
				}
			}
			if best >= 0 {
				col.rows = append(col.rows, best)
				col.vals = append(col.vals, capacity/p.need[best])
			}
		}
		if p.lp.reduced(&col) < -1e-7*b.price {
			p.lp.cols = append(p.lp.cols, col)
			added = true
		}
	}
	return added
}

// efficient lists the bins that hold the most value for their price, as far as
// the upper bound says, and for each item the best ones that take it.
func (k *packer) efficient(held []float64, most int) []int {
	order := make([]int, 0, len(k.bins))
	for t := range k.bins {
		if held[t] > 0 {
			order = append(order, t)
		}
	}
	rate := func(t int) float64 { return held[t] / k.bins[t].price }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rate(b), rate(a)) })
	served := make([]int, len(k.items))
	var out []int
	for n, t := range order {
		use := n < most
		for _, i := range k.bins[t].items {
			use = use || served[i] < 3
		}
		if !use {
			continue
		}
		for _, i := range k.bins[t].items {
			served[i]++
		}
		out = append(out, t)
	}
	slices.Sort(out)
	return out
}
