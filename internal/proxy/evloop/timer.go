package evloop

import "math/bits"

const (
	// A slot is 4 ms wide (2^22 ns): the accuracy of time-outs. A timer that is
	// further away than all slots stays in its slot for another turn.
	slotShift = 22
	slotCount = 1024
	slotMask  = slotCount - 1
	// maxDelay keeps a deadline from overflowing: 73 years.
	maxDelay = 1 << 61
)

// Timer calls Func once on its loop when its time has come. The zero value with
// Func set is ready. Arming it allocates nothing.
type Timer struct {
	Func       func()
	loop       *Loop
	next, prev *Timer
	deadline   int64
	slot       int
}

// Armed says that the timer will fire.
func (t *Timer) Armed() bool { return t.loop != nil }

// Stop disarms the timer.
func (t *Timer) Stop() {
	if t.loop != nil {
		t.loop.wheel.remove(t)
	}
}

// After arms t to fire in delay nanoseconds, or later by up to two slots. An
// armed timer is moved.
func (l *Loop) After(delay int64, t *Timer) {
	t.Stop()
	t.loop = l
	t.deadline = l.now + min(max(delay, 0), maxDelay)
	l.wheel.add(t)
}

// wheel is a hashed timing wheel (Varghese and Lauck, scheme 6).
type wheel struct {
	slots [slotCount]*Timer
	used  [slotCount / 64]uint64
	// at is the number of the slot, not reduced, up to which all has fired.
	at    int64
	count int
}

func (w *wheel) add(t *Timer) {
	// Rounded up, and never into a slot that has fired in this turn.
	t.slot = int(max(t.deadline>>slotShift+1, w.at+1) & slotMask)
	head := w.slots[t.slot]
	t.prev, t.next = nil, head
	if head != nil {
		head.prev = t
	}
	w.slots[t.slot] = t
	w.used[t.slot/64] |= 1 << (t.slot % 64)
	w.count++
}

func (w *wheel) remove(t *Timer) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.slots[t.slot] = t.next
		if t.next == nil {
			w.used[t.slot/64] &^= 1 << (t.slot % 64)
		}
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev, t.loop = nil, nil, nil
	w.count--
}

// fire runs what is due at now.
func (w *wheel) fire(now int64) {
	last := now >> slotShift
	if w.count == 0 || last-w.at >= slotCount {
		// Nothing, or a whole turn: every slot once is enough.
		w.at = max(w.at, last-slotCount)
	}
	for w.at < last && w.count > 0 {
		w.at++
		w.fireSlot(int(w.at&slotMask), last)
	}
	w.at = max(w.at, last)
}

// fireSlot compares slot numbers and not times: what Func arms now lies after
// last, even when a loop that stood still for a whole turn visits that slot.
func (w *wheel) fireSlot(slot int, last int64) {
	for {
		// From the start again after each: Func may stop or arm any timer.
		t := w.slots[slot]
		for t != nil && t.deadline>>slotShift >= last {
			t = t.next
		}
		if t == nil {
			return
		}
		w.remove(t)
		t.Func()
	}
}

// wait is how many nanoseconds from now the next slot in use is due; negative
// when there is none.
func (w *wheel) wait(now int64) int64 {
	if w.count == 0 {
		return -1
	}
	from := w.at + 1
	for offset := int64(0); offset < slotCount; {
		slot := int((from + offset) & slotMask)
		word := w.used[slot/64] >> (slot % 64)
		if word == 0 {
			offset += int64(64 - slot%64)
			continue
		}
		due := (from + offset + int64(bits.TrailingZeros64(word))) << slotShift
		return max(due-now, 0)
	}
	return slotCount << slotShift
}
