package nodestest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Constraint is one of the five kinds of pods in Karpenter's benchmark.
type Constraint string

// The kinds.
const (
	Generic              Constraint = "generic"
	ZoneSpread           Constraint = "zone-spread"
	HostnameSpread       Constraint = "hostname-spread"
	ZoneAffinity         Constraint = "zone-affinity"
	HostnameAntiAffinity Constraint = "hostname-anti-affinity"
)

// Constraints lists the kinds in the order in which the benchmark makes them.
func Constraints() []Constraint {
	return []Constraint{Generic, ZoneSpread, HostnameSpread, ZoneAffinity, HostnameAntiAffinity}
}

// Mixed is the demand of Karpenter's benchmark: a fifth of the pods of each
// kind, with labels drawn from seven values, so that selectors choose pods of
// other kinds as well. All pods with anti-affinity refuse each other: each
// needs a node of its own.
func Mixed(pods int, seed uint64) []workload.Group {
	r := rand.New(rand.NewPCG(seed, 4))
	all := map[string]*workload.Group{}
	for _, kind := range Constraints() {
		n := pods / 5
		if kind == Generic {
			n += pods % 5
		}
		for range n {
			addPod(all, kind, r)
		}
	}
	return sorted(all)
}

// Only is demand of one kind.
func Only(kind Constraint, pods int, seed uint64) []workload.Group {
	r := rand.New(rand.NewPCG(seed, 5))
	all := map[string]*workload.Group{}
	for range pods {
		addPod(all, kind, r)
	}
	return sorted(all)
}

// Services are microservices that carry realistic constraints: each kind on a
// fifth of the services, where every selector chooses the service's own pods.
// Anti-affinity falls to the least popular ones, which have few replicas.
func Services(pods, shapes int, seed uint64) []workload.Group {
	groups := Microservices(pods, shapes, seed)
	for i := range groups {
		kind := Constraints()[i%5]
		if i >= len(groups)*4/5 {
			kind = HostnameAntiAffinity
		} else if kind == HostnameAntiAffinity {
			kind = Generic
		}
		constrain(&groups[i], kind, groups[i].Labels)
		for j := range groups[i].Spread {
			if groups[i].Spread[j].TopologyKey == workload.LabelHostname {
				groups[i].Spread[j].MaxSkew = 10
			}
		}
	}
	return groups
}

func addPod(all map[string]*workload.Group, kind Constraint, r *rand.Rand) {
	own, chosen, c, m := r.IntN(7), r.IntN(7), r.IntN(5), r.IntN(6)
	label, value := "my-label", func(i int) string { return string(rune('a' + i)) }
	switch kind {
	case ZoneAffinity:
		label, chosen = "my-affinity", own
	case HostnameAntiAffinity:
		label, own, chosen = "app", 0, 0
	case Generic:
		chosen = 0
	case ZoneSpread, HostnameSpread:
	}
	name := fmt.Sprintf("%s-%s-%s-%d-%d", kind, value(own), value(chosen), c, m)
	if g, ok := all[name]; ok {
		g.Count++
		return
	}
	g := group(name, 1, benchCPU(c), benchMemory(m))
	g.Labels = map[string]string{label: value(own)}
	constrain(&g, kind, map[string]string{label: value(chosen)})
	all[name] = &g
}

func constrain(g *workload.Group, kind Constraint, labels map[string]string) {
	sel := Selector(labels)
	switch kind {
	case ZoneSpread:
		g.Spread = []workload.Spread{{TopologyKey: workload.LabelZone, MaxSkew: 1, Required: true, Selector: sel}}
	case HostnameSpread:
		g.Spread = []workload.Spread{{TopologyKey: workload.LabelHostname, MaxSkew: 1, Required: true, Selector: sel}}
	case ZoneAffinity:
		g.Affinity = []workload.PodTerm{{TopologyKey: workload.LabelZone, Selector: sel}}
	case HostnameAntiAffinity:
		g.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: sel}}
	case Generic:
	}
}

// Selector chooses pods that have all of the labels.
func Selector(labels map[string]string) workload.Selector {
	s := workload.Selector{Requirements: workload.Requirements{}}
	for k, v := range labels {
		s.Requirements.Add(k, workload.OneOf(v))
	}
	return s
}

func sorted(all map[string]*workload.Group) []workload.Group {
	groups := make([]workload.Group, 0, len(all))
	for _, g := range all {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b workload.Group) int { return strings.Compare(a.Owner.Name, b.Owner.Name) })
	return groups
}
