package evloop_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
)

// slots is the accuracy that After promises, in nanoseconds.
const slots = 2 << 22

// TestTimersModel arms, moves and stops timers at random, also from timers, and
// compares with a list of what must fire when.
func TestTimersModel(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	w := evloop.NewTestWheel()
	type model struct {
		timer    evloop.Timer
		deadline int64 // -1: not armed
	}
	all := make([]model, 200)
	var fired []int
	for i := range all {
		all[i].deadline = -1
		all[i].timer.Func = func() {
			fired = append(fired, i)
			if d := all[i].deadline; d < 0 || d > w.Now() || all[i].timer.Armed() {
				t.Fatalf("seed %d: timer %d for %d fired at %d", seed, i, d, w.Now())
			}
			all[i].deadline = -1
			other := r.IntN(len(all))
			switch r.IntN(4) {
			case 0:
				delay := r.Int64N(3 * slots)
				w.After(delay, &all[other].timer)
				all[other].deadline = w.Now() + delay
			case 1:
				all[other].timer.Stop()
				all[other].deadline = -1
			case 2:
				w.After(0, &all[i].timer)
				all[i].deadline = w.Now()
			}
		}
	}
	steps := []int64{1, 1 << 20, 1 << 22, 5 << 22, 1024 << 22, 1025 << 22, 5000 << 22}
	delays := []int64{1, slots, 100 * slots, 1023 << 22, 1024 << 22, 10_000 << 22}
	for range 20_000 {
		m := &all[r.IntN(len(all))]
		if r.IntN(4) == 0 {
			m.timer.Stop()
			m.deadline = -1
		} else {
			delay := r.Int64N(delays[r.IntN(len(delays))])
			w.After(delay, &m.timer)
			m.deadline = w.Now() + delay
		}
		step := r.Int64N(steps[r.IntN(len(steps))])
		if r.IntN(50) != 0 {
			step = min(step, slots)
		}
		before := len(fired)
		w.Advance(step)
		if n := len(fired) - before; n > 10*len(all) {
			t.Fatalf("seed %d: %d timers fired in one turn", seed, n)
		}
		for i := range all {
			m := &all[i]
			if m.deadline >= 0 != m.timer.Armed() {
				t.Fatalf("seed %d: timer %d: armed %v, deadline %d", seed, i, m.timer.Armed(), m.deadline)
			}
			if m.deadline >= 0 && m.deadline+slots < w.Now() {
				t.Fatalf("seed %d: timer %d for %d has not fired at %d", seed, i, m.deadline, w.Now())
			}
		}
		w.CheckPatience(t)
	}
}

// TestTimerRearmsItselfAfterStandstill: a loop that stood still for more than a
// turn of the wheel must not fire the same timer for ever.
func TestTimerRearmsItselfAfterStandstill(t *testing.T) {
	for _, still := range []int64{1023, 1024, 1025, 3000} {
		w := evloop.NewTestWheel()
		fired := 0
		var timer evloop.Timer
		timer.Func = func() {
			if fired++; fired < 100 {
				w.After(0, &timer)
			}
		}
		w.After(0, &timer)
		w.Advance(still << 22)
		if fired != 1 {
			t.Errorf("still for %d slots: fired %d times", still, fired)
		}
	}
}

func TestTimerAccuracy(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			delays := []time.Duration{0, time.Millisecond, 10 * time.Millisecond, 33 * time.Millisecond, 150 * time.Millisecond}
			late := make(chan time.Duration, len(delays))
			evlooptest.On(t, l, func() {
				var far evloop.Timer
				far.Func = func() { t.Error("the far timer fired") }
				l.After(math.MaxInt64, &far)
				for _, delay := range delays {
					begun := time.Now()
					l.After(int64(delay), &evloop.Timer{Func: func() { late <- time.Since(begun) - delay }})
				}
			})
			var all []time.Duration
			for range delays {
				all = append(all, evlooptest.Wait(t, "a timer", late))
			}
			// Early is a fault: by how much the turn began before begun is the exception.
			slices.Sort(all)
			if all[0] < -5*time.Millisecond || all[len(all)/2] > 30*time.Millisecond {
				t.Errorf("late by %v", all)
			}
		})
	}
}
