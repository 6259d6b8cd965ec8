package balance

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
)

// cluster has n endpoints of a policy, 10.0.0.0 and so on.
func cluster(policy connect.Policy, n int) *connect.Cluster {
	c := &connect.Cluster{Name: "shop/cart", Balance: connect.Balance{Policy: policy}}
	for i := range n {
		c.Endpoints = append(c.Endpoints, connect.Endpoint{Address: fmt.Sprintf("10.0.%d.%d:80", i/256, i%256)})
	}
	return c
}

// request picks, and ends at once with an outcome.
func request(s *Set, now int64, c Choice, o Outcome) (Picked, resilience.Change) {
	p := s.Pick(now, &c)
	p.Host.Begin()
	change := s.Observe(now, p, &o)
	p.Host.End()
	return p, change
}

func failed(s *Set, h *Host, now int64) resilience.Change {
	h.Begin()
	defer h.End()
	return s.Observe(now, Picked{Host: h}, &Outcome{Failure: resilience.FailureConnect, Latency: time.Millisecond})
}

// eject lets a host fail until it is ejected.
func eject(t *testing.T, s *Set, h *Host, now int64) {
	t.Helper()
	for range 5 {
		failed(s, h, now)
	}
	if !h.Ejected() {
		t.Fatalf("%s is not ejected", h.Address())
	}
}

func TestBuildTakesOver(t *testing.T) {
	c := cluster(connect.PolicyEWMA, 3)
	first := Build(c, nil, "")
	if Build(c, first, "") != first {
		t.Error("an unchanged cluster must give the same set")
	}
	h := first.Host(1)
	h.Begin()
	failed(first, h, second)
	first.Breaker().AcquireRequest()
	first.Retries().Request(second)

	changed := *c
	changed.Endpoints = []connect.Endpoint{
		{Address: "10.0.0.9:80"},
		{Address: "10.0.0.1:80", Weight: 7, Draining: true},
	}
	next := Build(&changed, first, "")
	if next.Host(1) != h || next.Host(0) == first.Host(0) {
		t.Error("the host with the same address, and only it, must be taken over")
	}
	if h.Outstanding() != 1 || h.Endpoint().Weight != 7 {
		t.Errorf("outstanding %d, endpoint %+v", h.Outstanding(), h.Endpoint())
	}
	if requests, _ := next.Retries().Spent(second); requests != 1 || next.Breaker().Requests().Used() != 1 {
		t.Error("budget and gauges must be taken over")
	}
	if next.ByKey(h.Key()) != h {
		t.Error("sessions of a draining host must find it")
	}
	if next.ByKey(Key("10.0.0.0:80")) != nil {
		t.Error("a host that is gone must not be found")
	}
	if first.Host(0).Address() != "10.0.0.0:80" || first.Len() != 3 {
		t.Error("the old set changed")
	}
	h.End()
	if got := h.Stats(second); got.Outstanding != 0 || got.Requests != 2 || got.Failed != 1 || got.Endpoint.Weight != 7 {
		t.Errorf("stats %+v", got)
	}
}

func TestBuildDistinct(t *testing.T) {
	c := cluster(connect.PolicyRoundRobin, 0)
	c.Endpoints = []connect.Endpoint{
		{Address: "a", Draining: true},
		{Address: "b", Weight: 5},
		{Address: "a", Weight: 3},
		{Address: "b", Weight: 6},
		{Address: "b", Draining: true},
	}
	s := Build(c, nil, "")
	if s.Len() != 2 || s.members[0].weight != 3 || s.members[0].drain || s.members[1].weight != 5 {
		t.Errorf("%+v", s.members)
	}
}

func TestEmpty(t *testing.T) {
	for policy := connect.PolicyEWMA; policy <= connect.PolicyRandom; policy++ {
		s := Build(cluster(policy, 0), nil, "zone")
		if p := s.Pick(0, &Choice{HasHash: true}); p != (Picked{}) {
			t.Errorf("policy %d: %+v of none", policy, p)
		}
	}
}

// TestOrder holds which hosts are used when others cannot be.
func TestOrder(t *testing.T) {
	const ok, ill, ejected, drain, tried = 1, 2, 4, 8, 16
	for _, tt := range []struct {
		name  string
		hosts []int
		want  []int // the hosts that are picked, any of them
		is    Picked
	}{
		{"healthy only", []int{ok, ill, ok | drain, ok}, []int{0, 3}, Picked{}},
		{"not the ejected", []int{ok, ok | ejected, ok}, []int{0, 2}, Picked{}},
		{"not the tried", []int{ok, ok | tried, ok}, []int{0, 2}, Picked{}},
		{"one left", []int{ok | tried, ok | tried, ok, ill}, []int{2}, Picked{}},
		{"draining before tried", []int{ok | tried, ok | drain, ill}, []int{1}, Picked{Draining: true}},
		{"tried before ill", []int{ok | tried, ill, ok | ejected}, []int{0}, Picked{Again: true}},
		{"panic", []int{ill, ill, ok | drain}, []int{0, 1}, Picked{Panic: true}},
		{"panic, unknown", []int{0, 0, ok | drain}, []int{0, 1}, Picked{Panic: true}},
		{"panic, not the tried", []int{ill | tried, ill}, []int{1}, Picked{Panic: true}},
		{"panic, all tried", []int{ill | tried, ill | tried}, []int{0, 1}, Picked{Panic: true, Again: true}},
		{"panic, draining before tried", []int{ill | tried, ok | drain}, []int{1}, Picked{Panic: true, Draining: true}},
		{"draining only", []int{ok | drain, ok | drain, ill | drain}, []int{0, 1}, Picked{Draining: true}},
		{"ill and draining only", []int{ill | drain}, []int{0}, Picked{Draining: true}},
		{"draining and tried only", []int{ok | drain | tried}, []int{0}, Picked{Draining: true, Again: true}},
	} {
		for policy := connect.PolicyEWMA; policy <= connect.PolicyRandom; policy++ {
			t.Run(fmt.Sprint(tt.name, policy), func(t *testing.T) {
				c := cluster(policy, len(tt.hosts))
				c.HealthCheck, c.Outlier = &connect.HealthCheck{}, &connect.Outlier{MaxPercent: 100}
				for i, state := range tt.hosts {
					c.Endpoints[i].Draining = state&drain != 0
				}
				s := Build(c, nil, "")
				var avoid []*Host
				for i, state := range tt.hosts {
					h := s.Host(i)
					if state&(ok|ill) != 0 {
						h.SetHealth(state&ok != 0, resilience.HealthPolicy{Healthy: 1, Unhealthy: 1})
					}
					if state&tried != 0 {
						avoid = append(avoid, h)
					}
				}
				for i, state := range tt.hosts {
					if state&ejected != 0 {
						eject(t, s, s.Host(i), second)
					}
				}
				checkPicks(t, s, avoid, tt.want, tt.is)
			})
		}
	}
}

func checkPicks(t *testing.T, s *Set, avoid []*Host, want []int, is Picked) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[*Host]bool{}
	for range 200 {
		p := s.Pick(second, &Choice{Random: r.Uint64(), Hash: r.Uint64(), HasHash: true, Tried: avoid})
		seen[p.Host] = true
		p.Host = nil
		if p != is {
			t.Fatalf("got %+v, want %+v", p, is)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d hosts were used, want %v", len(seen), want)
	}
	for _, i := range want {
		if !seen[s.Host(i)] {
			t.Errorf("host %d was not used", i)
		}
	}
}

func TestProbe(t *testing.T) {
	for policy := connect.PolicyEWMA; policy <= connect.PolicyRandom; policy++ {
		c := cluster(policy, 3)
		c.Outlier = &connect.Outlier{}
		s := Build(c, nil, "")
		h := s.Host(1)
		eject(t, s, h, second)
		if s.ByKey(h.Key()) != nil {
			t.Error("a session must leave an ejected host")
		}
		r := rand.New(rand.NewPCG(1, uint64(policy)))
		probes := func(now int64) (list []Picked) {
			for range 200 {
				p := s.Pick(now, &Choice{Random: r.Uint64(), Hash: r.Uint64(), HasHash: true})
				if p.Probe {
					list = append(list, p)
				}
				if (p.Host == h) != p.Probe {
					t.Fatalf("policy %d: %+v", policy, p)
				}
			}
			return list
		}
		if n := len(probes(second + 999*ms)); n != 0 {
			t.Errorf("policy %d: %d probes before the time", policy, n)
		}
		first := probes(2 * second)
		if len(first) != 1 {
			t.Fatalf("policy %d: %d probes at once", policy, len(first))
		}
		s.Abandon(2*second, first[0])
		first = probes(2 * second)
		if len(first) != 1 {
			t.Fatalf("policy %d: %d probes after one was abandoned", policy, len(first))
		}
		h.Begin()
		s.Observe(2*second, first[0], &Outcome{Failure: resilience.FailureCancelled, Latency: time.Millisecond})
		first = probes(2 * second)
		if len(first) != 1 {
			t.Fatalf("policy %d: %d probes after a client left one", policy, len(first))
		}
		h.Begin()
		change := s.Observe(2*second, first[0], &Outcome{Status: 503, Latency: time.Millisecond})
		if change.Event != resilience.EventProbeFailed || change.For != 2*time.Second {
			t.Errorf("policy %d: %+v", policy, change)
		}
		if n := len(probes(4*second - 1)); n != 0 {
			t.Errorf("policy %d: %d probes before the second time", policy, n)
		}
		first = probes(4 * second)
		change = s.Observe(4*second, first[0], &Outcome{Status: 200, Latency: time.Millisecond})
		if change.Event != resilience.EventReadmitted || s.ByKey(h.Key()) != h {
			t.Errorf("policy %d: %+v", policy, change)
		}
	}
}

func TestFailuresAreNotFast(t *testing.T) {
	s := Build(cluster(connect.PolicyEWMA, 2), nil, "")
	r := rand.New(rand.NewPCG(1, 2))
	bad, toBad := s.Host(0), 0
	for i := range int64(10_000) {
		p := s.Pick(i*ms, &Choice{Random: r.Uint64()})
		p.Host.Begin()
		o := Outcome{Status: 200, Latency: 5 * time.Millisecond}
		if p.Host == bad {
			toBad++
			o = Outcome{Status: 503, Latency: 50 * time.Microsecond}
		}
		s.Observe(i*ms, p, &o)
		p.Host.End()
	}
	if toBad > 50 {
		t.Errorf("the host that fails at once got %d of 10,000", toBad)
	}
}

func TestNewHostGetsOneRequestAtFirst(t *testing.T) {
	c := cluster(connect.PolicyEWMA, 3)
	s := Build(c, nil, "")
	for _, h := range []*Host{s.Host(0), s.Host(1)} {
		h.Begin()
		s.Observe(second, Picked{Host: h}, &Outcome{Status: 200, Latency: time.Millisecond})
		h.End()
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		s.Pick(second, &Choice{Random: r.Uint64()}).Host.Begin()
	}
	if n := s.Host(2).Outstanding(); n != 1 {
		t.Errorf("%d requests to a host that has not answered yet", n)
	}
}
