package peer

import (
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// nodeGroup is a node group in one zone. One that spans several is taken as one
// for each, as AWS advises for Cluster Autoscaler; its maximum holds for all.
type nodeGroup struct {
	*workload.NodeGroup
	offering catalog.Offering
	// What a new node of the group has; the first type decides.
	labels                         map[string]string
	capacity, allocatable, daemons unit.Resources
	ports                          []workload.HostPort
}

// nodeGroups lists the groups that can be bought from, by zone.
func nodeGroups(s *plan.Snapshot) []*nodeGroup {
	var out []*nodeGroup
	for i := range s.NodeGroups {
		g := &s.NodeGroups[i]
		if len(g.Shapes) == 0 {
			continue
		}
		capacity := catalog.OnDemand
		if g.Spot {
			capacity = catalog.Spot
		}
		for _, o := range s.Offers {
			if o.Shape.Name == g.Shapes[0] && o.Capacity == capacity && (len(g.Zones) == 0 || slices.Contains(g.Zones, o.Zone)) {
				out = append(out, newNodeGroup(s, g, o))
			}
		}
	}
	return out
}

func newNodeGroup(s *plan.Snapshot, g *workload.NodeGroup, o catalog.Offering) *nodeGroup {
	n := &nodeGroup{
		NodeGroup: g, offering: o, labels: o.Labels(),
		capacity: o.Shape.Capacity(s.Kubelet), allocatable: o.Shape.Allocatable(s.Kubelet),
	}
	maps.Copy(n.labels, g.Labels)
	n.labels[workload.LabelHostname] = "new"
	for i := range s.Daemons {
		if d := &s.Daemons[i]; admits(d, n.labels, g.Taints) {
			n.daemons = n.daemons.Plus(d.Requests)
			n.ports = append(n.ports, d.HostPorts...)
		}
	}
	return n
}

// host is a new node of the group.
func (n *nodeGroup) host(name string) *host {
	return &host{
		name: name, labels: named(n.labels, name), taints: n.Taints, allocatable: n.allocatable,
		free: n.allocatable.Minus(n.daemons), ports: slices.Clone(n.ports), node: -1, group: n,
	}
}

// purchase is the host as something to buy.
func (n *nodeGroup) purchase(s *plan.Snapshot, h *host) nodes.Purchase {
	p := nodes.Purchase{
		Pool: n.Name, Offering: n.offering, Count: 1, Daemons: n.daemons, Allocatable: n.allocatable,
		Pods: slices.Clone(h.added),
	}
	for _, b := range h.added {
		p.Requests = p.Requests.Plus(s.Demand[b.Group].Requests.Times(int64(b.Count)))
	}
	slices.SortFunc(p.Pods, func(a, b plan.Bound) int { return a.Group - b.Group })
	return p
}

// sizes counts the nodes that groups have.
func sizes(s *plan.Snapshot) map[string]int {
	out := map[string]int{}
	for i := range s.Nodes {
		if !s.Nodes[i].Leaving {
			out[s.Nodes[i].Pool]++
		}
	}
	return out
}

// DefaultNodeGroups are groups as a careful team sets them up: machines of the
// families m7i, c7i and r7i, or m5, c5 and r5 where those are not sold, with 2, 4,
// 8 and 16 cores: 12 groups.
func DefaultNodeGroups(offers []catalog.Offering) []workload.NodeGroup {
	sold := map[string]bool{}
	for _, o := range offers {
		sold[o.Shape.Name] = true
	}
	var out []workload.NodeGroup
	for _, category := range []string{"m", "c", "r"} {
		for _, size := range []string{"large", "xlarge", "2xlarge", "4xlarge"} {
			for _, family := range []string{category + "7i", category + "6i", category + "5"} {
				if name := family + "." + size; sold[name] {
					out = append(out, workload.NodeGroup{Name: category + "-" + size, Shapes: []string{name}})
					break
				}
			}
		}
	}
	return out
}

// fleetOf collects what was bound to hosts, and what is left.
func fleetOf(sc *scheduler, left []int, why func(group int) (plan.Code, string)) nodes.Fleet {
	var f nodes.Fleet
	var bought []nodes.Purchase
	for _, h := range sc.hosts {
		switch {
		case h.group != nil:
			bought = append(bought, h.group.purchase(sc.s, h))
		case len(h.added) > 0:
			f.Placed = append(f.Placed, nodes.Placed{Node: h.node, Pods: h.added})
		}
	}
	slices.SortFunc(f.Placed, func(a, b nodes.Placed) int { return a.Node - b.Node })
	f.Purchases = mergePurchases(bought)
	for g, n := range left {
		if n > 0 {
			code, text := why(g)
			f.Pending = append(f.Pending, pendingOf(g, n, code, text))
		}
	}
	return f
}
