package peer

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Command is one step of a strategy that gives up nodes.
type Command struct {
	// Delete are indexes into Snapshot.Nodes, ascending.
	Delete []int
	// Replace is bought first, and Moves are where pods of the deleted nodes go
	// besides, in the snapshot's own indexes.
	Replace []nodes.Purchase
	Moves   []nodes.Placed
	// Hourly is what the step changes in dollars per hour; negative saves.
	Hourly unit.NanoUSD
}

// Empty says that there is nothing to do.
func (c Command) Empty() bool { return len(c.Delete) == 0 }

// Apply is the snapshot after a step, when all new nodes run.
func Apply(s *plan.Snapshot, c Command) *plan.Snapshot {
	out := *s
	out.Nodes = slices.Clone(s.Nodes)
	for _, i := range c.Delete {
		out.Nodes[i].Leaving = true
	}
	out = *Settle(&out, nodes.Fleet{Purchases: c.Replace, Placed: c.Moves})
	out.Nodes = slices.DeleteFunc(out.Nodes, func(n plan.Node) bool { return n.Leaving })
	return &out
}

// Settle is the snapshot when a fleet runs: what was bought is among its nodes,
// and the pods are bound.
func Settle(s *plan.Snapshot, f nodes.Fleet) *plan.Snapshot {
	out := *s
	out.Nodes = slices.Clone(s.Nodes)
	for _, p := range f.Placed {
		n := &out.Nodes[p.Node]
		n.Pods = slices.Clone(n.Pods)
		for _, b := range p.Pods {
			n.Pods = addPods(n.Pods, b.Group, b.Count)
		}
		n.Changed = s.Now
	}
	taken := map[string]bool{}
	for i := range out.Nodes {
		taken[out.Nodes[i].Name] = true
	}
	number := 0
	for _, p := range f.Purchases {
		for range p.Count {
			name := ""
			for ok := true; ok; ok = taken[name] {
				number++
				name = fmt.Sprintf("node-%05d", number)
			}
			out.Nodes = append(out.Nodes, settled(s, p, name))
		}
	}
	return &out
}

func settled(s *plan.Snapshot, p nodes.Purchase, name string) plan.Node {
	n := plan.Node{
		Name: name, Pool: p.Pool, Offering: p.Offering, Labels: named(p.Offering.Labels(), name),
		Allocatable: p.Allocatable, Reserved: p.Daemons, Pods: slices.Clone(p.Pods),
		Created: s.Now, Changed: s.Now, Initialized: true,
	}
	for i := range s.Pools {
		if s.Pools[i].Name == p.Pool {
			n.Labels, n.Taints = named(nodeLabels(&s.Pools[i], p.Offering), name), s.Pools[i].Taints
			return n
		}
	}
	for i := range s.NodeGroups {
		if s.NodeGroups[i].Name == p.Pool {
			maps.Copy(n.Labels, s.NodeGroups[i].Labels)
			n.Taints = s.NodeGroups[i].Taints
		}
	}
	return n
}

// pinned says whether pods keep a node from being given up: some may not be
// disrupted, or a budget for pods is used up.
func pinned(s *plan.Snapshot, n *plan.Node) bool {
	if n.DoNotDisrupt {
		return true
	}
	for _, b := range n.Pods {
		g := &s.Demand[b.Group]
		if b.Count > 0 && (g.DoNotDisrupt || evictable(s, g) < b.Count) {
			return true
		}
	}
	return false
}

// evictable is how many pods of a group may be disrupted now.
func evictable(s *plan.Snapshot, g *workload.Group) int {
	n := math.MaxInt
	for _, b := range s.PodBudgets {
		if b.Ref.Namespace == g.Owner.Namespace && b.Selector.Matches(g.Labels) {
			n = min(n, b.Allowed)
		}
	}
	return n
}

// priceOf is what nodes cost per hour.
func priceOf(s *plan.Snapshot, at []int) unit.NanoUSD {
	var sum unit.NanoUSD
	for _, i := range at {
		sum = sum.Plus(s.Nodes[i].Offering.Price)
	}
	return sum
}

// allOf says whether all of the nodes are bought in one way.
func allOf(s *plan.Snapshot, at []int, c catalog.CapacityType) bool {
	return !slices.ContainsFunc(at, func(i int) bool { return s.Nodes[i].Offering.Capacity != c })
}
