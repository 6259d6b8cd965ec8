package peer

import (
	"cmp"
	"math"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Karpenter's limits on what it looks at, and how many cheaper types a spot
// machine needs before another one replaces it.
const (
	maxTogether    = 100
	spotTypes      = 15
	defaultPercent = 10
)

// Reasons of disruption, as budgets name them.
const (
	reasonEmpty         = "Empty"
	reasonUnderutilized = "Underutilized"
)

// Consolidate is one round of Karpenter's consolidation: nodes without pods are
// deleted; if there are none, as many of the best candidates as possible become
// one node or none; if that fails, the first single one that can. A replacement
// is always cheaper than what it replaces.
func Consolidate(s *plan.Snapshot, set KarpenterSettings) Command {
	c := &consolidation{s: s, set: set, market: newMarket(s)}
	if empty := c.within(reasonEmpty, c.candidates(true)); len(empty) > 0 {
		slices.Sort(empty)
		return Command{Delete: empty, Hourly: -priceOf(s, empty)}
	}
	candidates := c.candidates(false)
	if cmd := c.together(c.within(reasonUnderutilized, candidates)); !cmd.Empty() {
		return cmd
	}
	for _, i := range c.interleaved(candidates) {
		if len(c.within(reasonUnderutilized, []int{i})) == 0 {
			continue
		}
		if cmd := c.replace([]int{i}); !cmd.Empty() {
			return cmd
		}
	}
	return Command{}
}

type consolidation struct {
	s      *plan.Snapshot
	set    KarpenterSettings
	market *market
}

// candidates lists nodes that may be given up, the one first that saves most for
// the disruption of its pods.
func (c *consolidation) candidates(empty bool) []int {
	var out []int
	ratio := map[int]float64{}
	for i := range c.s.Nodes {
		n := &c.s.Nodes[i]
		pool := c.pool(n)
		if pool == nil || n.Leaving || !n.Initialized || pool.Disruption.After < 0 || pinned(c.s, n) ||
			c.s.Now.Sub(n.Changed) < pool.Disruption.After {
			continue
		}
		if isEmpty(n) != empty || !empty && pool.Disruption.WhenEmptyOnly {
			continue
		}
		out = append(out, i)
		ratio[i] = n.Offering.Price.Dollars() / c.disruption(n)
	}
	slices.SortStableFunc(out, func(a, b int) int {
		return cmp.Or(cmp.Compare(ratio[b], ratio[a]), cmp.Compare(c.s.Nodes[a].Name, c.s.Nodes[b].Name))
	})
	return out
}

func isEmpty(n *plan.Node) bool {
	return !slices.ContainsFunc(n.Pods, func(b plan.Bound) bool { return b.Count > 0 })
}

func (c *consolidation) pool(n *plan.Node) *workload.Pool {
	for i := range c.s.Pools {
		if c.s.Pools[i].Name == n.Pool {
			return &c.s.Pools[i]
		}
	}
	return nil
}

// disruption is 1, and for each pod another 1, more or less by its priority.
func (c *consolidation) disruption(n *plan.Node) float64 {
	cost := 1.0
	for _, b := range n.Pods {
		one := 1 + float64(c.s.Demand[b.Group].Priority)/(1<<25)
		cost += float64(b.Count) * min(max(one, 0), 10)
	}
	return cost
}

// within drops the candidates that budgets of their pools do not allow.
func (c *consolidation) within(reason string, candidates []int) []int {
	left := map[string]int{}
	var out []int
	for _, i := range candidates {
		n := &c.s.Nodes[i]
		if _, ok := left[n.Pool]; !ok {
			left[n.Pool] = c.allowed(c.pool(n), reason)
		}
		if left[n.Pool] > 0 {
			left[n.Pool]--
			out = append(out, i)
		}
	}
	return out
}

// allowed is how many nodes of a pool may be disrupted now.
func (c *consolidation) allowed(p *workload.Pool, reason string) int {
	all, leaving := 0, 0
	for i := range c.s.Nodes {
		if n := &c.s.Nodes[i]; n.Pool == p.Name {
			all++
			if n.Leaving || !n.Initialized {
				leaving++
			}
		}
	}
	budgets := p.Disruption.Budgets
	if len(budgets) == 0 {
		budgets = []workload.Budget{{Percent: defaultPercent, Active: true}}
	}
	n := math.MaxInt
	for _, b := range budgets {
		if !b.Active || len(b.Reasons) > 0 && !slices.Contains(b.Reasons, reason) {
			continue
		}
		if b.Percent >= 0 {
			n = min(n, (all*b.Percent+99)/100)
		} else {
			n = min(n, b.Nodes)
		}
	}
	return max(n-leaving, 0)
}

// interleaved takes the pools in turn.
func (c *consolidation) interleaved(candidates []int) []int {
	seen := map[string]int{}
	turn := map[int]int{}
	for _, i := range candidates {
		turn[i] = seen[c.s.Nodes[i].Pool]
		seen[c.s.Nodes[i].Pool]++
	}
	out := slices.Clone(candidates)
	slices.SortStableFunc(out, func(a, b int) int { return turn[a] - turn[b] })
	return out
}

// together searches by halves for the longest prefix, of at least two and about
// a hundred, that one node or none can replace.
func (c *consolidation) together(candidates []int) Command {
	var best Command
	low, high := 1, maxTogether
	if len(candidates) <= high {
		high = len(candidates) - 1
	}
	for low <= high {
		mid := (low + high) / 2
		if cmd := c.replace(candidates[:mid+1]); !cmd.Empty() {
			best, low = cmd, mid+1
		} else {
			high = mid - 1
		}
	}
	return best
}

// replace finds out what would become of the pods of some nodes.
func (c *consolidation) replace(at []int) Command {
	without := map[int]bool{}
	for _, i := range at {
		without[i] = true
	}
	k := newKarpenter(c.s, c.set, c.market, without)
	k.standing = slices.DeleteFunc(k.standing, c.settling)
	k.run(pendingPods(c.s, without))
	before := pendingPods(c.s, nil)
	for g, p := range k.pending {
		if p.count > before[g] {
			return Command{}
		}
	}
	cmd := Command{Delete: slices.Sorted(slices.Values(at)), Hourly: -priceOf(c.s, at)}
	for _, e := range k.standing {
		if len(e.added) > 0 {
			if !e.node.Initialized {
				return Command{}
			}
			cmd.Moves = append(cmd.Moves, nodes.Placed{Node: e.index, Pods: e.added})
		}
	}
	switch len(k.claims) {
	case 0:
		return cmd
	case 1:
		p, ok := c.cheaper(k, at)
		if !ok {
			return Command{}
		}
		cmd.Replace = []nodes.Purchase{p}
		cmd.Hourly = cmd.Hourly.Plus(p.Offering.Price)
		return cmd
	}
	return Command{}
}

// settling says that a node changed so short a time ago that consolidation moves
// nothing there.
func (c *consolidation) settling(e *standing) bool {
	p := c.pool(e.node)
	return p != nil && e.node.Initialized && p.Disruption.After > 0 && c.s.Now.Sub(e.node.Changed) < p.Disruption.After
}

// cheaper narrows the claim of a run to types that are sure to cost less than
// the nodes they replace, and picks one.
func (c *consolidation) cheaper(k *karpenter, at []int) (nodes.Purchase, bool) {
	claim := k.claims[0]
	spotWish := k.domainWish(catalog.LabelCapacity, []string{string(catalog.Spot)})
	toSpot := k.market.narrow(claim.at, spotWish)
	fromSpot := allOf(c.s, at, catalog.Spot) && toSpot != nil
	if fromSpot {
		if !c.set.SpotToSpot {
			return nodes.Purchase{}, false
		}
		claim.at = toSpot
	}
	limit := priceOf(c.s, at)
	keep := func() {
		claim.types = slices.DeleteFunc(slices.Clone(claim.types), func(t int32) bool { return worstPrice(claim, t) >= limit })
	}
	keep()
	if len(at) > 1 {
		limit = c.sameType(claim, at)
		keep()
	}
	if fromSpot && len(at) == 1 {
		if len(claim.types) < spotTypes {
			return nodes.Purchase{}, false
		}
		k.set.MaxTypes = min(k.set.MaxTypes, spotTypes)
	}
	if len(claim.types) == 0 || !claim.at.flexible(claim.types) {
		return nodes.Purchase{}, false
	}
	if toSpot != nil && slices.ContainsFunc(claim.types, func(t int32) bool { return toSpot.ok[t] }) {
		claim.at = toSpot
		claim.types = slices.DeleteFunc(claim.types, func(t int32) bool { return !toSpot.ok[t] })
	}
	return k.launch(claim)
}

// sameType is the price of the cheapest node whose type could replace several:
// keeping that node would be as good.
func (c *consolidation) sameType(claim *claim, at []int) unit.NanoUSD {
	limit := unit.MaxUSD
	for _, t := range claim.types {
		for _, i := range at {
			if o := c.s.Nodes[i].Offering; o.Shape != nil && o.Shape.Name == claim.at.pool.types[t].shape.Name {
				limit = min(limit, o.Price)
			}
		}
	}
	return limit
}

// worstPrice is the highest price of a type in the way in which it would be
// bought: reserved, else spot, else on demand.
func worstPrice(c *claim, t int32) unit.NanoUSD {
	for _, capacity := range []catalog.CapacityType{catalog.Reserved, catalog.Spot, catalog.OnDemand} {
		var worst unit.NanoUSD
		for _, o := range c.at.pool.types[t].offers {
			if o.Capacity == capacity && c.at.reqs.Allow(o.labels) {
				worst = max(worst, o.Price)
			}
		}
		if worst > 0 {
			return worst
		}
	}
	return unit.MaxUSD
}
