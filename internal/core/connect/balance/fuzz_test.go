package balance

import (
	"slices"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
)

// FuzzPick compares what is picked with what the order of Pick's comment allows,
// worked out the slow way. Each byte is a host: ill, ejected, draining, tried,
// local, and three bits of weight.
func FuzzPick(f *testing.F) {
	f.Add(uint8(0), uint64(1), []byte{0, 1, 2, 4, 8, 16})
	f.Add(uint8(3), uint64(7), []byte{8, 8, 5, 255, 4})
	f.Add(uint8(1), uint64(7), []byte{32, 64, 128})
	f.Fuzz(func(t *testing.T, policy uint8, random uint64, hosts []byte) {
		hosts = hosts[:min(len(hosts), 40)]
		c := zonal(connect.Policy(policy%5), 0, len(hosts))
		c.HealthCheck, c.Outlier = &connect.HealthCheck{}, &connect.Outlier{MaxPercent: 100}
		for i, b := range hosts {
			c.Endpoints[i].Draining = b&4 != 0
			c.Endpoints[i].Weight = uint32(b >> 5)
			if b&16 != 0 {
				c.Endpoints[i].Zone = "a"
			}
		}
		s := Build(c, nil, "a")
		var tried []*Host
		for i, b := range hosts {
			h := s.Host(i)
			h.SetHealth(b&1 == 0, resilience.HealthPolicy{Healthy: 1, Unhealthy: 1})
			if b&8 != 0 {
				tried = append(tried, h)
			}
		}
		for i, b := range hosts {
			for range 5 * (b >> 1 & 1) {
				failed(s, s.Host(i), second)
			}
		}
		for n := range uint64(8) {
			x := mix(random + n)
			p := s.Pick(second, &Choice{Random: x, Hash: x, HasHash: n%2 == 0, Tried: tried})
			if want := allowed(s, tried); !slices.Contains(want, p.Host) && (len(want) > 0 || p.Host != nil) {
				t.Fatalf("picked %+v, allowed are %d of %d hosts", p, len(want), s.Len())
			}
			if p.Host != nil && p.Again != slices.Contains(tried, p.Host) {
				t.Fatalf("picked %+v, tried %v", p, slices.Contains(tried, p.Host))
			}
		}
	})
}

// allowed are the hosts that may be picked.
func allowed(s *Set, tried []*Host) []*Host {
	list := func(keep func(m *member) bool) (out []*Host) {
		for i := range s.members {
			if keep(&s.members[i]) {
				out = append(out, s.members[i].host)
			}
		}
		return out
	}
	untried := func(all []*Host) []*Host {
		return slices.DeleteFunc(slices.Clone(all), func(h *Host) bool { return slices.Contains(tried, h) })
	}
	works := func(m *member) bool { return m.host.Health() == resilience.HealthHealthy && !m.host.Ejected() }
	first := list(func(m *member) bool { return !m.drain && works(m) })
	if len(first) == 0 {
		first = list(func(m *member) bool { return !m.drain })
	}
	second := list(func(m *member) bool { return m.drain && works(m) })
	if len(second) == 0 {
		second = list(func(m *member) bool { return m.drain })
	}
	for _, tier := range [][]*Host{untried(first), untried(second), first, second} {
		if len(tier) > 0 {
			return tier
		}
	}
	return nil
}
