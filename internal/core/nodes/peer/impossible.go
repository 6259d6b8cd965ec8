package peer

import (
	"cmp"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

func sellers(groups []*nodeGroup) []nodes.Machine {
	var out []nodes.Machine
	for _, g := range groups {
		out = append(out, nodes.Machine{
			From: "node group " + g.Name, Labels: g.labels, Taints: g.Taints, Free: g.allocatable.Minus(g.daemons), Ports: g.ports,
		})
	}
	return out
}

func (m *market) sellers() []nodes.Machine {
	var out []nodes.Machine
	for _, p := range m.pools {
		for _, t := range p.types {
			for _, o := range t.offers {
				out = append(out, nodes.Machine{
					From: "pool " + p.pool.Name, Labels: o.labels, Taints: p.pool.Taints, Free: t.allocatable.Minus(t.daemons), Ports: t.ports,
				})
			}
		}
	}
	return out
}

// impossible says why no seller takes a pod.
func impossible(g *workload.Group, left []nodes.Machine) string {
	if len(left) == 0 {
		return "no machine is for sale in any pool or node group"
	}
	return cmp.Or(nodes.Explain(g, left), "its constraints together leave no machine")
}
