package evloop

import "testing"

// TestWheel is a loop without a poller, whose time the test moves.
type TestWheel struct{ loop *Loop }

// NewTestWheel starts at an odd time.
func NewTestWheel() *TestWheel {
	l := &Loop{now: 12_345_678_901}
	l.wheel.at = l.now >> slotShift
	return &TestWheel{loop: l}
}

// Now is the time.
func (w *TestWheel) Now() int64 { return w.loop.now }

// After arms t.
func (w *TestWheel) After(delay int64, t *Timer) { w.loop.After(delay, t) }

// Advance lets time pass, and fires what is due.
func (w *TestWheel) Advance(step int64) {
	w.loop.now += step
	w.loop.wheel.fire(w.loop.now)
}

// CheckPatience compares how long the loop would sleep with the slots.
func (w *TestWheel) CheckPatience(t *testing.T) {
	t.Helper()
	got, now := w.loop.wheel.wait(w.loop.now), w.loop.now
	want := int64(-1)
	for n := w.loop.wheel.at + 1; n <= w.loop.wheel.at+slotCount; n++ {
		if w.loop.wheel.slots[n&slotMask] != nil {
			want = max(n<<slotShift-now, 0)
			break
		}
	}
	if got != want {
		t.Fatalf("patience is %d, not %d", got, want)
	}
}

// DropDeferred forgets what was deferred.
func (l *Loop) DropDeferred() { l.later = l.later[:0] }
