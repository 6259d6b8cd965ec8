package pack

import (
	"math/rand/v2"
	"slices"
)

// Solve packs all items that some bin takes. The first answer comes from prices
// of the dimensions alone; then column generation finds what each item is worth
// and proves a bound, and the answer is rounded, taken apart and put together
// again until the budget is spent or the gap is small.
func Solve(p *Problem, budget Budget) Solution {
	k := prepare(p)
	k.effort.Budget = budget
	gap := float64(budget.Gap) / 10_000
	if budget.Gap == 0 {
		gap = 0.001
	}
	s := search{packer: k, gap: gap, rng: rand.New(rand.NewPCG(budget.Seed, 1)), count: make([]int, len(k.items))}
	for i := range k.items {
		if k.items[i].count > 0 {
			s.count[i] = k.items[i].count
		}
	}
	s.run()
	return s.solution()
}

// search is the state of one run of Solve.
type search struct {
	*packer
	gap   float64
	rng   *rand.Rand
	count []int // of each item, without what owned bins take
	owned [][]Share
	best  []Load
	price float64
	left  []int // items without a place in best
	// bound and the duals and held values that prove it.
	bound float64
	duals duals
	held  []float64
	// ownedWorth is what the owned bins could hold by the duals.
	ownedWorth float64
}

func (s *search) run() {
	value := s.fluid()
	s.fillOwned(value)
	s.prove(duals{value: value, toll: make([]float64, len(s.limits))})
	s.first(value)
	if s.done() {
		return
	}
	s.improve(quickLook)
	m := newMaster(s.packer, s.count, s.duals)
	m.bound, m.best, m.ownedWorth, m.all = s.bound, s.held, s.ownedWorth, s.all()
	m.learn(s.best)
	s.vary(m)
	for slice, idle := columnSlice, 0; !s.done() && idle < patience; slice = min(2*slice, longestSlice) {
		before := s.price
		m.generate(s.gap/2, slice)
		if m.bound > s.bound {
			s.bound, s.duals, s.held, s.ownedWorth = m.bound, m.center, m.best, m.ownedWorth
		}
		s.round(m)
		s.improve(slice)
		m.learn(s.best)
		if idle++; s.price < before {
			idle = 0
		}
	}
}

// The steps that are spent on one thing before the next is tried.
const (
	quickLook   = 60
	varySlice   = 150
	columnSlice = 120
	// longestSlice bounds the slices, which double; patience is after how many of
	// them without progress the search ends.
	longestSlice = 2000
	patience     = 3
)

func (s *search) done() bool {
	return s.effort.spent() || s.price <= s.bound*(1+s.gap)
}

// fillOwned fills the bins that exist with the most value each. Items that can
// go nowhere else come before all others.
func (s *search) fillOwned(value []float64) {
	value = slices.Clone(value)
	for i := range value {
		if s.home[i] < 0 {
			value[i] = 1e3 * s.dearest()
		}
	}
	s.owned = make([][]Share, len(s.packer.owned))
	bounded := slices.Clone(s.count)
	for o := range s.packer.owned {
		b := &s.packer.owned[o]
		copy(bounded, s.count)
		for _, c := range s.p.Owned[o].Caps {
			bounded[c.Item] = min(bounded[c.Item], c.Count)
		}
		s.fillBalanced(b, b.items, value, bounded, 1)
		s.owned[o] = s.shares(nil)
		for _, h := range s.owned[o] {
			s.count[h.Item] -= h.Count
		}
	}
}

// prove computes the bound of duals and keeps them when it is the best.
func (s *search) prove(d duals) {
	held := make([]float64, len(s.bins))
	for t := range s.bins {
		_, held[t] = s.tightest(&s.bins[t], d.value)
	}
	owned := s.ownedHold(d.value)
	bound := s.farley(d, s.all(), held, owned, func(b *bin) float64 { return b.price })
	if bound > s.bound || s.held == nil {
		s.bound, s.duals, s.held, s.ownedWorth = bound, d, held, owned
	}
}

// all counts the items that bounds are about.
func (s *search) all() []int {
	out := make([]int, len(s.items))
	for i := range out {
		out[i] = max(0, s.items[i].count)
	}
	return out
}

// builder makes one that builds by the best duals.
func (s *search) builder(most int) *builder {
	return &builder{
		packer: s.packer, value: s.duals.value, bins: s.efficient(s.held, most),
		limits: slices.Clone(s.limits),
	}
}

// first is the first answer.
func (s *search) first(value []float64) {
	b := s.builder(12)
	b.value = value
	count := slices.Clone(s.count)
	loads, price := b.build(count)
	s.offer(loads, price, count)
}

// vary builds more answers with other values, for the fillings in them.
func (s *search) vary(m *master) {
	b := s.builder(16)
	b.rng = s.rng
	end := s.effort.steps() + varySlice
	for n := range 12 {
		if s.effort.spent() || s.effort.steps() > end {
			return
		}
		b.thorough = n%4 == 3
		b.limits = slices.Clone(s.limits)
		count := slices.Clone(s.count)
		loads, price := b.build(count)
		m.learn(loads)
		s.offer(loads, price, count)
	}
}

// offer keeps an answer when it leaves fewer items, or as few and costs less.
func (s *search) offer(loads []Load, price float64, left []int) {
	fewer := total(left) - total(s.left)
	if s.left != nil && (fewer > 0 || fewer == 0 && price >= s.price) {
		return
	}
	s.best, s.price, s.left = slices.Clone(loads), price, slices.Clone(left)
}

func total(count []int) int {
	sum := 0
	for _, n := range count {
		sum += n
	}
	return sum
}

// round makes answers of the linear program's.
func (s *search) round(m *master) {
	b := s.builder(16)
	b.thorough = true
	for _, up := range []float64{0, 0.3, 0.6} {
		if s.effort.spent() {
			return
		}
		count := slices.Clone(s.count)
		b.limits = slices.Clone(s.limits)
		loads := m.rounded(b, count, up)
		rest, _ := b.build(count)
		loads = append(loads, rest...)
		s.offer(loads, s.packer.price(loads), count)
	}
}

// improve ruins and recreates the best answer for a number of steps.
func (s *search) improve(steps int) {
	b := s.builder(16)
	for _, l := range s.best {
		b.take(l.Bin, l.Times)
	}
	end := s.effort.steps() + steps
	better := s.ruin(s.best, b, s.bound*(1+s.gap), func() bool { return s.effort.steps() >= end })
	s.offer(better, s.packer.price(better), s.left)
}

func (s *search) solution() Solution {
	out := Solution{Owned: s.owned, Left: s.left, Steps: s.effort.steps()}
	for _, l := range s.best {
		slices.SortFunc(l.Shares, func(a, b Share) int { return a.Item - b.Item })
		at := s.bins[l.Bin].at
		out.Loads = append(out.Loads, Load{Bin: at, Times: l.Times, Shares: l.Shares})
		out.Price += s.p.Bins[at].Price * int64(l.Times)
	}
	// What is left has not been paid for.
	packed := s.all()
	for i, n := range s.left {
		packed[i] -= n
	}
	out.Bound = int64(s.farley(s.duals, packed, s.held, s.ownedWorth, func(b *bin) float64 { return b.price }))
	free := duals{value: s.duals.value, toll: make([]float64, len(s.limits))}
	out.CostBound = int64(s.farley(free, packed, s.held, s.ownedWorth, func(b *bin) float64 { return b.cost }))
	return out
}
