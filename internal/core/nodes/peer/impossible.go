package peer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// seller is a machine that can be had from a pool or node group.
type seller struct {
	name   string
	labels map[string]string
	taints []workload.Taint
	free   unit.Resources // beside DaemonSets
	ports  []workload.HostPort
}

func sellers(groups []*nodeGroup) []seller {
	var out []seller
	for _, g := range groups {
		out = append(out, seller{g.Name, g.labels, g.Taints, g.allocatable.Minus(g.daemons), g.ports})
	}
	return out
}

func (m *market) sellers() []seller {
	var out []seller
	for _, p := range m.pools {
		for _, t := range p.types {
			for _, o := range t.offers {
				out = append(out, seller{p.pool.Name, o.labels, p.pool.Taints, t.allocatable.Minus(t.daemons), t.ports})
			}
		}
	}
	return out
}

// impossible says why no seller takes a pod: constraints are applied one after
// the other, and the one that rules out the last seller is named.
func impossible(g *workload.Group, left []seller) string {
	if len(left) == 0 {
		return "no machine is for sale in any pool or node group"
	}
	last, left := left, keep(left, func(s seller) bool { _, kept := workload.Untolerated(g.Tolerations, s.taints); return !kept })
	if len(left) == 0 {
		t, _ := workload.Untolerated(g.Tolerations, last[0].taints)
		return fmt.Sprintf("the taint %s of %s is not tolerated", t.Key, last[0].name)
	}
	if len(g.Alternatives) == 1 {
		for _, k := range slices.Sorted(maps.Keys(g.Alternatives[0])) {
			r := g.Alternatives[0][k]
			left = keep(left, func(s seller) bool { v, ok := s.labels[k]; return r.Allows(v, ok) })
			if len(left) == 0 {
				return fmt.Sprintf("%s must be %s", k, r.String())
			}
		}
	}
	if left = keep(left, func(s seller) bool { return admits(g, s.labels, s.taints) }); len(left) == 0 {
		return "no machine meets any of the node affinity terms"
	}
	if left = keep(left, func(s seller) bool { return !clash(g.HostPorts, s.ports) }); len(left) == 0 {
		return "a host port is taken by a DaemonSet on every node"
	}
	return tooBig(g, left)
}

func keep(all []seller, meets func(seller) bool) []seller {
	return slices.DeleteFunc(slices.Clone(all), func(s seller) bool { return !meets(s) })
}

// tooBig names the resource that is short on the machines that have most of it.
func tooBig(g *workload.Group, left []seller) string {
	var most unit.Resources
	for _, s := range left {
		most = most.Max(s.free)
	}
	if short := g.Requests.Short(most); short != "" {
		return fmt.Sprintf("requests %s of %s, and the most that an allowed machine leaves is %s",
			amount(short, g.Requests.Get(short)), short, amount(short, most.Get(short)))
	}
	if !slices.ContainsFunc(left, func(s seller) bool { return fits(g.Requests, s.free) }) {
		return "no allowed machine has as much of everything as one pod requests"
	}
	return "its constraints together leave no machine"
}

func amount(resource string, n int64) string {
	switch resource {
	case "cpu":
		return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64)
	case "memory", "ephemeral-storage":
		return fmt.Sprintf("%.1f GiB", float64(n)/float64(unit.GiB))
	}
	return strconv.FormatInt(n, 10)
}
