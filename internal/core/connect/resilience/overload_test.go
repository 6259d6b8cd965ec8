package resilience

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// loop simulates an event loop with one queue: requests come at random, wait for
// their turn, and are then refused for a twentieth of the work or answered.
type loop struct {
	rate     float64 // of capacity
	work     int64   // ns for an answer
	refusal  int64   // ns for a 503
	deadline int64   // ns after which the client is gone
	overload *Overload
}

type loopResult struct {
	goodput float64 // answers in time, of capacity
	refused float64 // of what came
	longest int64   // wait of an accepted request after the first two seconds
}

func (l loop) run(seconds int64) loopResult {
	r := rand.New(rand.NewPCG(11, 12))
	end, now := seconds*second, int64(0)
	arrival := float64(0)
	var good, came, refused, longest int64
	for arrival < float64(end) {
		arrival += r.ExpFloat64() * float64(l.work) / l.rate
		came++
		now = max(now, int64(arrival))
		wait := now - int64(arrival)
		if l.overload != nil {
			queue := int64(float64(wait) / float64(l.work) * l.rate)
			l.overload.Observe(now, wait, queue)
			if !l.overload.Admit(now, queue, r.Uint64()).OK {
				refused++
				now += l.refusal
				continue
			}
		}
		now += l.work
		if now > 2*second {
			longest = max(longest, wait)
		}
		if now-int64(arrival) <= l.deadline {
			good++
		}
	}
	return loopResult{
		goodput: float64(good*l.work) / float64(end),
		refused: float64(refused) / float64(came),
		longest: longest,
	}
}

// TestOverloadGoodput holds that at three times the capacity the loop answers
// nearly as many in time as refusing costs leave room for, where it answers almost
// none without shedding; and that nothing is refused below capacity.
func TestOverloadGoodput(t *testing.T) {
	l := loop{rate: 3, work: 100_000, refusal: 5_000, deadline: 100 * int64(time.Millisecond)}
	without := l.run(20)
	l.overload = NewOverload(OverloadPolicy{})
	with := l.run(20)
	// x answered and 3-x refused fill the time: x + (3-x)/20 = 1.
	best := (1 - 3*0.05) / 0.95
	t.Logf("goodput %.3f of capacity with shedding (at best %.3f), %.3f without; longest wait %v", with.goodput, best, without.goodput, time.Duration(with.longest))
	if without.goodput > 0.05 {
		t.Errorf("the simulation does not collapse: %+v", without)
	}
	if with.goodput < 0.97*best {
		t.Errorf("goodput %.3f, want 97 %% of %.3f", with.goodput, best)
	}
	if with.longest > 3*int64(20*time.Millisecond) {
		t.Errorf("an accepted request waited for %v", time.Duration(with.longest))
	}
	for _, rate := range []float64{0.3, 0.8, 0.95} {
		l := loop{rate: rate, work: 100_000, refusal: 5_000, deadline: math.MaxInt64, overload: NewOverload(OverloadPolicy{})}
		if got := l.run(20); got.refused > 0 {
			t.Errorf("%.2f of capacity: %.4f refused", rate, got.refused)
		}
	}
}

// feed reports the same lag every millisecond and returns the time after it.
func feed(o *Overload, now int64, d, lag time.Duration, inFlight int64) int64 {
	for range d.Milliseconds() {
		now += int64(time.Millisecond)
		o.Observe(now, int64(lag), inFlight)
	}
	return now
}

func TestOverloadHysteresis(t *testing.T) {
	o := NewOverload(OverloadPolicy{})
	now := feed(o, 0, time.Second, 19*time.Millisecond, 1)
	if o.Shedding() {
		t.Fatal("armed below the target")
	}
	// A burst: high delay with one good moment in each interval.
	for range 10 {
		now = feed(o, now, 150*time.Millisecond, time.Second, 1)
		now = feed(o, now, 50*time.Millisecond, 0, 1)
	}
	if o.Shedding() {
		t.Fatal("armed by bursts")
	}
	now = feed(o, now, 500*time.Millisecond, 21*time.Millisecond, 1)
	if !o.Shedding() || o.Admit(now, 1, 0).OK {
		t.Fatal("not armed by a standing delay")
	}
	now = feed(o, now, 2*time.Second, 9*time.Millisecond, 1)
	if !o.Shedding() || !o.Admit(now, 1, 0).OK {
		t.Error("below half of the target requests are let in, and it stays armed")
	}
	now = feed(o, now, 900*time.Millisecond, 0, 1)
	if !o.Shedding() {
		t.Error("disarmed too early")
	}
	now = feed(o, now, 400*time.Millisecond, 0, 1)
	if o.Shedding() {
		t.Error("still armed after a second of calm")
	}
	// A growing queue arms it at a quarter of the target.
	for i := range 10 {
		now = feed(o, now, 200*time.Millisecond, 6*time.Millisecond, 100<<i)
	}
	if !o.Shedding() {
		t.Error("not armed by a growing queue")
	}
}

func TestOverloadRetryAfter(t *testing.T) {
	o := NewOverload(OverloadPolicy{MaxInFlight: 10})
	if got := o.Admit(0, 10, 0); got.OK || !got.Full || got.RetryAfter != 1 {
		t.Errorf("full: %+v", got)
	}
	now := feed(o, 0, time.Second, 50*time.Millisecond, 1)
	for _, later := range []int64{0, 5, 100} {
		first, last := o.Admit(now+later*second, 1, 0), o.Admit(now+later*second, 1, math.MaxUint64)
		if first.OK || first.RetryAfter < 1 || last.RetryAfter > 20 || last.RetryAfter <= first.RetryAfter {
			t.Errorf("after %d s: %+v to %+v", later, first, last)
		}
	}
	if o.Refused() != 7 {
		t.Errorf("%d refused, want 7", o.Refused())
	}
}
