package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
)

// zonal has local endpoints in zone a and others in b and c.
func zonal(policy connect.Policy, local, other int) *connect.Cluster {
	c := cluster(policy, local+other)
	c.Balance.ZoneAware = true
	for i := range c.Endpoints {
		switch {
		case i < local:
			c.Endpoints[i].Zone = "a"
		case i%2 == 0:
			c.Endpoints[i].Zone = "b"
		default:
			c.Endpoints[i].Zone = "c"
		}
	}
	return c
}

func TestZoneShare(t *testing.T) {
	for _, tt := range []struct {
		name         string
		local, other int
		illLocal     int
		illOther     int
		spillAt      uint32
		want         float64
	}{
		{"all well", 10, 20, 0, 0, 0, 1},
		{"70 % are enough", 10, 20, 3, 0, 0, 1},
		{"60 % are not", 10, 20, 4, 0, 0, 6.0 / 7},
		{"10 %", 10, 20, 9, 0, 0, 1.0 / 7},
		{"none", 10, 20, 10, 0, 0, 0},
		{"spill at all", 10, 20, 1, 0, 100, 0.9},
		{"the others are worse", 10, 20, 5, 19, 0, 5.0 / 6},
		{"no other is well", 10, 20, 5, 20, 0, 1},
		{"no other zone", 10, 0, 5, 0, 0, 1},
		{"nobody is well", 10, 20, 10, 20, 0, 1.0 / 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := zonal(connect.PolicyRandom, tt.local, tt.other)
			c.HealthCheck, c.Balance.SpillAt = &connect.HealthCheck{}, tt.spillAt
			s := Build(c, nil, "a")
			for i := range s.Len() {
				ok := i >= tt.illLocal && (i < tt.local || i >= tt.local+tt.illOther)
				s.Host(i).SetHealth(ok, resilience.HealthPolicy{Healthy: 1, Unhealthy: 1})
			}
			local := 0
			const n = 50_000
			for h, k := range counts(s, n, rand.New(rand.NewPCG(1, 2))) {
				if h.Endpoint().Zone == "a" {
					local += k
				}
			}
			if got := float64(local) / n; math.Abs(got-tt.want) > 0.01 {
				t.Errorf("%.3f stay, want %.3f", got, tt.want)
			}
		})
	}
}

// TestZoneLoad holds for random clusters that no host elsewhere gets more than a
// local one of the same weight, that no ill host gets anything, and that the zone
// keeps all when enough of it is well.
func TestZoneLoad(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 21))
	for round := range 60 {
		c := zonal(connect.PolicyRoundRobin, 1+r.IntN(8), 1+r.IntN(16))
		c.HealthCheck, c.Balance.SpillAt = &connect.HealthCheck{}, uint32(r.IntN(101))
		for i := range c.Endpoints {
			c.Endpoints[i].Weight = uint32(1 + r.IntN(4))
		}
		s := Build(c, nil, "a")
		var localAll, localOK float64
		for i := range s.Len() {
			ok := r.IntN(3) > 0
			s.Host(i).SetHealth(ok, resilience.HealthPolicy{Healthy: 1, Unhealthy: 1})
			if s.members[i].local {
				localAll += float64(s.members[i].weight)
				if ok {
					localOK += float64(s.members[i].weight)
				}
			}
		}
		if eligible, _, _ := s.Health(); eligible == 0 {
			continue
		}
		const n = 40_000
		got := counts(s, n, r)
		each := func(local bool) (per float64) {
			weight, sum := 0.0, 0
			for i := range s.Len() {
				if m := &s.members[i]; m.local == local && s.eligible(m.host) {
					weight += float64(m.weight)
					sum += got[m.host]
				}
			}
			return float64(sum) / max(weight, 1)
		}
		for h, k := range got {
			if k > 0 && h.Health() != resilience.HealthHealthy {
				t.Fatalf("round %d: an ill host got %d", round, k)
			}
		}
		limit := float64(max(c.Balance.SpillAt, 1))
		if c.Balance.SpillAt == 0 {
			limit = spillAt
		}
		if localOK/localAll*100 >= limit && each(false) > 0 {
			t.Errorf("round %d: %.0f of %.0f are well, limit %.0f %%, and %.1f per host left", round, localOK, localAll, limit, each(false))
		}
		if localOK > 0 && each(false) > each(true)*1.05+40 {
			t.Errorf("round %d: %.1f per weight elsewhere, %.1f here", round, each(false), each(true))
		}
	}
}

// TestZoneSaturation has one local host of ten, which all of the load would
// overload. Latency follows the load of each host in the second before.
func TestZoneSaturation(t *testing.T) {
	for _, tt := range []struct {
		load     int // requests per second; a host takes 1,000
		min, max float64
	}{
		{400, 0.99, 1}, // it can take all of it
		{5000, 0.1, 0.25},
	} {
		t.Run(fmt.Sprint(tt.load), func(t *testing.T) {
			s := Build(zonal(connect.PolicyEWMA, 1, 9), nil, "a")
			r := rand.New(rand.NewPCG(1, 2))
			latency := map[*Host]time.Duration{}
			local, all := 0, 0
			for sec := range int64(120) {
				got := map[*Host]int{}
				for i := range int64(tt.load) {
					now := sec*second + i*second/int64(tt.load)
					p, _ := request(s, now, Choice{Random: r.Uint64()}, Outcome{Status: 200, Latency: time.Millisecond})
					// Again with what it took, now that the host is known.
					p.Host.Begin()
					s.Observe(now, p, &Outcome{Status: 200, Latency: latency[p.Host]})
					p.Host.End()
					got[p.Host]++
				}
				for i := range s.Len() {
					latency[s.Host(i)] = queueing(float64(got[s.Host(i)]) / 1000)
				}
				if sec >= 60 {
					all += tt.load
					local += got[s.Host(0)]
				}
			}
			share := float64(local) / float64(all)
			if share < tt.min || share > tt.max {
				t.Errorf("%.3f stay, want %.2f to %.2f", share, tt.min, tt.max)
			}
			if math.Abs(s.LocalShare()-share) > 0.2 {
				t.Errorf("the local share is said to be %.3f, and is %.3f", s.LocalShare(), share)
			}
		})
	}
}

// queueing is the time in an M/M/1 queue with 1 ms of service, at most 1 s.
func queueing(utilization float64) time.Duration {
	if utilization >= 0.999 {
		return time.Second
	}
	return time.Duration(float64(time.Millisecond) / (1 - utilization))
}

func TestZoneOff(t *testing.T) {
	for name, zone := range map[string]string{"unknown zone": "", "no host there": "d"} {
		s := Build(zonal(connect.PolicyRandom, 1, 9), nil, zone)
		if got := counts(s, 10_000, rand.New(rand.NewPCG(1, 1)))[s.Host(0)]; got < 800 || got > 1200 {
			t.Errorf("%s: host 0 has %d of 10,000", name, got)
		}
		if s.LocalShare() != 1 {
			t.Errorf("%s: local share %v", name, s.LocalShare())
		}
	}
}
