package check

import (
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// claim is a port that pods of a group take on a node; group is -1 for a
// DaemonSet.
type claim struct {
	port  workload.HostPort
	group int
	added bool
}

// ports holds that no two pods on a node take the same port, unless both were
// there before.
func (c *checker) ports(m *machine) {
	claims := c.claims(m)
	for i, a := range claims {
		for _, b := range claims[:i] {
			if (a.added || b.added) && a.port.Conflicts(b.port) && max(a.group, b.group) >= 0 {
				c.report(Port, m.name, max(a.group, b.group), "port %d/%s is taken twice", a.port.Port, a.port.Canonical().Protocol)
				return
			}
		}
	}
}

// claims lists the ports that are taken on a node. Two pods of a group already
// conflict, so that is how many of each are looked at.
func (c *checker) claims(m *machine) []claim {
	var out []claim
	for i := range c.s.Daemons {
		d := &c.s.Daemons[i]
		if len(d.HostPorts) > 0 && runs(d, m.labels, m.taints) {
			for _, p := range d.HostPorts {
				out = append(out, claim{p, -1, m.purchase})
			}
		}
	}
	for _, r := range m.pods {
		for _, p := range c.s.Demand[r.group].HostPorts {
			for i := range min(r.bound, 2) + min(r.added, 2) {
				out = append(out, claim{p, r.group, i >= min(r.bound, 2)})
			}
		}
	}
	return out
}
