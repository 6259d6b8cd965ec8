package health

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	start := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	var s schedule
	if i, wait := s.next(start); i != nil || wait != idle {
		t.Errorf("empty: %v %v", i, wait)
	}
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]*item, 1000)
	for n := range all {
		all[n] = &item{due: start.Add(time.Duration(random.Int64N(int64(time.Minute))))}
		s.add(all[n])
		s.add(all[n]) // again: nothing
	}
	removed := map[*item]bool{}
	for _, n := range random.Perm(len(all))[:300] {
		s.remove(all[n])
		s.remove(all[n])
		removed[all[n]] = true
	}
	now, last, count := start, start, 0
	for {
		i, wait := s.next(now)
		if i == nil {
			if wait == idle {
				break
			}
			now = now.Add(wait)
			continue
		}
		if i.due.Before(last) || i.due.After(now) || removed[i] {
			t.Fatalf("due %v at %v after %v, removed %v", i.due, now, last, removed[i])
		}
		last = i.due
		count++
	}
	if count != 700 {
		t.Errorf("%d items, want 700", count)
	}
}
