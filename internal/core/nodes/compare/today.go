package compare

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Complete fills in what an adapter cannot know of the nodes of today: shapes
// and prices, and nodes for node groups of which only the number is known. It
// returns one sentence for each node that has no price; those are left out.
func Complete(s plan.Snapshot) (plan.Snapshot, []string) {
	var faults []string
	given := s.Nodes
	if len(given) == 0 {
		given = desired(s)
	}
	s.Nodes = nil
	for _, n := range given {
		name := ""
		if n.Offering.Shape != nil {
			name = n.Offering.Shape.Name
		}
		o, ok := offered(s.Offers, name, n.Offering)
		if !ok {
			faults = append(faults, fmt.Sprintf("node %s: no price for type %q in %s; the node is left out", n.Name, name, s.Region))
			continue
		}
		n.Offering = o
		s.Nodes = append(s.Nodes, equip(&s, n))
	}
	return s, faults
}

// desired makes a node for each that the node groups have.
func desired(s plan.Snapshot) []plan.Node {
	var out []plan.Node
	for _, g := range s.NodeGroups {
		zones := g.Zones
		if len(zones) == 0 {
			zones = zonesOf(s.Offers)
		}
		for i := range g.Desired {
			n := plan.Node{Name: fmt.Sprintf("%s-%d", g.Name, i), Pool: g.Name, Labels: maps.Clone(g.Labels), Taints: g.Taints, Initialized: true}
			n.Offering = catalog.Offering{Region: s.Region, Capacity: catalog.OnDemand}
			if len(g.Shapes) > 0 {
				n.Offering.Shape = &catalog.Shape{Name: g.Shapes[0]}
			}
			if len(zones) > 0 {
				n.Offering.Zone = zones[i%len(zones)]
			}
			if g.Spot {
				n.Offering.Capacity = catalog.Spot
			}
			out = append(out, n)
		}
	}
	return out
}

// offered finds the offer of a shape, in the node's zone if it can be had there.
func offered(offers []catalog.Offering, shape string, like catalog.Offering) (catalog.Offering, bool) {
	capacity := like.Capacity
	if capacity != catalog.Spot {
		capacity = catalog.OnDemand
	}
	found := catalog.Offering{}
	for _, o := range offers {
		if o.Shape.Name != shape || o.Capacity != capacity {
			continue
		}
		if o.Zone == like.Zone {
			return o, true
		}
		if found.Shape == nil {
			found = o
		}
	}
	if like.Zone != "" {
		found.Zone = like.Zone
	}
	return found, found.Shape != nil
}

// equip gives a node what its kubelet would report.
func equip(s *plan.Snapshot, n plan.Node) plan.Node {
	labels := n.Offering.Labels()
	maps.Copy(labels, n.Labels)
	if labels[workload.LabelHostname] == "" {
		labels[workload.LabelHostname] = n.Name
	}
	n.Labels = labels
	if n.Allocatable.Pods == 0 {
		n.Allocatable = n.Offering.Shape.Allocatable(s.Kubelet)
		n.Reserved = unit.Resources{}
		for i := range s.Daemons {
			if nodes.Refusal(&s.Daemons[i], labels, n.Taints) == "" {
				n.Reserved = n.Reserved.Plus(s.Daemons[i].Requests)
			}
		}
	}
	return n
}

func zonesOf(offers []catalog.Offering) []string {
	seen := map[string]bool{}
	for _, o := range offers {
		seen[o.Zone] = true
	}
	return slices.Sorted(maps.Keys(seen))
}
