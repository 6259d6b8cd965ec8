package sim

import (
	"maps"
	"strconv"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

func nodeName(i int) string { return "sim-" + strconv.Itoa(i) }

// machines makes what a fleet buys, without moments. Pods beyond what is
// missing are left out: a strategy that answers for more than it was asked must
// not run the same pod twice.
func (c *cluster) machines(f nodes.Fleet, missing []int) []*machine {
	var out []*machine
	for _, p := range f.Purchases {
		labels, taints := c.described(p)
		lot := p.Count
		if !c.st.PerPod {
			lot = 1
		}
		for left := p.Count; left > 0; left -= lot {
			m := &machine{
				offering: p.Offering, pool: p.Pool, labels: labels, taints: taints,
				allocatable: p.Allocatable, daemons: p.Daemons, count: min(lot, left), pods: make([]int, len(c.s.Demand)),
			}
			for _, b := range p.Pods {
				k := min(b.Count*m.count, missing[b.Group])
				if c.st.PerPod {
					m.count = min(m.count, k)
					k = b.Count * m.count
				}
				missing[b.Group] -= k
				m.pods[b.Group] += k / max(m.count, 1)
			}
			if !m.empty() {
				out = append(out, m)
			}
		}
	}
	return out
}

// described is what nodes of a purchase would carry.
func (c *cluster) described(p nodes.Purchase) (map[string]string, []workload.Taint) {
	for i := range c.s.Pools {
		if pool := &c.s.Pools[i]; pool.Name == p.Pool {
			if p.Labels != nil {
				return p.Labels, pool.Taints
			}
			return nodes.LabelsIn(pool, p.Offering), pool.Taints
		}
	}
	labels := p.Offering.Labels()
	for i := range c.s.NodeGroups {
		if g := &c.s.NodeGroups[i]; g.Name == p.Pool {
			maps.Copy(labels, g.Labels)
			return labels, g.Taints
		}
	}
	return labels, nil
}

// existing makes machines of the nodes of a snapshot, for a strategy that never
// changes them.
func (c *cluster) existing(want []int) []*machine {
	s := c.snapshot(0, want, false)
	s.Nodes = c.s.Nodes
	var out []*machine
	missing := append([]int(nil), want...)
	add := func(m *machine, pods []plan.Bound) {
		for _, b := range pods {
			k := min(b.Count, missing[b.Group])
			m.pods[b.Group] += k
			missing[b.Group] -= k
		}
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		m := &machine{
			offering: n.Offering, pool: n.Pool, labels: n.Labels, taints: n.Taints,
			allocatable: n.Allocatable, daemons: n.Reserved, count: 1, pods: make([]int, len(want)),
		}
		add(m, n.Pods)
		out = append(out, m)
	}
	for _, p := range c.st.Place(s).Placed {
		add(out[p.Node], p.Pods)
	}
	return out
}
