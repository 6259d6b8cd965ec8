package balance

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
)

// event is a request's end in the simulation.
type event struct {
	at, begun int64
	p         Picked
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// simulate sends requests, Poisson at half of the capacity, to ten hosts with one
// queue each and exponential service times of 1 ms, of more for the first one, and
// returns the latencies after the first five seconds, sorted.
func simulate(policy connect.Policy, slower float64) []int64 {
	const hosts = 10
	s := Build(cluster(policy, hosts), nil, "")
	r := rand.New(rand.NewPCG(31, 32))
	free := map[*Host]int64{}
	service := map[*Host]float64{}
	capacity := 0.0
	for i := range hosts {
		service[s.Host(i)] = float64(ms)
		if i == 0 {
			service[s.Host(i)] *= slower
		}
		capacity += 1 / service[s.Host(i)]
	}
	var open events
	var latencies []int64
	answer := func(until int64) {
		for len(open) > 0 && open[0].at <= until {
			e := heap.Pop(&open).(event)
			s.Observe(e.at, e.p, &Outcome{Status: 200, Latency: time.Duration(e.at - e.begun)})
			e.p.Host.End()
			if e.begun > 5*second {
				latencies = append(latencies, e.at-e.begun)
			}
		}
	}
	for at := 0.0; at < float64(30*second); at += r.ExpFloat64() / capacity / 0.5 {
		now := int64(at)
		answer(now)
		p := s.Pick(now, &Choice{Random: r.Uint64()})
		p.Host.Begin()
		free[p.Host] = max(free[p.Host], now) + int64(r.ExpFloat64()*service[p.Host])
		heap.Push(&open, event{free[p.Host], now, p})
	}
	answer(math.MaxInt64)
	slices.Sort(latencies)
	return latencies
}

func percentile(sorted []int64, p int) time.Duration {
	return time.Duration(sorted[len(sorted)*p/100]).Round(10 * time.Microsecond)
}

// TestSlowHost holds what two choices on peak EWMA give at p99 when one host is a
// little slower, and when it is so slow that its tenth of the requests drowns it.
func TestSlowHost(t *testing.T) {
	for _, tt := range []struct {
		slower float64
		most   time.Duration // EWMA's p99
		times  float64       // round robin's p99, of EWMA's
	}{
		{1, 7 * time.Millisecond, 1},
		{1.7, 7 * time.Millisecond, 1.7},
		{10, 7 * time.Millisecond, 1000},
	} {
		p99 := map[connect.Policy]time.Duration{}
		for _, policy := range []connect.Policy{connect.PolicyRoundRobin, connect.PolicyRandom, connect.PolicyLeastRequest, connect.PolicyEWMA} {
			got := simulate(policy, tt.slower)
			p99[policy] = percentile(got, 99)
			t.Logf("one host %.1f times slower, policy %d: p50 %v, p90 %v, p99 %v", tt.slower, policy, percentile(got, 50), percentile(got, 90), p99[policy])
		}
		ewma := p99[connect.PolicyEWMA]
		if ewma > tt.most || float64(p99[connect.PolicyRoundRobin]) < tt.times*float64(ewma) {
			t.Errorf("%.1f times slower: p99 %v, want %v; round robin %v, want %.1f times as much", tt.slower, ewma, tt.most, p99[connect.PolicyRoundRobin], tt.times)
		}
		if tt.slower > 1 && ewma > p99[connect.PolicyLeastRequest] {
			t.Errorf("%.1f times slower: p99 %v, least request %v", tt.slower, ewma, p99[connect.PolicyLeastRequest])
		}
	}
}

// TestRace lets loops pick and fail while health changes and sets are replaced.
// What must hold at the end: no request is left, and the hosts come back.
func TestRace(t *testing.T) {
	c := zonal(connect.PolicyEWMA, 4, 8)
	c.HealthCheck, c.Outlier, c.Breaker.Adaptive = &connect.HealthCheck{}, &connect.Outlier{}, true
	sets := make([]*Set, 50)
	var old *Set
	for i := range sets {
		next := *c
		next.Balance.Policy = connect.Policy(i % 5)
		next.Endpoints = slices.Clone(c.Endpoints)
		next.Endpoints[i%12].Draining = i%2 == 0
		old = Build(&next, old, "a")
		sets[i] = old
	}
	var wg sync.WaitGroup
	for loop := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(loop)))
			for i := range 20_000 {
				s := sets[min(i/400+r.IntN(2), len(sets)-1)]
				now := int64(i) * ms
				p := s.Pick(now, &Choice{Random: r.Uint64(), Hash: r.Uint64(), HasHash: true})
				p.Host.Begin()
				o := Outcome{Status: 200, Latency: time.Duration(r.Int64N(10 * ms)), Random: r.Uint64()}
				if r.IntN(3) == 0 {
					o.Failure, o.Status = resilience.Failure(r.IntN(9)), 0
				}
				s.Observe(now, p, &o)
				p.Host.End()
				if r.IntN(10) == 0 {
					s.Host(r.IntN(12)).SetHealth(r.IntN(4) > 0, resilience.HealthPolicy{Healthy: 1, Unhealthy: 2})
				}
			}
		})
	}
	wg.Wait()
	s := sets[len(sets)-1]
	for i := range s.Len() {
		h := s.Host(i)
		if h.Outstanding() != 0 || uint32(h.load.Load()) != 0 {
			t.Errorf("%s: %d outstanding, load %x", h.Address(), h.Outstanding(), h.load.Load())
		}
		h.SetHealth(true, resilience.HealthPolicy{Healthy: 1, Unhealthy: 1})
	}
	r := rand.New(rand.NewPCG(1, 1))
	for now := 100 * second; now < 400*second; now += 100 * ms {
		request(s, now, Choice{Random: r.Uint64(), Hash: r.Uint64(), HasHash: true}, Outcome{Status: 200, Latency: time.Millisecond})
	}
	if eligible, present, all := s.Health(); eligible != present || all != 12 {
		t.Errorf("%d of %d are eligible in the end", eligible, present)
	}
}
