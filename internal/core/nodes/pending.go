package nodes

import (
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// impossible says why no offering takes a group.
func (c *compiler) impossible(g, n int) Pending {
	p := Pending{Group: g, Count: n, Code: NoOffering}
	if len(c.candidates) == 0 {
		p.Text = noCandidates(c.s)
		return p
	}
	group := &c.s.Demand[g]
	machines := make([]Machine, len(c.candidates))
	for i := range c.candidates {
		cand := &c.candidates[i]
		machines[i] = Machine{"pool " + cand.Pool.Name, cand.Labels, cand.Pool.Taints, cand.Free(), c.daemonPorts(group, cand)}
	}
	if p.Text = Explain(group, machines); p.Text != "" {
		return p
	}
	p.Text = "its constraints together leave no offering"
	if empty(c.admits(group)) {
		p.Text = "spot machines are too risky for pods that must not be disrupted, and no others are allowed"
	}
	return p
}

// daemonPorts are the ports that DaemonSets take on a node, when the group cares.
func (c *compiler) daemonPorts(g *workload.Group, cand *Candidate) []workload.HostPort {
	if len(g.HostPorts) == 0 {
		return nil
	}
	var out []workload.HostPort
	for d := range c.s.Daemons {
		if daemon := &c.s.Daemons[d]; Refusal(daemon, cand.Labels, cand.Pool.Taints) == "" {
			out = append(out, daemon.HostPorts...)
		}
	}
	return out
}

func noCandidates(s *plan.Snapshot) string {
	switch {
	case len(s.Offers) == 0:
		return "no offering is available"
	case len(s.Pools) == 0:
		return "no node pool allows nodes to be bought"
	}
	return "no offering meets the requirements of any node pool"
}
