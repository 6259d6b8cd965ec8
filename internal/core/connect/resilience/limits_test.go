package resilience

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

func TestBreaker(t *testing.T) {
	b := NewBreaker(connect.Breaker{MaxRequests: 2, MaxPending: 1, MaxConnections: 3}, nil)
	for i, want := range []bool{true, true, false} {
		if got := b.AcquireRequest(); got != want {
			t.Errorf("request %d: %v", i, got)
		}
	}
	if !b.AcquirePending() || b.AcquirePending() {
		t.Error("one may wait")
	}
	// A new limit counts what is there already.
	b = NewBreaker(connect.Breaker{MaxRequests: 3}, b)
	if !b.AcquireRequest() || b.AcquireRequest() || b.Requests().Used() != 3 || b.Requests().Refused() != 2 {
		t.Errorf("after the change: %d used, %d refused", b.Requests().Used(), b.Requests().Refused())
	}
	b.ReleaseRequest()
	b.ReleasePending()
	if !b.AcquireRequest() || b.Pending().Used() != 0 {
		t.Error("what was given back must be free")
	}
	unlimited := NewBreaker(connect.Breaker{}, nil)
	for range 5000 {
		if !unlimited.AcquireRequest() {
			t.Fatal("there is no limit of requests by default")
		}
	}
	var host Gauge
	for range 1024 {
		if !unlimited.AcquireConnection(&host) {
			t.Fatal("1,024 connections are allowed by default")
		}
	}
	if unlimited.AcquireConnection(&host) {
		t.Error("and no more")
	}
}

func TestGaugeUnderRace(t *testing.T) {
	var g Gauge
	var most atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20000 {
				if !g.Acquire(3) {
					continue
				}
				if n := g.Used(); n > most.Load() {
					most.Store(n)
				}
				g.Release()
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 || g.Used() != 0 {
		t.Errorf("at most %d at once, %d left", most.Load(), g.Used())
	}
}

func TestRetryBudget(t *testing.T) {
	b := NewRetryBudget(0, nil)
	withdraw := func(now int64) (n int) {
		for b.Withdraw(now) {
			n++
		}
		return n
	}
	if got := withdraw(0); got != 30 {
		t.Errorf("without requests: %d retries, want 3 per second", got)
	}
	for range 1000 {
		b.Request(5 * second)
	}
	b = NewRetryBudget(20, b)
	if got := withdraw(5 * second); got != 200 {
		t.Errorf("after 1,000 requests: %d more, want 200", got)
	}
	if got := withdraw(9 * second); got != 0 {
		t.Errorf("within the window: %d more", got)
	}
	if got := withdraw(10 * second); got != 30 {
		t.Errorf("when the first 30 are 10 s old: %d, want 30", got)
	}
	if got := withdraw(15 * second); got != 0 {
		t.Errorf("requests and retries are gone, 30 of them are left: %d more", got)
	}
	if got := withdraw(1000 * second); got != 30 {
		t.Errorf("much later: %d, want 30", got)
	}
	if b.Refused() != 6 {
		t.Errorf("%d refused", b.Refused())
	}
}

// TestRetryBudgetShare holds the share over a long random run.
func TestRetryBudgetShare(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	b := NewRetryBudget(20, nil)
	requests, retries := 0, 0
	now := int64(0)
	for range 200_000 {
		now += r.Int64N(second / 500)
		b.Request(now)
		requests++
		for b.Withdraw(now) {
			retries++
		}
	}
	seconds := float64(now) / float64(second)
	share := (float64(retries) - 3*seconds) / float64(requests)
	if share < 0.18 || share > 0.22 {
		t.Errorf("retries beyond the floor are %.3f of the requests", share)
	}
}

func TestLimitsAllocateNothing(t *testing.T) {
	budget := NewRetryBudget(20, nil)
	breaker, overload := NewBreaker(connect.Breaker{}, nil), NewOverload(OverloadPolicy{})
	policy := NewRetryPolicy(&connect.Retry{Codes: []int{503}})
	var a Adaptive
	now := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += int64(time.Millisecond)
		budget.Request(now)
		budget.Withdraw(now)
		if breaker.AcquireRequest() {
			breaker.ReleaseRequest()
		}
		if a.Acquire() {
			a.Observe(now, time.Millisecond, false)
			a.Release()
		}
		overload.Observe(now, 1, 1)
		overload.Admit(now, 1, 1)
		policy.Decide(Attempt{Status: 503, Method: "GET", Replayable: true, Number: 1})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRetryBudgetRequest(b *testing.B) {
	budget := NewRetryBudget(20, nil)
	now := int64(0)
	for b.Loop() {
		now += 1000
		budget.Request(now)
	}
}

func BenchmarkAdaptive(b *testing.B) {
	var a Adaptive
	now := int64(0)
	for b.Loop() {
		now += 1000
		if a.Acquire() {
			a.Observe(now, time.Millisecond, false)
			a.Release()
		}
	}
}

func BenchmarkOverload(b *testing.B) {
	o := NewOverload(OverloadPolicy{})
	now := int64(0)
	for b.Loop() {
		now += 1000
		o.Observe(now, 100, 10)
		o.Admit(now, 10, 1)
	}
}
