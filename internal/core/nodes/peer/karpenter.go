package peer

import (
	"math/rand/v2"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// KarpenterSettings are what its operator or its cloud decide.
type KarpenterSettings struct {
	// MaxTypes is how many instance types a request names; 0 is 60, as the
	// provider for AWS sends them.
	MaxTypes int
	// Seed stands for the identifiers of pods, by which those of one size are
	// ordered, and for the choice among zones that are equal.
	Seed uint64
	// SpotToSpot is the feature gate SpotToSpotConsolidation, off by default.
	SpotToSpot bool
	// Stop is asked now and then, if it is given: once it says so, the rest of the
	// pods stays pending.
	Stop func() bool
}

// Karpenter buys as Karpenter's provisioner does in one batch: pods by size,
// each to the first node that takes it: one that exists, then a claim of this
// batch, those with the fewest pods first, then a new claim in the heaviest pool.
// Prices are looked at when all is packed.
func Karpenter(s *plan.Snapshot, set KarpenterSettings) nodes.Fleet {
	k := newKarpenter(s, set, newMarket(s), nil)
	k.run(pendingPods(s, nil))
	return k.fleet()
}

// karpenter is one scheduling run.
type karpenter struct {
	s            *plan.Snapshot
	set          KarpenterSettings
	market       *market
	topologies   *topologies
	stages       [][]*form // by group
	formCount    int
	discouraging bool // some pool has a taint PreferNoSchedule
	standing     []*standing
	claims       []*claim
	unsorted     bool
	hosts        int
	limits       map[string]unit.Resources // what pools may still buy
	pending      []pendingReason           // by group
	version      int                       // changes with each pod that is placed
	stop         patience
}

type pendingReason struct {
	count int
	code  plan.Code
	at    int // version of the run when it was last tried
}

// newKarpenter prepares a run in which some nodes are taken away.
func newKarpenter(s *plan.Snapshot, set KarpenterSettings, m *market, without map[int]bool) *karpenter {
	if set.MaxTypes == 0 {
		set.MaxTypes = 60
	}
	k := &karpenter{
		s: s, set: set, market: m, topologies: newTopologies(s, m, set.Seed), standing: stand(s, without),
		hosts: len(s.Nodes), limits: map[string]unit.Resources{}, pending: make([]pendingReason, len(s.Demand)), version: 1,
		stop: patience{ask: set.Stop},
	}
	for i := range s.Pools {
		p := &s.Pools[i]
		k.discouraging = k.discouraging || slices.ContainsFunc(p.Taints, func(t workload.Taint) bool { return t.Effect == workload.PreferNoSchedule })
		if p.Limits != nil {
			k.limits[p.Name] = *p.Limits
		}
	}
	k.stages = make([][]*form, len(s.Demand))
	for g := range s.Demand {
		k.topologies.refuse(g)
		k.stages[g] = k.forms(g)
	}
	for _, e := range k.standing {
		if _, ok := k.limits[e.node.Pool]; ok {
			k.spend(e.node.Pool, capacityOf(s, e.node))
		}
		for _, b := range e.node.Pods {
			k.recordNode(b.Group, b.Count, e)
		}
	}
	return k
}

func capacityOf(s *plan.Snapshot, n *plan.Node) unit.Resources {
	if n.Offering.Shape != nil {
		return n.Offering.Shape.Capacity(s.Kubelet)
	}
	return n.Allocatable
}

// run schedules pods, given by group, until no more can be placed.
func (k *karpenter) run(pods []int) {
	queue := k.queue(pods)
	last := make([]int, len(queue)) // length of the queue when a pod was put back
	order := make([]int, len(queue))
	for i := range order {
		order[i] = i
	}
	for head := 0; head < len(order); head++ {
		pod := order[head]
		if k.stop.now() || last[pod] == len(order)-head {
			for _, left := range order[head:] {
				k.leave(queue[left])
			}
			return
		}
		if g := queue[pod]; k.pending[g].at == k.version || !k.schedule(g) {
			k.pending[g].at = k.version
			order = append(order, pod)
			last[pod] = len(order) - head - 1
			continue
		}
		k.version++
	}
}

func (k *karpenter) leave(group int) {
	p := &k.pending[group]
	p.count++
	if k.stop.over {
		p.code = Stopped
	}
}

// queue orders pods by processor, then memory, largest first; pods of one size
// come in the order of identifiers, which is random.
func (k *karpenter) queue(pods []int) []int {
	var queue []int
	for g, n := range pods {
		for range n {
			queue = append(queue, g)
		}
	}
	r := rand.New(rand.NewPCG(k.set.Seed, 7))
	r.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
	slices.SortStableFunc(queue, func(a, b int) int {
		x, y := &k.s.Demand[a].Requests, &k.s.Demand[b].Requests
		if x.CPU != y.CPU {
			return int(y.CPU - x.CPU)
		}
		switch {
		case x.Memory > y.Memory:
			return -1
		case x.Memory < y.Memory:
			return 1
		}
		return 0
	})
	return queue
}

// schedule places one pod, dropping its wishes one by one.
func (k *karpenter) schedule(group int) bool {
	for _, f := range k.stages[group] {
		if k.toStanding(f) || k.toClaim(f) || k.toNewClaim(f) {
			return true
		}
	}
	return false
}

func (k *karpenter) toStanding(f *form) bool {
	g := &k.s.Demand[f.group]
	for _, e := range k.standing {
		if e.full[f.id] {
			continue
		}
		switch k.tryStanding(e, f) {
		case fine:
			e.place(g, f.group, 1)
			k.recordNode(f.group, 1, e)
			return true
		case refused:
		default:
			e.full[f.id] = true
		}
	}
	return false
}

func (k *karpenter) tryStanding(e *standing, f *form) verdict {
	g := &k.s.Demand[f.group]
	if !fits(g.Requests, e.free) || workload.PortsConflict(g.HostPorts, e.ports) || !tolerates(f.tolerations, e.node.Taints) ||
		f.wish != nil && !f.wish.reqs.Allow(e.labels) {
		return never
	}
	p := place{host: e.index, labels: e.labels}
	for _, ts := range [2][]*topology{f.carried, k.topologies.avoiding[f.group]} {
		for _, t := range ts {
			if t.key == workload.LabelHostname {
				if yes, over := t.host(f, e.index); over {
					return never
				} else if !yes {
					return refused
				}
			} else if len(t.next(f, &p)) == 0 {
				return refused
			}
		}
	}
	return fine
}

// recordNode counts pods on a node in all topologies that look at them.
func (k *karpenter) recordNode(group, n int, e *standing) {
	for i, ts := range [2][]*topology{k.topologies.counting[group], k.topologies.refusing[group]} {
		for _, t := range ts {
			if i == 0 && !t.countsNode(e.node) {
				continue
			}
			if t.key == workload.LabelHostname {
				t.hosts[e.index] += n
				t.pods += n
			} else if v, ok := e.labels[t.key]; ok {
				t.record([]string{v}, n)
			}
		}
	}
}

// toClaim asks claims, those with the fewest pods first. Of equal ones the order
// is what Go's unstable sort makes of the last order: the original sorts so
// before each pod, and it matters for where pods go.
func (k *karpenter) toClaim(f *form) bool {
	if k.unsorted {
		slices.SortFunc(k.claims, func(a, b *claim) int { return a.count - b.count })
		k.unsorted = false
	}
	for _, c := range k.claims {
		if c.isFull(f.id) {
			continue
		}
		to, types, v := k.try(c, f)
		switch v {
		case fine:
			k.add(c, f, to, types)
			k.unsorted = true
			return true
		case refused:
		default:
			c.markFull(f.id)
		}
	}
	return false
}

func (k *karpenter) toNewClaim(f *form) bool {
	k.pending[f.group].code = nodes.NoOffering
	for _, p := range k.market.pools {
		types := k.affordable(p)
		if len(types) == 0 {
			k.pending[f.group].code = nodes.PoolLimit
			continue
		}
		c := &claim{host: k.hosts, at: p.base, types: types, room: p.room}
		to, kept, v := k.try(c, f)
		if v != fine {
			if v == refused {
				k.pending[f.group].code = nodes.NoDomain
			}
			continue
		}
		k.hosts++
		k.add(c, f, to, kept)
		k.claims, k.unsorted = append(k.claims, c), true
		if _, limited := k.limits[p.pool.Name]; limited {
			var largest unit.Resources
			for _, t := range kept {
				largest = largest.Max(p.types[t].capacity)
			}
			k.spend(p.pool.Name, largest)
		}
		return true
	}
	return false
}

// affordable lists the types of a pool that its limits leave.
func (k *karpenter) affordable(p *poolOffer) []int32 {
	out := make([]int32, 0, len(p.types))
	left, limited := k.limits[p.pool.Name]
	for i := range p.types {
		if !limited || within(p.types[i].capacity, left, p.pool.Limits) {
			out = append(out, int32(i))
		}
	}
	return out
}

// within looks only at amounts that are limited.
func within(r, left unit.Resources, limits *unit.Resources) bool {
	for _, name := range []string{"cpu", "memory", "ephemeral-storage", "pods"} {
		if limits.Get(name) > 0 && r.Get(name) > left.Get(name) {
			return false
		}
	}
	for name := range limits.Extended {
		if r.Get(name) > left.Get(name) {
			return false
		}
	}
	return true
}

func (k *karpenter) spend(pool string, r unit.Resources) { k.limits[pool] = k.limits[pool].Minus(r) }
