package nodes

import (
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes/pack"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Solve finds the cheapest nodes for all pods of the snapshot that have no
// place: those that exist come first, then new ones. Pods for which there is no
// place are listed with the constraint that ruled out the last offer.
//
// The answer is the same for the same snapshot, policy and steps. 10,000 pods of
// 150 shapes take about 50 ms for a first answer; more effort makes it cheaper.
func Solve(s *plan.Snapshot, p Policy, e Effort) Fleet {
	return complete(s, p, e, purchasable(s, p))
}

// complete solves, and solves again without the pods that limits left out when
// these were dealt to domains: the others must keep their constraints without
// them.
func complete(s *plan.Snapshot, p Policy, e Effort, candidates []Candidate) Fleet {
	f := solve(compile(s, p, candidates), e)
	var out []Pending
	for range maxTries {
		less, cut := *s, false
		less.Demand = slices.Clone(s.Demand)
		for _, q := range f.Pending {
			if g := &less.Demand[q.Group]; q.Code == PoolLimit && len(g.Spread)+len(g.Affinity) > 0 {
				g.Count -= q.Count
				cut = true
				out = append(out, q)
			}
		}
		if !cut {
			break
		}
		s = &less
		f = solve(compile(s, p, candidates), e)
	}
	f.Pending = mergePending(append(f.Pending, out...))
	return f
}

func solve(c *compiler, e Effort) Fleet {
	tiers := make([]int, len(c.s.Demand))
	limits := c.poolLimits()
	var m *model
	var answer pack.Solution
	var bound int64
	for try := range maxTries {
		m = newModel(c.fork(), tiers, limits)
		answer = pack.Solve(&m.problem, e.budget(try))
		// Caps only forbid: what was proven without them holds with them too, and
		// is mostly tighter.
		bound = max(bound, answer.CostBound)
		answer.CostBound = bound
		raised := m.raiseTiers(tiers, answer.Left)
		if raised {
			bound = 0
		}
		caps := m.spotCaps(answer, limits)
		if !raised && len(caps) == 0 {
			break
		}
		limits = append(limits, caps...)
	}
	return m.fleet(answer)
}

// maxTries bounds how often the problem is solved again because a pool was full
// or one spot pool was used too much.
const maxTries = 6

func (e Effort) budget(try int) pack.Budget {
	return pack.Budget{Steps: e.Steps, Stop: e.Stop, Gap: e.Gap, Seed: uint64(try)}
}

// fork copies what a model writes to.
func (c *compiler) fork() *compiler {
	d := *c
	d.pending = slices.Clone(c.pending)
	return &d
}

// raiseTiers lets groups without a place go to lighter pools; false when no
// group has another pool to go to.
func (m *model) raiseTiers(tiers, left []int) bool {
	weights := map[int]bool{}
	for i := range m.s.Pools {
		weights[m.s.Pools[i].Weight] = true
	}
	raised := false
	for n, count := range left {
		if count == 0 {
			continue
		}
		for _, g := range m.lots[n].groups {
			if tiers[g] < len(weights)-1 {
				tiers[g]++
				raised = true
			}
		}
	}
	return raised
}

// poolLimits are what the pools' limits leave for new nodes.
func (c *compiler) poolLimits() []limit {
	var out []limit
	for i := range c.s.Pools {
		pool := &c.s.Pools[i]
		if pool.Limits == nil {
			continue
		}
		var used unit.Resources
		for n := range c.s.Nodes {
			if node := &c.s.Nodes[n]; node.Pool == pool.Name {
				used = used.Plus(c.capacityOf(node))
			}
		}
		names := []string{"cpu", "memory", "ephemeral-storage", "pods"}
		for name := range pool.Limits.Extended {
			names = append(names, name)
		}
		slices.Sort(names[4:])
		for _, name := range names {
			if pool.Limits.Get(name) == 0 {
				continue
			}
			out = append(out, limit{most: max(0, pool.Limits.Get(name)-used.Get(name)), amount: func(cand *Candidate) int64 {
				if cand.Pool != pool {
					return 0
				}
				return cand.Offering.Shape.Capacity(c.s.Kubelet).Get(name)
			}})
		}
	}
	return append(out, c.offerLimits()...)
}

// capacityOf is what a node counts for against its pool's limits.
func (c *compiler) capacityOf(n *plan.Node) unit.Resources {
	if n.Offering.Shape == nil {
		return n.Allocatable
	}
	return n.Offering.Shape.Capacity(c.s.Kubelet)
}

// offerLimits bound offerings of which only so many can be had.
func (c *compiler) offerLimits() []limit {
	var out []limit
	for i := range c.s.Offers {
		if o := c.s.Offers[i]; o.Limit > 0 {
			out = append(out, limit{most: int64(o.Limit), amount: func(cand *Candidate) int64 {
				if cand.Offering == o {
					return 1
				}
				return 0
			}})
		}
	}
	return out
}

// spotPool is a shape in a zone, or in several at one price, among which nodes
// are dealt evenly.
type spotPool struct {
	shape *catalog.Shape
	price unit.NanoUSD
}

// spotCaps bounds the spot pools of which the answer has too much.
func (m *model) spotCaps(answer pack.Solution, known []limit) []limit {
	if m.p.MaxSpotPoolShare == 0 || len(known) > 200 {
		return nil
	}
	spent, zones := map[spotPool]unit.NanoUSD{}, map[spotPool]int64{}
	var order []spotPool
	var all unit.NanoUSD
	for _, l := range answer.Loads {
		first := &m.candidates[m.kinds[l.Bin].candidates[0]]
		if first.Offering.Capacity != catalog.Spot {
			continue
		}
		pool := spotPool{first.Offering.Shape, first.Offering.Price}
		if zones[pool] == 0 {
			order = append(order, pool)
		}
		zones[pool] = max(zones[pool], int64(len(m.zonesOf(l.Bin))))
		price := first.Offering.Price.Times(int64(l.Times))
		spent[pool] = spent[pool].Plus(price)
		all = all.Plus(price)
	}
	var out []limit
	for _, pool := range order {
		most := max(all.MulDiv(int64(m.p.MaxSpotPoolShare)*zones[pool], 100), pool.price)
		if spent[pool] <= most {
			continue
		}
		out = append(out, limit{most: int64(most), amount: func(cand *Candidate) int64 {
			if o := cand.Offering; o.Capacity == catalog.Spot && o.Shape == pool.shape && o.Price == pool.price {
				return int64(o.Price)
			}
			return 0
		}})
	}
	return out
}

// zonesOf are the zones among which the nodes of a bin can be dealt.
func (m *model) zonesOf(bin int) []int {
	seen := map[string]bool{}
	var out []int
	for _, i := range m.kinds[bin].candidates {
		if o := m.candidates[i].Offering; !seen[o.Zone] && o.Price == m.candidates[m.kinds[bin].candidates[0]].Offering.Price &&
			o.Shape == m.candidates[m.kinds[bin].candidates[0]].Offering.Shape {
			seen[o.Zone] = true
			out = append(out, i)
		}
	}
	return out
}
