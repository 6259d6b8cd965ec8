package peer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// host is a node as Kubernetes' scheduler sees it.
type host struct {
	name        string
	labels      map[string]string
	taints      []workload.Taint
	allocatable unit.Resources
	free        unit.Resources
	ports       []workload.HostPort
	pods        []plan.Bound // all of them
	added       []plan.Bound // those that were bound here
	node        int          // index into Snapshot.Nodes, or -1
	group       *nodeGroup   // nil for a node that exists
	takesPart   []bool       // by spread counter
}

// scheduler answers what Kubernetes' scheduler would: may this pod go there,
// with what runs now. Whatever is bound can be unbound again.
type scheduler struct {
	s       *plan.Snapshot
	hosts   []*host
	spreads []*evenness
	byKey   map[string]*tally
	// By group: constraints that it carries, and counters that count it.
	even, counted [][]*evenness
	near          [][]*tally // affinity: each must have a pod
	first         []bool     // the group is its own neighbour
	apart, avoid  [][]*tally // anti-affinity: none may have a pod
	matched       [][]*tally
	carried       [][]*tally
}

// tally counts pods in the domains of a topology.
type tally struct {
	key    string
	counts map[string]int
	total  int
}

func newScheduler(s *plan.Snapshot) *scheduler {
	n := len(s.Demand)
	sc := &scheduler{
		s: s, byKey: map[string]*tally{}, even: make([][]*evenness, n), counted: make([][]*evenness, n),
		near: make([][]*tally, n), first: make([]bool, n), apart: make([][]*tally, n), avoid: make([][]*tally, n),
		matched: make([][]*tally, n), carried: make([][]*tally, n),
	}
	for g := range s.Demand {
		sc.watchSpreads(g)
		sc.watchAffinity(g)
		sc.watchAntiAffinity(g)
	}
	return sc
}

// watchAffinity counts the pods that all terms of a group match, for each term.
func (sc *scheduler) watchAffinity(g int) {
	owner := &sc.s.Demand[g]
	terms := requiredTerms(owner.Affinity)
	if len(terms) == 0 {
		return
	}
	all := func(o *workload.Group) bool {
		return !slices.ContainsFunc(terms, func(t workload.PodTerm) bool { return !t.Chooses(owner, o) })
	}
	sc.first[g] = all(owner)
	var keys []string
	for _, t := range terms {
		keys = append(keys, termKey(t, owner))
	}
	for _, t := range terms {
		key := fmt.Sprintf("near %q by %s", keys, t.TopologyKey)
		sc.near[g] = append(sc.near[g], sc.tally(key, t.TopologyKey, all, sc.matched))
	}
}

// watchAntiAffinity counts, for each term, the pods that it matches, which its
// owner avoids, and its owners, which those avoid.
func (sc *scheduler) watchAntiAffinity(g int) {
	owner := &sc.s.Demand[g]
	for _, t := range requiredTerms(owner.AntiAffinity) {
		match := func(o *workload.Group) bool { return t.Chooses(owner, o) }
		sc.apart[g] = append(sc.apart[g], sc.tally("apart"+termKey(t, owner), t.TopologyKey, match, sc.matched))
		key := "owner" + termKey(t, owner)
		_, known := sc.byKey[key]
		owners := sc.tally(key, t.TopologyKey, func(*workload.Group) bool { return false }, nil)
		sc.carried[g] = append(sc.carried[g], owners)
		for o := range sc.s.Demand {
			if !known && match(&sc.s.Demand[o]) {
				sc.avoid[o] = append(sc.avoid[o], owners)
			}
		}
	}
}

func (sc *scheduler) tally(key, topology string, match func(*workload.Group) bool, into [][]*tally) *tally {
	t, ok := sc.byKey[key]
	if ok {
		return t
	}
	t = &tally{key: topology, counts: map[string]int{}}
	sc.byKey[key] = t
	for g := range sc.s.Demand {
		if match(&sc.s.Demand[g]) {
			into[g] = append(into[g], t)
		}
	}
	return t
}

func termKey(t workload.PodTerm, owner *workload.Group) string {
	return fmt.Sprintf(" %s %q %q %t %t %s", t.TopologyKey, owner.Owner.Namespace, t.Namespaces, t.AllNamespaces, t.Selector.Everything, t.Selector.Requirements.Key())
}

// join adds a host without pods. leave takes the last one away again.
func (sc *scheduler) join(h *host) {
	h.takesPart = make([]bool, len(sc.spreads))
	for i, e := range sc.spreads {
		if h.takesPart[i] = e.considers(h.labels, h.taints); h.takesPart[i] {
			e.open(h.labels[e.key], 1)
		}
	}
	sc.hosts = append(sc.hosts, h)
}

func (sc *scheduler) leave() {
	h := sc.hosts[len(sc.hosts)-1]
	for i, e := range sc.spreads {
		if h.takesPart[i] {
			e.open(h.labels[e.key], -1)
		}
	}
	sc.hosts = sc.hosts[:len(sc.hosts)-1]
}

// known makes the domains of nodes that could come count as if one was there.
// Hosts that do not exist have no name, so this leaves host names alone.
func (sc *scheduler) known(labels map[string]string, taints []workload.Taint) {
	for _, e := range sc.spreads {
		if e.key != workload.LabelHostname && e.considers(labels, taints) {
			e.open(labels[e.key], 1)
		}
	}
}

// bind puts n pods of a group onto a host; a negative n takes them off.
func (sc *scheduler) bind(group, n int, h *host) {
	g := &sc.s.Demand[group]
	h.free = h.free.Minus(g.Requests.Times(int64(n)))
	h.pods = addPods(h.pods, group, n)
	switch {
	case len(g.HostPorts) == 0:
	case n > 0:
		h.ports = append(h.ports, g.HostPorts...)
	default:
		h.ports = slices.DeleteFunc(slices.Clone(h.ports), func(p workload.HostPort) bool { return slices.Contains(g.HostPorts, p) })
	}
	for _, e := range sc.counted[group] {
		if h.takesPart[e.index] {
			e.count(h.labels[e.key], n)
		}
	}
	for _, ts := range [2][]*tally{sc.matched[group], sc.carried[group]} {
		for _, t := range ts {
			if v, ok := h.labels[t.key]; ok {
				t.counts[v] += n
				t.total += n
			}
		}
	}
}

// place binds pods that were not on the host before.
func (sc *scheduler) place(group, n int, h *host) {
	sc.bind(group, n, h)
	h.added = addPods(h.added, group, n)
}

// fits runs the scheduler's filters.
func (sc *scheduler) fits(group int, h *host) bool {
	g := &sc.s.Demand[group]
	if !fits(g.Requests, h.free) || workload.PortsConflict(g.HostPorts, h.ports) || !admits(g, h.labels, h.taints) {
		return false
	}
	for _, e := range sc.even[group] {
		if !e.allows(h, e.chosen[group]) {
			return false
		}
	}
	for _, ts := range [2][]*tally{sc.apart[group], sc.avoid[group]} {
		for _, t := range ts {
			if v, ok := h.labels[t.key]; ok && t.counts[v] > 0 {
				return false
			}
		}
	}
	return sc.hasNeighbours(group, h)
}

// unrelated says that other pods matter to those of a group only by the room and
// the ports that they take.
func (sc *scheduler) unrelated(group int) bool {
	return len(sc.even[group])+len(sc.near[group])+len(sc.apart[group])+len(sc.avoid[group]) == 0
}

func (sc *scheduler) hasNeighbours(group int, h *host) bool {
	all, none := true, true
	for _, t := range sc.near[group] {
		v, ok := h.labels[t.key]
		if !ok {
			return false
		}
		all = all && t.counts[v] > 0
		none = none && t.total == 0
	}
	return all || none && sc.first[group]
}

// joinNodes adds the nodes that exist, with their pods.
func (sc *scheduler) joinNodes() {
	for _, e := range stand(sc.s, nil) {
		h := &host{
			name: e.node.Name, labels: e.labels, taints: e.node.Taints, allocatable: e.node.Allocatable,
			node: e.index, ports: e.ports,
		}
		h.free = e.free
		for _, b := range e.node.Pods {
			h.free = h.free.Plus(sc.s.Demand[b.Group].Requests.Times(int64(b.Count))) // bind takes it again
		}
		sc.join(h)
		for _, b := range e.node.Pods {
			sc.bind(b.Group, b.Count, h)
		}
	}
}

// byPriority lists the groups that have pods left, the most important first.
func byPriority(s *plan.Snapshot, left []int) []int {
	var order []int
	for g, n := range left {
		if n > 0 {
			order = append(order, g)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.Demand[b].Priority, s.Demand[a].Priority) })
	return order
}

// named are labels with a host name.
func named(labels map[string]string, name string) map[string]string {
	out := maps.Clone(labels)
	out[workload.LabelHostname] = name
	return out
}
