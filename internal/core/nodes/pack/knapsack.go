package pack

import (
	"cmp"
	"slices"
)

// knapsack finds the filling of one bin with the highest value by depth-first
// search: items in the order of value for weight, of each first as many as fit.
// A branch is left when even poured items could not beat what is found.
type knapsack struct {
	*packer
	b      *bin
	prices []float64
	value  []float64
	count  []int
	order  []int32
	excess []float64 // of each in order: value beyond weight
	beyond []float64 // what all from here on can add beyond the weight
	best   float64
	shares []Share
	nodes  int // left to visit
}

// most returns an upper bound of the value that a bin holds, but not below
// floor, and the best filling if its value exceeds floor. prices must be those
// left by tighten, bound the value that they prove. nodes bounds the search;
// where that ends it, the bound stays the given one.
func (k *packer) most(b *bin, prices, value []float64, count []int, bound, floor float64, nodes int) (float64, []Share) {
	s := knapsack{packer: k, b: b, prices: prices, value: value, count: count, best: floor, nodes: nodes}
	k.open(b)
	s.sort()
	worth := 0.0
	for d, c := range b.cap {
		worth += prices[d] * c
	}
	s.visit(0, worth)
	k.effort.work += (nodes - s.nodes) * 4
	if s.nodes <= 0 {
		return bound, s.shares
	}
	return s.best * (1 + pruned), s.shares
}

// pruned is by how much a branch may beat the best and still be left.
const pruned = 1e-9

func (s *knapsack) sort() {
	key := s.work.key
	for _, i := range s.b.items {
		if s.value[i] <= 0 || s.count[i] == 0 {
			continue
		}
		key[i] = s.value[i] / (s.weight(int(i), s.prices) + 1e-12)
		s.order = append(s.order, i)
	}
	slices.SortFunc(s.order, func(a, b int32) int { return cmp.Compare(key[b], key[a]) })
	s.excess = make([]float64, len(s.order))
	s.beyond = make([]float64, len(s.order)+1)
	for j := len(s.order) - 1; j >= 0; j-- {
		i := s.order[j]
		s.excess[j] = s.value[i] - s.weight(int(i), s.prices)
		s.beyond[j] = s.beyond[j+1]
		if s.excess[j] > 0 {
			s.beyond[j] += s.excess[j] * float64(min(s.alone(int(i), s.b), s.count[i]))
		}
	}
}

// visit decides how many of the items from place j on go in. ceiling is the
// value of what is in, and of what is free at the prices.
func (s *knapsack) visit(j int, ceiling float64) {
	if s.nodes--; s.nodes <= 0 {
		return
	}
	if j == len(s.order) {
		if worth := s.worth(s.value); worth > s.best {
			s.best = worth
			s.shares = s.packer.shares(s.shares)
		}
		return
	}
	if ceiling+s.beyond[j] <= s.best*(1+pruned) {
		return
	}
	i, e := s.order[j], s.excess[j]
	n := s.room(i, s.count[i])
	for c := n; c >= 0; c-- {
		if ceiling+e*float64(c)+s.beyond[j+1] <= s.best*(1+pruned) {
			if e >= 0 {
				break // fewer are worth less still
			}
			continue
		}
		if c > 0 {
			s.put(i, c)
		}
		s.visit(j+1, ceiling+e*float64(c))
		if c > 0 {
			s.remove(i, c)
		}
		if s.nodes <= 0 {
			return
		}
	}
}

// remove takes n of item i out again; the last that were put in.
func (s *knapsack) remove(i int32, n int) {
	w := &s.work
	w.take[i] -= n
	if w.take[i] == 0 {
		w.touched = w.touched[:len(w.touched)-1]
		for _, o := range s.items[i].apart {
			w.blocked[o]--
		}
	}
	for d, v := range s.size[int(i)*s.dims : int(i+1)*s.dims] {
		w.free[d] += v * float64(n)
	}
}
