package peer

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// standing is a node that exists, with what is left of it.
type standing struct {
	index  int // into Snapshot.Nodes, and its number as a host
	node   *plan.Node
	labels map[string]string
	free   unit.Resources
	ports  []workload.HostPort
	added  []plan.Bound
	full   map[int]bool // forms that will never fit again
}

// stand lists nodes that can take pods, in the order in which Karpenter asks
// them: those that are ready first, then by name.
func stand(s *plan.Snapshot, without map[int]bool) []*standing {
	var out []*standing
	for i := range s.Nodes {
		if n := &s.Nodes[i]; !n.Leaving && !without[i] {
			out = append(out, newStanding(s, i))
		}
	}
	slices.SortStableFunc(out, func(a, b *standing) int {
		if a.node.Initialized != b.node.Initialized {
			if a.node.Initialized {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.node.Name, b.node.Name)
	})
	return out
}

func newStanding(s *plan.Snapshot, i int) *standing {
	n := &s.Nodes[i]
	e := &standing{index: i, node: n, labels: maps.Clone(n.Labels), full: map[int]bool{}}
	if e.labels == nil {
		e.labels = map[string]string{}
	}
	e.labels[workload.LabelHostname] = cmp.Or(e.labels[workload.LabelHostname], n.Name)
	var daemons unit.Resources
	for d := range s.Daemons {
		if g := &s.Daemons[d]; admits(g, e.labels, n.Taints) {
			daemons = daemons.Plus(g.Requests)
			e.ports = append(e.ports, g.HostPorts...)
		}
	}
	// Pods of DaemonSets may still be missing on a node that just came.
	e.free = n.Allocatable.Minus(n.Reserved.Max(daemons))
	for _, b := range n.Pods {
		g := &s.Demand[b.Group]
		e.free = e.free.Minus(g.Requests.Times(int64(b.Count)))
		if b.Count > 0 {
			e.ports = append(e.ports, g.HostPorts...)
		}
	}
	return e
}

// place puts pods of a group onto the node.
func (e *standing) place(g *workload.Group, group, n int) {
	e.free = e.free.Minus(g.Requests.Times(int64(n)))
	e.ports = append(e.ports, g.HostPorts...)
	e.added = addPods(e.added, group, n)
}

// pendingPods counts, by group, the pods that run nowhere or only on nodes that
// are leaving.
func pendingPods(s *plan.Snapshot, without map[int]bool) []int {
	left := make([]int, len(s.Demand))
	for g := range s.Demand {
		left[g] = s.Demand[g].Count
	}
	for i := range s.Nodes {
		if s.Nodes[i].Leaving || without[i] {
			continue
		}
		for _, b := range s.Nodes[i].Pods {
			left[b.Group] -= b.Count
		}
	}
	for g := range left {
		left[g] = max(left[g], 0)
	}
	return left
}
