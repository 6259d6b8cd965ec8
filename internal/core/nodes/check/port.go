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
			if (a.added || b.added) && samePort(a.port, b.port) && max(a.group, b.group) >= 0 {
				c.report(Port, m.name, max(a.group, b.group), "port %d/%s is taken twice", a.port.Port, protocol(a.port))
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

// samePort compares as the scheduler does: the address 0.0.0.0 is all
// addresses.
func samePort(a, b workload.HostPort) bool {
	return a.Port == b.Port && protocol(a) == protocol(b) && (address(a) == address(b) || address(a) == everywhere || address(b) == everywhere)
}

const everywhere = "0.0.0.0"

func address(p workload.HostPort) string {
	if p.IP == "" {
		return everywhere
	}
	return p.IP
}

func protocol(p workload.HostPort) string {
	if p.Protocol == "" {
		return "TCP"
	}
	return p.Protocol
}
