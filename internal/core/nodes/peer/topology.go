package peer

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

type relation int

const (
	spreadOver relation = iota
	affinityTo
	apartFrom // anti-affinity
	avoidedBy // its inverse: domains of pods that refuse the chosen ones
)

// topology counts pods in the domains of one constraint, as Karpenter does: it
// knows every zone that could be bought in, takes an empty host for given, and
// counts a pod only where its claim has but one domain left.
type topology struct {
	relation  relation
	key       string
	skew, min int
	filter    *workload.Group // whose node affinity and tolerations decide what counts; nil for all
	policy    workload.Spread
	chosen    []bool // by group
	domains   []string
	counts    []int
	hosts     map[int]int
	pods      int // counted in all
	chance    *rand.Rand
}

// topologies are those of one scheduling run.
type topologies struct {
	s      *plan.Snapshot
	market *market
	all    []*topology
	byKey  map[string]*topology
	chance *rand.Rand
	// counting and avoiding are by group: what counts its pods, and what it may
	// not come near; refusing is what its pods fill.
	counting, avoiding, refusing [][]*topology
}

func newTopologies(s *plan.Snapshot, m *market, seed uint64) *topologies {
	n := len(s.Demand)
	return &topologies{
		s: s, market: m, byKey: map[string]*topology{}, chance: rand.New(rand.NewPCG(seed, 13)),
		counting: make([][]*topology, n), avoiding: make([][]*topology, n), refusing: make([][]*topology, n),
	}
}

// spread returns the topology of a constraint that a group carries.
func (ts *topologies) spread(group int, t workload.Spread) *topology {
	g := &ts.s.Demand[group]
	var filter []string
	if !t.IgnoreAffinity {
		for _, a := range g.Alternatives {
			filter = append(filter, a.Key())
		}
	}
	if t.HonorTaints {
		filter = append(filter, fmt.Sprint(g.Tolerations))
	}
	key := fmt.Sprintf("spread %s %q %v %s %d %t %t %q", t.TopologyKey, g.Owner.Namespace, t.Selector.Everything,
		t.Selector.Requirements.Key(), t.MaxSkew, t.IgnoreAffinity, t.HonorTaints, filter)
	return ts.get(key, func() *topology {
		return &topology{
			relation: spreadOver, key: t.TopologyKey, skew: t.MaxSkew, min: t.MinDomains, filter: g, policy: t,
			chosen: ts.chosen(func(o *workload.Group) bool {
				return o.Owner.Namespace == g.Owner.Namespace && t.Selector.Matches(o.Labels)
			}),
		}
	})
}

// term returns the topology of a pod term that a group carries.
func (ts *topologies) term(group int, r relation, t workload.PodTerm) *topology {
	g := &ts.s.Demand[group]
	namespaces := t.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{g.Owner.Namespace}
	}
	key := fmt.Sprintf("%d %s %q %t %v %s", r, t.TopologyKey, namespaces, t.AllNamespaces, t.Selector.Everything, t.Selector.Requirements.Key())
	return ts.get(key, func() *topology {
		return &topology{relation: r, key: t.TopologyKey, chosen: ts.chosen(func(o *workload.Group) bool {
			return (t.AllNamespaces || slices.Contains(namespaces, o.Owner.Namespace)) && t.Selector.Matches(o.Labels)
		})}
	})
}

func (ts *topologies) chosen(match func(*workload.Group) bool) []bool {
	out := make([]bool, len(ts.s.Demand))
	for i := range ts.s.Demand {
		out[i] = match(&ts.s.Demand[i])
	}
	return out
}

func (ts *topologies) get(key string, build func() *topology) *topology {
	if t, ok := ts.byKey[key]; ok {
		return t
	}
	t := build()
	t.hosts, t.chance = map[int]int{}, ts.chance
	ts.byKey[key] = t
	ts.all = append(ts.all, t)
	if t.key != workload.LabelHostname {
		ts.universe(t)
	}
	for g, yes := range t.chosen {
		switch {
		case yes && t.relation == avoidedBy:
			ts.avoiding[g] = append(ts.avoiding[g], t)
		case yes:
			ts.counting[g] = append(ts.counting[g], t)
		}
	}
	return t
}

// refuse registers the required anti-affinity of a group in the other direction.
func (ts *topologies) refuse(group int) {
	for _, t := range requiredTerms(ts.s.Demand[group].AntiAffinity) {
		inverse := ts.term(group, avoidedBy, t)
		if !slices.Contains(ts.refusing[group], inverse) {
			ts.refusing[group] = append(ts.refusing[group], inverse)
		}
	}
}

// universe lists all domains of a key: those that the pools can buy in, and
// those of nodes.
func (ts *topologies) universe(t *topology) {
	seen := map[string]bool{}
	for _, p := range ts.market.pools {
		if t.policy.HonorTaints && !tolerates(t.filter.Tolerations, p.pool.Taints) {
			continue
		}
		for i := range p.types {
			for _, o := range p.types[i].offers {
				if v, ok := o.labels[t.key]; ok {
					seen[v] = true
				}
			}
		}
	}
	for i := range ts.s.Nodes {
		n := &ts.s.Nodes[i]
		if v, ok := n.Labels[t.key]; ok && !n.Leaving && t.countsNode(n) {
			seen[v] = true
		}
	}
	for v := range seen {
		t.domains = append(t.domains, v)
	}
	slices.Sort(t.domains)
	t.counts = make([]int, len(t.domains))
}

func (t *topology) countsNode(n *plan.Node) bool {
	if t.filter == nil {
		return true
	}
	affine := t.policy.IgnoreAffinity || len(t.filter.Alternatives) == 0 ||
		slices.ContainsFunc(t.filter.Alternatives, func(rs workload.Requirements) bool { return rs.Allow(n.Labels) })
	return affine && (!t.policy.HonorTaints || tolerates(t.filter.Tolerations, n.Taints))
}

// countsClaim is the same for a claim: what it does not say about a label
// counts as a missing label.
func (t *topology) countsClaim(c *constraint) bool {
	if t.filter == nil {
		return true
	}
	if t.policy.HonorTaints && !tolerates(t.filter.Tolerations, c.pool.pool.Taints) {
		return false
	}
	if t.policy.IgnoreAffinity || len(t.filter.Alternatives) == 0 {
		return true
	}
	return slices.ContainsFunc(t.filter.Alternatives, func(rs workload.Requirements) bool {
		for key, r := range rs {
			mine, ok := c.reqs[key]
			if !ok && !r.Allows("", false) || ok && mine.Intersect(r).Empty() {
				return false
			}
		}
		return true
	})
}

// record counts pods of a chosen group in domains; all of them when it is not
// known which, and the pod must not be near.
func (t *topology) record(domains []string, n int) {
	for _, v := range domains {
		if i, ok := slices.BinarySearch(t.domains, v); ok {
			t.counts[i] += n
			t.pods += n
		}
	}
}
