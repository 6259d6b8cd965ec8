package workload

import "slices"

// Canonical names the protocol, which is TCP unless said, and has "" for all
// addresses.
func (p HostPort) Canonical() HostPort {
	if p.Protocol == "" {
		p.Protocol = "TCP"
	}
	if p.IP == "0.0.0.0" || p.IP == "::" {
		p.IP = ""
	}
	return p
}

// Conflicts says whether two pods cannot take these ports on one node: one that
// is taken on all addresses leaves none to others.
func (p HostPort) Conflicts(o HostPort) bool {
	p, o = p.Canonical(), o.Canonical()
	return p.Port == o.Port && p.Protocol == o.Protocol && (p.IP == o.IP || p.IP == "" || o.IP == "")
}

// PortsConflict says whether any two of the ports conflict.
func PortsConflict(a, b []HostPort) bool {
	for _, p := range a {
		if slices.ContainsFunc(b, p.Conflicts) {
			return true
		}
	}
	return false
}
