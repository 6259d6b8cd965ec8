package peer

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// market is what Karpenter can buy: instance types by pool, heaviest pool first.
type market struct {
	pools []*poolOffer
	// Requirements are interned, so that narrowing a claim is a look-up.
	wishes   map[string]*wish
	narrowed map[narrowing]*constraint
	known    map[string]*constraint
}

// poolOffer is a pool with the types that its requirements leave.
type poolOffer struct {
	pool  *workload.Pool
	types []instanceType
	base  *constraint
	// room is the most that any type has beside its daemons, by each amount.
	room unit.Resources
}

// instanceType is a shape in a pool with its offerings.
type instanceType struct {
	shape                 *catalog.Shape
	capacity, allocatable unit.Resources
	// daemons is what DaemonSets take, with their ports.
	daemons unit.Resources
	ports   []workload.HostPort
	offers  []offer
}

type offer struct {
	catalog.Offering
	labels map[string]string
}

// wish is an interned set of requirements; constraint is one that a claim has,
// with the types that it leaves.
type wish struct {
	id   int
	reqs workload.Requirements
}

type constraint struct {
	pool *poolOffer
	key  string
	reqs workload.Requirements
	ok   []bool // by type: some offering is compatible
	any  bool
	flex []string // keys with minValues
}

type narrowing struct {
	from *constraint
	by   int
}

func newMarket(s *plan.Snapshot) *market {
	m := &market{wishes: map[string]*wish{}, narrowed: map[narrowing]*constraint{}, known: map[string]*constraint{}}
	for i := range s.Pools {
		p := &poolOffer{pool: &s.Pools[i]}
		p.types = typesOf(s, p.pool)
		if len(p.types) > 0 {
			p.base = m.constraint(p, p.pool.Requirements.Intersect(fixed(p.pool)))
			for _, t := range p.types {
				p.room = p.room.Max(t.allocatable.Minus(t.daemons))
			}
			m.pools = append(m.pools, p)
		}
	}
	slices.SortStableFunc(m.pools, func(a, b *poolOffer) int {
		return cmp.Or(b.pool.Weight-a.pool.Weight, cmp.Compare(a.pool.Name, b.pool.Name))
	})
	return m
}

// fixed are the labels that a pool gives to each node.
func fixed(pool *workload.Pool) workload.Requirements {
	out := workload.Requirements{catalog.LabelPool: workload.OneOf(pool.Name)}
	for key, value := range pool.Labels {
		out.Add(key, workload.OneOf(value))
	}
	return out
}

func typesOf(s *plan.Snapshot, pool *workload.Pool) []instanceType {
	var types []instanceType
	at := map[*catalog.Shape]int{}
	for _, o := range s.Offers {
		labels := nodeLabels(pool, o)
		if !pool.Requirements.Allow(labels) {
			continue
		}
		i, ok := at[o.Shape]
		if !ok {
			i = len(types)
			at[o.Shape] = i
			types = append(types, instanceType{
				shape: o.Shape, capacity: o.Shape.Capacity(s.Kubelet), allocatable: o.Shape.Allocatable(s.Kubelet),
			})
		}
		types[i].offers = append(types[i].offers, offer{o, labels})
	}
	for i := range types {
		types[i].addDaemons(s.Daemons, pool.Taints)
	}
	return types
}

// addDaemons counts each DaemonSet that could run on some offering of the type,
// as Karpenter does before it knows the zone.
func (t *instanceType) addDaemons(daemons []workload.Group, taints []workload.Taint) {
	for i := range daemons {
		d := &daemons[i]
		if slices.ContainsFunc(t.offers, func(o offer) bool { return admits(d, o.labels, taints) }) {
			t.daemons = t.daemons.Plus(d.Requests)
			t.ports = append(t.ports, d.HostPorts...)
		}
	}
}

// ofMachine says that a label tells what the machine is: a pool can ask for a
// value, but not give it.
func ofMachine(key string) bool {
	switch key {
	case catalog.LabelShape, catalog.LabelArch, catalog.LabelOS, catalog.LabelRegion, catalog.LabelZone, catalog.LabelZoneID, catalog.LabelCapacity:
		return true
	}
	return strings.HasPrefix(key, "karpenter.k8s.aws/")
}

// nodeLabels are those of a node of the offering in the pool. Its host name is
// one that no manifest knows yet.
func nodeLabels(pool *workload.Pool, o catalog.Offering) map[string]string {
	l := o.Labels()
	for key, r := range pool.Requirements {
		if values, finite := r.Values(); finite && len(values) == 1 && !ofMachine(key) {
			l[key] = values[0]
		}
	}
	maps.Copy(l, pool.Labels)
	l[catalog.LabelPool] = pool.Name
	l[workload.LabelHostname] = "new"
	return l
}

// admits says whether a node with these labels and taints takes a pod.
func admits(g *workload.Group, labels map[string]string, taints []workload.Taint) bool {
	if _, kept := workload.Untolerated(g.Tolerations, taints); kept {
		return false
	}
	return len(g.Alternatives) == 0 ||
		slices.ContainsFunc(g.Alternatives, func(rs workload.Requirements) bool { return rs.Allow(labels) })
}

// wish interns requirements; nil for none.
func (m *market) wish(reqs workload.Requirements) *wish {
	if len(reqs) == 0 {
		return nil
	}
	key := reqs.Key()
	w, ok := m.wishes[key]
	if !ok {
		w = &wish{id: len(m.wishes), reqs: reqs}
		m.wishes[key] = w
	}
	return w
}

// narrow adds a wish to a constraint; nil when nothing can be bought then.
func (m *market) narrow(from *constraint, by *wish) *constraint {
	if by == nil {
		return from
	}
	step := narrowing{from, by.id}
	to, ok := m.narrowed[step]
	if !ok {
		to = m.constraint(from.pool, from.reqs.Intersect(by.reqs))
		m.narrowed[step] = to
	}
	if !to.any {
		return nil
	}
	return to
}

func (m *market) constraint(p *poolOffer, reqs workload.Requirements) *constraint {
	key := p.pool.Name + "\n" + reqs.Key()
	if c, ok := m.known[key]; ok {
		return c
	}
	c := &constraint{pool: p, key: key, reqs: reqs, ok: make([]bool, len(p.types))}
	for i := range p.types {
		c.ok[i] = slices.ContainsFunc(p.types[i].offers, func(o offer) bool { return reqs.Allow(o.labels) })
		c.any = c.any || c.ok[i]
	}
	for k, r := range reqs {
		if r.MinValues > 0 {
			c.flex = append(c.flex, k)
		}
	}
	slices.Sort(c.flex)
	m.known[key] = c
	return c
}

// flexible says whether types leave as many values as the pool asks for.
func (c *constraint) flexible(types []int32) bool {
	for _, key := range c.flex {
		values := map[string]bool{}
		for _, t := range types {
			for _, o := range c.pool.types[t].offers {
				if c.reqs.Allow(o.labels) {
					values[o.labels[key]] = true
				}
			}
		}
		if len(values) < c.reqs[key].MinValues {
			return false
		}
	}
	return true
}
