package resilience

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"
)

// server simulates a host with workers and a queue behind an adaptive limit. What
// the limit refuses is gone.
type server struct {
	workers int
	service time.Duration
	rate    float64 // of capacity
	random  *rand.Rand
}

type serverResult struct {
	done    float64       // of capacity, after the first fifth
	mean    time.Duration // of the last tenth
	limit   int64
	refused int
}

// ends are times at which requests are answered.
type ends [][2]int64

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i][0] < e[j][0] }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(x any)        { *e = append(*e, x.([2]int64)) }
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (s server) run(a *Adaptive, during time.Duration) serverResult {
	free := make([]int64, s.workers) // when each worker is free again
	var open ends
	var out serverResult
	gap := float64(s.service) / float64(s.workers) / s.rate
	var done, lateSum, late int64
	for at := float64(0); at < float64(during); at += s.random.ExpFloat64() * gap {
		now := int64(at)
		for len(open) > 0 && open[0][0] <= now {
			e := heap.Pop(&open).([2]int64)
			a.Observe(e[0], time.Duration(e[0]-e[1]), false)
			a.Release()
			if e[0] > int64(during)/5 {
				done++
			}
			if e[0] > int64(during)/10*9 {
				late++
				lateSum += e[0] - e[1]
			}
		}
		if !a.Acquire() {
			out.refused++
			continue
		}
		w := 0
		for i := range free {
			if free[i] < free[w] {
				w = i
			}
		}
		free[w] = max(free[w], now) + int64(float64(s.service)*(0.5+s.random.Float64()))
		heap.Push(&open, [2]int64{free[w], now})
	}
	out.done = float64(done) * float64(s.service) / float64(s.workers) / (float64(during) * 0.8)
	out.mean = time.Duration(lateSum / max(late, 1))
	out.limit = a.Limit()
	return out
}

func TestAdaptiveFindsTheLimit(t *testing.T) {
	for _, tt := range []struct {
		name     string
		workers  int
		rate     float64
		done     float64 // at least
		slowdown float64 // at most, of the service time
	}{
		{"half load", 16, 0.5, 0.49, 1.3},
		{"near capacity", 16, 0.9, 0.88, 2},
		{"three times too much", 16, 3, 0.93, 3.5},
		{"three times too much for a large host", 200, 3, 0.93, 3},
		{"more than the first limit is too much", 4, 3, 0.9, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := server{tt.workers, 10 * time.Millisecond, tt.rate, rand.New(rand.NewPCG(1, 2))}
			during := 5 * time.Minute // the limit must not drift under a long overload
			if tt.workers > 100 {
				during = time.Minute // the same number of requests
			}
			got := s.run(new(Adaptive), during)
			t.Logf("done %.3f of capacity, latency %v, limit %d, refused %d", got.done, got.mean, got.limit, got.refused)
			if got.done < tt.done {
				t.Errorf("done %.3f of capacity, want %.3f", got.done, tt.done)
			}
			if tt.rate < 1 && got.refused > 2000 { // of a million and more
				t.Errorf("%d refused below capacity", got.refused)
			}
			if slow := float64(got.mean) / float64(s.service); slow > tt.slowdown {
				t.Errorf("latency is %.1f times the service time, want %.1f", slow, tt.slowdown)
			}
		})
	}
}

func TestAdaptiveBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	var a Adaptive
	if a.Limit() != adaptiveInitial {
		t.Fatalf("starts at %d", a.Limit())
	}
	now := int64(0)
	for i := range 200_000 {
		now += r.Int64N(int64(20 * time.Millisecond))
		taken := a.Acquire()
		a.Observe(now, time.Duration(r.Int64N(1+int64(1)<<r.IntN(40))), i > 150_000)
		if taken && r.IntN(3) > 0 {
			a.Release()
		}
		if n := a.Limit(); n < adaptiveMin || n > adaptiveMax {
			t.Fatalf("limit %d", n)
		}
	}
	if a.Limit() != adaptiveMin {
		t.Errorf("after drops only: %d, want %d", a.Limit(), adaptiveMin)
	}
}

// windows feeds answers of 1 ms for n windows, with so many requests at once. It
// returns the lowest limit on the way.
func windows(a *Adaptive, from, n, used int) int64 {
	least := a.Limit()
	for w := range n {
		for i := range 20 {
			for range used {
				a.Acquire()
			}
			a.Observe(int64(from+w)*adaptiveWindow*2+int64(i), time.Millisecond, false)
			for a.Used() > 0 {
				a.Release()
			}
		}
		least = min(least, a.Limit())
	}
	return least
}

func TestAdaptiveKeepsWhatIsNotUsed(t *testing.T) {
	var a Adaptive
	if windows(&a, 1, 500, 5); a.Limit() != adaptiveInitial {
		t.Errorf("a quarter of the limit was used, and it went to %d", a.Limit())
	}
}

// TestAdaptivePause holds that the limit is lowered after it refused something,
// and that what is refused then is no reason for the next time.
func TestAdaptivePause(t *testing.T) {
	var a Adaptive
	if least := windows(&a, 1, 250, 9); least != adaptiveInitial {
		t.Fatalf("nothing was refused, and the limit went to %d", least)
	}
	windows(&a, 251, 1, 25)
	if least := windows(&a, 252, 60, 9); least > adaptiveInitial/3 {
		t.Errorf("no pause after refusals: %d", least)
	}
	if a.gauge.Refused() == 0 {
		t.Fatal("the pause refused nothing")
	}
	if least := windows(&a, 312, 200, 9); least < adaptiveInitial {
		t.Errorf("a pause because of the pause: %d", least)
	}
}
