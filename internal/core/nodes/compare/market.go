package compare

import (
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// AnyArch takes every architecture.
const AnyArch = "any"

// market makes of one snapshot what each strategy may see of it.
type market struct {
	base        plan.Snapshot
	spotPercent int
	// defaultPool and defaultGroups say that the input named none.
	defaultPool, defaultGroups bool
	onDemand                   map[*catalog.Shape]unit.NanoUSD
	labels                     []map[string]string // of the offers
}

func newMarket(req Request) *market {
	m := &market{base: *req.Snapshot, spotPercent: req.SpotPercent, onDemand: map[*catalog.Shape]unit.NanoUSD{}}
	for _, o := range m.base.Offers {
		m.labels = append(m.labels, o.Labels())
		if o.Capacity == catalog.OnDemand {
			m.onDemand[o.Shape] = o.Price
		}
	}
	if m.defaultPool = len(m.base.Pools) == 0; m.defaultPool {
		m.base.Pools = DefaultPools(m.base.Demand)
	}
	if m.defaultGroups = len(m.base.NodeGroups) == 0; m.defaultGroups {
		m.base.NodeGroups = defaultGroups(m.base.Offers, m.base.Demand, req.Arch)
	}
	return m
}

// view is the snapshot for a strategy that buys in a market.
func (m *market) view(buys Market, arch string) *plan.Snapshot {
	s := m.base
	if buys == Nothing {
		s.Pools, s.NodeGroups, s.Offers = nil, nil, nil
		return &s
	}
	s.Nodes = nil
	s.Demand = onArch(s.Demand, arch)
	switch buys {
	case PoolsSpot:
		s.Demand = partlySpot(s.Demand, m.spotPercent)
	case Pools:
		s.Pools = slices.Clone(s.Pools)
		for i := range s.Pools {
			s.Pools[i].Requirements = firmly(s.Pools[i].Requirements)
		}
	case Nothing, Groups, PerPod:
	}
	s.Offers = m.offers(&s, buys)
	return &s
}

// firmly leaves spot to pools that want nothing else.
func firmly(r workload.Requirements) workload.Requirements {
	if c, ok := r[catalog.LabelCapacity]; ok && !c.Has(string(catalog.OnDemand)) {
		return r
	}
	return r.Intersect(workload.Requirements{
		catalog.LabelCapacity: workload.OneOf(string(catalog.OnDemand), string(catalog.Reserved)),
	})
}

// offers drops what the strategy could not buy anyway, so that it need not look
// at it again each time it is asked.
func (m *market) offers(s *plan.Snapshot, buys Market) []catalog.Offering {
	if buys == PerPod {
		return s.Offers
	}
	wanted := map[catalog.Arch]bool{}
	for _, arch := range []catalog.Arch{catalog.AMD64, catalog.ARM64} {
		wanted[arch] = slices.ContainsFunc(s.Demand, func(g workload.Group) bool { return runsOn(&g, arch) })
	}
	var out []catalog.Offering
	for i, o := range s.Offers {
		sold := slices.ContainsFunc(s.Pools, func(p workload.Pool) bool { return mayHold(p.Requirements, m.labels[i]) })
		if buys == Groups {
			sold = slices.ContainsFunc(s.NodeGroups, func(g workload.NodeGroup) bool {
				return slices.Contains(g.Shapes, o.Shape.Name) && g.Spot == (o.Capacity == catalog.Spot)
			})
		}
		if sold && wanted[o.Shape.Arch] {
			out = append(out, o)
		}
	}
	return out
}

// mayHold looks only at labels that the offering has: a pool adds others.
func mayHold(r workload.Requirements, labels map[string]string) bool {
	for key, req := range r {
		if value, ok := labels[key]; ok && !req.Has(value) {
			return false
		}
	}
	return true
}

func runsOn(g *workload.Group, arch catalog.Arch) bool {
	if len(g.Alternatives) == 0 {
		return true
	}
	return slices.ContainsFunc(g.Alternatives, func(r workload.Requirements) bool {
		req, ok := r[catalog.LabelArch]
		return !ok || req.Has(string(arch))
	})
}

// onArch keeps pods that do not say on which architecture they run on one.
func onArch(groups []workload.Group, arch string) []workload.Group {
	if arch == AnyArch {
		return groups
	}
	return restrict(groups, catalog.LabelArch, arch)
}

// restrict adds a requirement to the groups that have none for its label.
func restrict(groups []workload.Group, key string, values ...string) []workload.Group {
	out := slices.Clone(groups)
	for i := range out {
		alternatives := slices.Clone(out[i].Alternatives)
		if len(alternatives) == 0 {
			alternatives = []workload.Requirements{{}}
		}
		for j, r := range alternatives {
			if _, ok := r[key]; !ok {
				r = maps.Clone(r)
				if r == nil {
					r = workload.Requirements{}
				}
				r[key] = workload.OneOf(values...)
				alternatives[j] = r
			}
		}
		out[i].Alternatives = alternatives
	}
	return out
}

// partlySpot lets a share of each group run on spot capacity, rounded down, and
// keeps the rest on demand.
func partlySpot(groups []workload.Group, percent int) []workload.Group {
	if percent >= 100 {
		return groups
	}
	var out []workload.Group
	for _, g := range groups {
		free := g.Count * percent / 100
		if part, ok := portion(g, free); ok {
			out = append(out, part)
		}
		if part, ok := portion(g, g.Count-free); ok {
			out = append(out, restrict([]workload.Group{part}, catalog.LabelCapacity, string(catalog.OnDemand), string(catalog.Reserved))...)
		}
	}
	return out
}

// portion is n pods of a group, with its range in proportion.
func portion(g workload.Group, n int) (workload.Group, bool) {
	if g.Count > 0 {
		g.Replicas.Min = g.Replicas.Min * n / g.Count
		g.Replicas.Max = (g.Replicas.Max*n + g.Count - 1) / g.Count
	}
	g.Count = n
	return g, n > 0
}
