package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// counts is how many of n picks each host gets.
func counts(s *Set, n int, r *rand.Rand) map[*Host]int {
	got := map[*Host]int{}
	for range n {
		got[s.Pick(second, &Choice{Random: r.Uint64()}).Host]++
	}
	return got
}

// TestRoundRobinWeights holds that each host has its share within two turns, in
// every row of picks and for any weights.
func TestRoundRobinWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for round := range 50 {
		c := cluster(connect.PolicyRoundRobin, 1+r.IntN(20))
		total := 0.0
		for i := range c.Endpoints {
			c.Endpoints[i].Weight = uint32(r.IntN(1 << r.IntN(20)))
			if round%5 == 0 {
				c.Endpoints[i].Weight = 9
			}
			total += float64(max(c.Endpoints[i].Weight, 1))
		}
		s := Build(c, nil, "")
		s.shared.turns[0].Store(r.Uint64N(1 << 40))
		got := map[*Host]int{}
		for n := 1; n <= 2000; n++ {
			got[s.Pick(0, &Choice{}).Host]++
			if n%97 != 0 {
				continue
			}
			for i := range s.members {
				want := float64(n) * float64(s.members[i].weight) / total
				if d := math.Abs(float64(got[s.Host(i)]) - want); d > 4 || (d > 1 && round%5 == 0) {
					t.Fatalf("%d picks, weight %d of %.0f: %d, want %.1f", n, s.members[i].weight, total, got[s.Host(i)], want)
				}
			}
		}
	}
}

func TestRoundRobinSkipsTried(t *testing.T) {
	s := Build(cluster(connect.PolicyRoundRobin, 4), nil, "")
	avoid := []*Host{s.Host(1), s.Host(2)}
	for range 100 {
		if h := s.Pick(0, &Choice{Tried: avoid}).Host; h == avoid[0] || h == avoid[1] {
			t.Fatal("a tried host")
		}
	}
}

func TestWeights(t *testing.T) {
	for _, policy := range []connect.Policy{connect.PolicyRandom, connect.PolicyLeastRequest, connect.PolicyEWMA, connect.PolicyRingHash} {
		c := cluster(policy, 4)
		for i, w := range []uint32{1, 2, 3, 10} {
			c.Endpoints[i].Weight = w
		}
		s := Build(c, nil, "")
		r := rand.New(rand.NewPCG(2, uint64(policy)))
		got := map[*Host]int{}
		var open []*Host
		const n = 40_000
		for i := range int64(n) {
			p := s.Pick(i*ms, &Choice{Random: r.Uint64()})
			got[p.Host]++
			p.Host.Begin()
			s.Observe(i*ms, p, &Outcome{Status: 200, Latency: time.Millisecond})
			// 160 requests at once, which end in any order.
			if open = append(open, p.Host); len(open) > 160 {
				k := r.IntN(len(open))
				open[k].End()
				open = slices.Delete(open, k, k+1)
			}
		}
		for i := range s.members {
			want := n * float64(s.members[i].weight) / 16
			if !near(float64(got[s.Host(i)]), want, 0.1) {
				t.Errorf("policy %d, weight %d: %d, want %.0f", policy, s.members[i].weight, got[s.Host(i)], want)
			}
		}
	}
}

// TestTwoIsFair holds that every pair can be drawn, each as often as any other.
func TestTwoIsFair(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for _, weights := range [][]uint32{{1, 1, 1, 1, 1}, {1, 1, 1, 2, 3}} {
		c := cluster(connect.PolicyEWMA, 5)
		for i, w := range weights {
			c.Endpoints[i].Weight = w
		}
		g := &Build(c, nil, "").view.Load().near
		pairs := map[[2]int]int{}
		first := make([]float64, 5)
		const n = 200_000
		for range n {
			i, j := g.two(r.Uint64())
			if i == j || i < 0 || j < 0 || i > 4 || j > 4 {
				t.Fatalf("drew %d and %d", i, j)
			}
			pairs[[2]int{i, j}]++
			first[i]++
		}
		for i := range 5 {
			if !near(first[i]/n, float64(weights[i])/float64(g.total), 0.03) {
				t.Errorf("weights %v: host %d is first in %.3f", weights, i, first[i]/n)
			}
			for j := range 5 {
				want := float64(weights[i]) / float64(g.total) * float64(weights[j]) / float64(g.total-uint64(weights[i]))
				if i != j && !near(float64(pairs[[2]int{i, j}])/n, want, 0.06) {
					t.Errorf("weights %v: pair %d, %d in %.4f, want %.4f", weights, i, j, float64(pairs[[2]int{i, j}])/n, want)
				}
			}
		}
	}
}

// owners maps keys to addresses.
func owners(s *Set, keys int) []string {
	list := make([]string, keys)
	for k := range list {
		list[k] = s.Pick(second, &Choice{Hash: mix(uint64(k)), HasHash: true}).Host.Address()
	}
	return list
}

func moved(a, b []string, from string) (all, others int) {
	for i := range a {
		if a[i] != b[i] {
			all++
			if a[i] != from && b[i] != from {
				others++
			}
		}
	}
	return all, others
}

func TestRingMovesFewKeys(t *testing.T) {
	const keys = 20_000
	for _, n := range []int{2, 5, 20, 200} {
		full := cluster(connect.PolicyRingHash, n)
		s := Build(full, nil, "")
		before := owners(s, keys)
		load := map[string]int{}
		for _, a := range before {
			load[a]++
		}
		for a, got := range load {
			if n <= 20 && !near(float64(got), keys/float64(n), 0.4) {
				t.Errorf("%d hosts: %s has %d keys, want about %d", n, a, got, keys/n)
			}
		}
		less := *full
		less.Endpoints = slices.Clone(full.Endpoints[1:])
		gone := full.Endpoints[0].Address
		// What comes back finds its place again, in whatever order it is listed.
		slices.Reverse(full.Endpoints)
		if all, _ := moved(before, owners(Build(full, nil, ""), keys), ""); all != 0 {
			t.Errorf("%d hosts: the order of endpoints moved %d keys", n, all)
		}
		all, others := moved(before, owners(Build(&less, s, ""), keys), gone)
		if others != 0 {
			t.Errorf("%d hosts: %d keys of others moved when one left", n, others)
		}
		if float64(all) > 1.6*keys/float64(n) {
			t.Errorf("%d hosts: %d keys moved when one left, want about %d", n, all, keys/n)
		}
	}
}

func TestRingEjection(t *testing.T) {
	c := cluster(connect.PolicyRingHash, 10)
	c.Outlier = &connect.Outlier{}
	s := Build(c, nil, "")
	before := owners(s, 5000)
	eject(t, s, s.Host(3), second)
	if _, others := moved(before, owners(s, 5000), s.Host(3).Address()); others != 0 {
		t.Errorf("an ejection moved %d keys of others", others)
	}
}

func TestRingBound(t *testing.T) {
	s := Build(cluster(connect.PolicyRingHash, 10), nil, "")
	r := rand.New(rand.NewPCG(8, 8))
	for i := range int64(1000) {
		// Half of the requests are for one key.
		hash := r.Uint64()
		if i%2 == 0 {
			hash = 42
		}
		s.Pick(0, &Choice{Hash: hash, HasHash: true, Bound: 125, InFlight: i}).Host.Begin()
	}
	for i := range s.Len() {
		if n := s.Host(i).Outstanding(); n > 126 {
			t.Errorf("host %d has %d of 1,000, want at most 125", i, n)
		}
	}
}

func TestKeyIsStable(t *testing.T) {
	// Cookies hold it: a change would end all sessions.
	if got := Key("10.0.0.1:80"); got != 0xdf1d561fbd00135a {
		t.Errorf("Key is %#x", got)
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for policy := connect.PolicyEWMA; policy <= connect.PolicyRandom; policy++ {
		c := zonal(policy, 50, 50)
		c.Outlier, c.Breaker.Adaptive = &connect.Outlier{}, true
		s := Build(c, nil, "a")
		r := rand.New(rand.NewPCG(1, 1))
		tried := []*Host{s.Host(0), s.Host(1)}
		now := int64(0)
		if n := testing.AllocsPerRun(1000, func() {
			now += ms
			choice := Choice{Random: r.Uint64(), Hash: r.Uint64(), HasHash: true, Tried: tried}
			p := s.Pick(now, &choice)
			p.Host.Begin()
			s.Observe(now, p, &Outcome{Status: 200, Latency: time.Millisecond})
			p.Host.End()
		}); n != 0 {
			t.Errorf("policy %d: %v allocations", policy, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, tt := range []struct {
		name   string
		policy connect.Policy
	}{
		{"ewma", connect.PolicyEWMA},
		{"least", connect.PolicyLeastRequest},
		{"roundrobin", connect.PolicyRoundRobin},
		{"ring", connect.PolicyRingHash},
		{"random", connect.PolicyRandom},
	} {
		for _, n := range []int{3, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", tt.name, n), func(b *testing.B) {
				s := Build(cluster(tt.policy, n), nil, "")
				for i := range n {
					s.Host(i).Begin()
					s.Observe(second, Picked{Host: s.Host(i)}, &Outcome{Status: 200, Latency: time.Millisecond})
					s.Host(i).End()
				}
				x, now := uint64(1), second
				b.ReportAllocs()
				for b.Loop() {
					x = x*6364136223846793005 + 1442695040888963407
					now += 1000
					s.Pick(now, &Choice{Random: x, Hash: x, HasHash: true})
				}
			})
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	c := cluster(connect.PolicyEWMA, 100)
	c.Outlier = &connect.Outlier{}
	s := Build(c, nil, "")
	x, now := uint64(1), second
	b.ReportAllocs()
	for b.Loop() {
		x = x*6364136223846793005 + 1442695040888963407
		now += 1000
		p := s.Pick(now, &Choice{Random: x})
		p.Host.Begin()
		s.Observe(now, p, &Outcome{Status: 200, Latency: time.Millisecond})
		p.Host.End()
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, policy := range []connect.Policy{connect.PolicyEWMA, connect.PolicyRingHash} {
		b.Run(fmt.Sprintf("%d/1000", policy), func(b *testing.B) {
			c := cluster(policy, 1000)
			old := Build(c, nil, "")
			b.ReportAllocs()
			for b.Loop() {
				next := *c
				old = Build(&next, old, "")
			}
		})
	}
}

func BenchmarkSort(b *testing.B) {
	s := Build(cluster(connect.PolicyEWMA, 1000), nil, "")
	b.ReportAllocs()
	for b.Loop() {
		s.shared.changes.Add(1)
		s.current()
	}
}
