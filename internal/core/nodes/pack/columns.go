package pack

import (
	"cmp"
	"math"
	"slices"
)

// master is the linear program over fillings: how often each filling is used so
// that every item is packed. Its duals say what an item is worth; fillings worth
// more than their bin become columns (Gilmore and Gomory).
type master struct {
	*packer
	lp *lp
	// row of each item, and item of each row; limits come after the items.
	row   []int32
	item  []int
	count []int // of each item, as the fillings are bounded by it
	// center are the duals of the best bound, to which new ones are drawn: far
	// jumps of the duals make fillings that nobody needs.
	center duals
	bound  float64
	// prices of the dimensions by bin, kept from bound to bound.
	prices [][]float64
	held   []float64
	best   []float64 // held for center
	// ownedWorth is what the existing bins hold by the center, and all the items
	// that a bound is about: those in existing bins too.
	ownedWorth float64
	all        []int
	next       int // bin at which pricing goes on
}

// newMaster starts from one filling for each item: its home full of it alone.
func newMaster(k *packer, count []int, start duals) *master {
	m := &master{
		packer: k, row: make([]int32, len(k.items)), count: count, center: start,
		held: make([]float64, len(k.bins)), prices: make([][]float64, len(k.bins)),
	}
	var rhs []float64
	var cols []column
	for i := range k.items {
		m.row[i] = -1
		if count[i] == 0 || k.home[i] < 0 {
			continue
		}
		r := int32(len(rhs))
		m.row[i] = r
		m.item = append(m.item, i)
		rhs = append(rhs, float64(count[i]))
		cols = append(cols, m.first(i, r))
	}
	for _, v := range k.limits {
		r := int32(len(rhs))
		rhs = append(rhs, -v)
		cols = append(cols, column{rows: []int32{r}, vals: []float64{-1}})
	}
	m.lp = newLP(rhs, cols)
	return m
}

// learn adds the fillings of loads as columns.
func (m *master) learn(loads []Load) {
	for _, l := range loads {
		m.lp.cols = append(m.lp.cols, m.column(l.Bin, l.Shares))
	}
}

// first is the column from which item i starts. Where the home uses limits it is
// a filling that nobody can buy, at a price that nobody would pay.
func (m *master) first(i int, r int32) column {
	b := &m.bins[m.home[i]]
	n := min(m.alone(i, b), m.count[i])
	if len(b.uses) > 0 {
		return column{cost: 1000 * b.price, rows: []int32{r}, vals: []float64{1}}
	}
	return m.column(m.home[i], []Share{{Item: i, Count: n}})
}

func (m *master) column(t int, shares []Share) column {
	b := &m.bins[t]
	c := column{cost: b.price, load: &Load{Bin: t, Shares: shares}}
	for _, s := range shares {
		c.rows = append(c.rows, m.row[s.Item])
		c.vals = append(c.vals, float64(s.Count))
	}
	for _, u := range b.uses {
		c.rows = append(c.rows, int32(len(m.item)+u.Limit))
		c.vals = append(c.vals, -float64(u.Amount))
	}
	return c
}

// duals of the linear program as it stands.
func (m *master) duals() duals {
	d := duals{value: make([]float64, len(m.items)), toll: make([]float64, len(m.limits))}
	for r, i := range m.item {
		d.value[i] = math.Max(0, m.lp.dual[r])
	}
	for l := range d.toll {
		d.toll[l] = math.Max(0, m.lp.dual[len(m.item)+l])
	}
	return d
}

// generate adds fillings until none helps, the gap is reached or the effort is
// spent.
func (m *master) generate(gap float64, steps int) {
	end := m.effort.steps() + steps
	const drawn = 0.7 // how far the duals are drawn to the center
	for round := 0; !m.effort.spent() && m.effort.steps() < end; round++ {
		m.effort.work += m.lp.m * m.lp.m / 8
		m.lp.solve(func() bool {
			m.effort.work += askEvery * (m.lp.m*m.lp.m + len(m.lp.cols)*6) / 8
			return m.effort.spent()
		})
		exact := m.duals()
		mixed := mix(m.center, exact, drawn)
		if round%8 == 0 {
			m.improveBound(mixed)
			if m.lp.objective() <= m.bound*(1+gap) {
				return
			}
		}
		found := m.find(mixed, exact)
		if found == 0 {
			found = m.find(exact, exact)
		}
		if found == 0 && m.improveBound(exact) == 0 {
			return
		}
	}
}

func mix(a, b duals, share float64) duals {
	blend := func(x, y []float64) []float64 {
		out := make([]float64, len(x))
		for i := range out {
			out[i] = share*x[i] + (1-share)*y[i]
		}
		return out
	}
	return duals{value: blend(a.value, b.value), toll: blend(a.toll, b.toll)}
}

// find looks for fillings that are worth more than their bin by the exact
// duals, guided by others, and adds them. It returns how many it found.
func (m *master) find(guide, exact duals) int {
	found := 0
	enough := max(8, m.lp.m/6)
	for range m.bins {
		t := m.next
		m.next = (m.next + 1) % len(m.bins)
		b := &m.bins[t]
		if len(b.items) == 0 {
			continue
		}
		price := b.price + exact.tollOf(b)
		best, bestWorth := []Share(nil), price*(1+1e-6)
		for way := range 4 {
			m.tryFill(b, t, guide, way)
			if v := m.worth(exact.value); v > bestWorth {
				best, bestWorth = m.shares(best), v
			}
		}
		if best == nil {
			continue
		}
		m.lp.cols = append(m.lp.cols, m.column(t, slices.Clone(best)))
		if found++; found >= enough {
			break
		}
	}
	return found
}

func (m *master) tryFill(b *bin, t int, guide duals, way int) {
	switch way {
	case 0:
		m.fillOrdered(b, b.items, m.pricesOf(t), guide.value, m.count)
	case 1, 2:
		weights := m.work.scarce
		for d, p := range m.pricesOf(t) {
			weights[d] = p
			if d == way-1 {
				weights[d] *= 2
			}
		}
		m.fillOrdered(b, b.items, weights, guide.value, m.count)
	default:
		m.fillBalanced(b, b.items, guide.value, m.count, 3)
	}
}

// pricesOf are the prices of the dimensions in bin t.
func (m *master) pricesOf(t int) []float64 {
	if m.prices[t] == nil {
		m.prices[t], _ = m.tightest(&m.bins[t], m.center.value)
	}
	return m.prices[t]
}

// improveBound computes the bound that duals prove and keeps the best. Where
// pouring does not say that a bin holds no more than its price, searching may:
// fillings that turn up there become columns. It returns how many.
func (m *master) improveBound(d duals) int {
	const nodes = 20_000
	found := 0
	for t := range m.bins {
		b := &m.bins[t]
		if len(b.items) == 0 {
			continue
		}
		price := b.price + d.tollOf(b)
		m.held[t] = m.tighten(b, m.pricesOf(t), d.value, price)
		if m.held[t] <= price*(1+1e-6) || m.effort.spent() {
			continue
		}
		// The bound is about all items; a column is about those still to be bought.
		held, shares := m.most(b, m.prices[t], d.value, m.all, m.held[t], price*(1+1e-6), nodes)
		m.held[t] = held
		if shares = m.cut(shares); shares != nil && m.worthOf(shares, d.value) > price*(1+1e-6) {
			m.lp.cols = append(m.lp.cols, m.column(t, slices.Clone(shares)))
			found++
		}
	}
	price := func(b *bin) float64 { return b.price }
	if m.farley(d, m.all, m.held, 0, price) <= m.bound {
		return found
	}
	owned := m.ownedHold(d.value)
	if bound := m.farley(d, m.all, m.held, owned, price); bound > m.bound {
		m.bound, m.center, m.ownedWorth = bound, d, owned
		m.best = slices.Clone(m.held)
	}
	return found
}

// cut trims a filling to what is still to be bought of each item.
func (m *master) cut(shares []Share) []Share {
	var out []Share
	for _, h := range shares {
		if n := min(h.Count, m.count[h.Item]); n > 0 {
			out = append(out, Share{h.Item, n})
		}
	}
	return out
}

func (m *master) worthOf(shares []Share, value []float64) float64 {
	sum := 0.0
	for _, h := range shares {
		sum += value[h.Item] * float64(h.Count)
	}
	return sum
}

// rounded are the fillings that the linear program uses, rounded down from its
// numbers and up more, as far as items and limits go. What is left of each item
// is in count, and of the limits in b.
func (m *master) rounded(b *builder, count []int, up float64) []Load {
	type use struct {
		load *Load
		x    float64
	}
	var uses []use
	for r, j := range m.lp.basis {
		if j >= 0 && m.lp.cols[j].load != nil && m.lp.x[r] > 1e-6 {
			uses = append(uses, use{m.lp.cols[j].load, m.lp.x[r]})
		}
	}
	slices.SortStableFunc(uses, func(a, b use) int { return cmp.Compare(b.x-math.Floor(b.x), a.x-math.Floor(a.x)) })
	var out []Load
	for _, u := range uses {
		times := int(u.x + up)
		for _, s := range u.load.Shares {
			times = min(times, count[s.Item]/s.Count)
		}
		if times = min(times, b.affordable(u.load.Bin)); times <= 0 {
			continue
		}
		b.take(u.load.Bin, times)
		for _, s := range u.load.Shares {
			count[s.Item] -= times * s.Count
		}
		out = append(out, Load{Bin: u.load.Bin, Times: times, Shares: u.load.Shares})
	}
	return out
}
