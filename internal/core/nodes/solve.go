package nodes

import (
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes/pack"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
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
	givenUp := map[int]bool{}
	f := solve(compile(s, p, candidates, givenUp), e)
	var out []Pending
	for range maxTries {
		if wishful(s, p, f, givenUp) {
			f = solve(compile(s, p, candidates, givenUp), e)
			continue
		}
		less, cut := *s, false
		less.Demand = slices.Clone(s.Demand)
		for _, q := range f.Pending {
			if g := &less.Demand[q.Group]; q.Code == PoolLimit && len(g.Spread)+len(g.Affinity) > 0 {
				g.Count -= q.Count
				cut = true
				out = append(out, q)
			}
		}
		if !cut || e.Stop != nil && e.Stop() {
			break
		}
		s = &less
		f = solve(compile(s, p, candidates, givenUp), e)
	}
	f.Pending = mergePending(append(f.Pending, out...))
	return f
}

// wishful gives up the wishes of pods that have no place; false when none had
// any left.
func wishful(s *plan.Snapshot, p Policy, f Fleet, givenUp map[int]bool) bool {
	found := false
	for _, q := range f.Pending {
		g := &s.Demand[q.Group]
		soft := slices.ContainsFunc(g.Spread, func(sp workload.Spread) bool { return !sp.Required })
		if p.RespectPreferences && !givenUp[q.Group] && (len(g.Preferred) > 0 || soft || p.BalanceZones) {
			givenUp[q.Group] = true
			found = true
		}
	}
	return found
}

func solve(c *compiler, e Effort) Fleet {
	tiers := make([]int, len(c.s.Demand))
	limits := c.poolLimits()
	hard := len(limits) // beyond these are caps, which are wishes of the policy
	var bound int64
	var best *model
	var kept pack.Solution
	for try := range maxTries {
		m := newModel(c.fork(), tiers, limits)
		answer := pack.Solve(&m.problem, e.budget(try))
		if len(limits) > hard && left(answer.Left) > left(kept.Left) {
			break // the last caps leave pods without a place
		}
		if best != nil && !slices.Equal(answer.Left, kept.Left) {
			bound = 0
		}
		// Caps only forbid: what was proven without them holds with them too, and
		// is mostly tighter.
		bound = max(bound, answer.CostBound)
		answer.CostBound = bound
		best, kept = m, answer
		if len(limits) == hard && m.raiseTiers(tiers, answer.Left) {
			bound = 0
			continue
		}
		caps := m.spotCaps(answer, len(limits)-hard)
		if len(caps) == 0 || e.Stop != nil && e.Stop() {
			break
		}
		limits = append(limits, caps...)
	}
	return best.fleet(kept)
}

// maxTries bounds how often the problem is solved again because a pool was full,
// one spot pool was used too much, or a wish stood in the way.
const maxTries = 8

func (e Effort) budget(try int) pack.Budget {
	return pack.Budget{Steps: e.Steps, Stop: e.Stop, Gap: e.Gap, Seed: uint64(try)}
}

// left counts items without a place.
func left(count []int) int {
	sum := 0
	for _, n := range count {
		sum += n
	}
	return sum
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
		groups := map[int]bool{}
		for _, p := range m.lots[n].pieces {
			for _, b := range p.unit {
				groups[b.Group] = true
			}
		}
		for g := range groups {
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
			out = append(out, limit{most: int64(max(0, o.Limit-c.holding(o))), amount: func(cand *Candidate) int64 {
				if cand.Offering == o {
					return 1
				}
				return 0
			}})
		}
	}
	return out
}

// holding counts the nodes that hold an offering.
func (c *compiler) holding(o catalog.Offering) int {
	n := 0
	for i := range c.s.Nodes {
		if h := c.s.Nodes[i].Offering; !c.s.Nodes[i].Leaving && h.Shape == o.Shape && h.Zone == o.Zone && h.Capacity == o.Capacity {
			n++
		}
	}
	return n
}

// spotPool is a shape in a zone, or in several at one price, among which nodes
// are dealt evenly.
type spotPool struct {
	shape *catalog.Shape
	price unit.NanoUSD
}

// maxCaps bounds how many spot pools are capped.
const maxCaps = 200

// spotCaps bounds the spot pools of which the answer has too much.
func (m *model) spotCaps(answer pack.Solution, known int) []limit {
	if m.p.MaxSpotPoolShare == 0 || known > maxCaps {
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
