package workload_test

import (
	"testing"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

func TestPortsConflict(t *testing.T) {
	port := func(ip, protocol string, n int32) workload.HostPort {
		return workload.HostPort{IP: ip, Protocol: protocol, Port: n}
	}
	for _, c := range []struct {
		name string
		a, b workload.HostPort
		want bool
	}{
		{"the same", port("", "TCP", 80), port("", "TCP", 80), true},
		{"TCP unless said", port("", "", 80), port("", "TCP", 80), true},
		{"another port", port("", "TCP", 80), port("", "TCP", 81), false},
		{"another protocol", port("", "TCP", 53), port("", "UDP", 53), false},
		{"two addresses", port("10.0.0.1", "TCP", 80), port("10.0.0.2", "TCP", 80), false},
		{"one address", port("10.0.0.1", "TCP", 80), port("10.0.0.1", "TCP", 80), true},
		{"all of IPv4 and one", port("0.0.0.0", "TCP", 80), port("10.0.0.2", "TCP", 80), true},
		{"all of IPv6 and all", port("::", "TCP", 80), port("", "TCP", 80), true},
	} {
		if got := workload.PortsConflict([]workload.HostPort{c.a}, []workload.HostPort{c.b}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.b.Conflicts(c.a) != c.want {
			t.Errorf("%s: depends on the order", c.name)
		}
	}
}
