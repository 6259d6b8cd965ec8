package balance

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const (
	ms     = int64(time.Millisecond)
	second = int64(time.Second)
)

func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*math.Abs(want)
}

func TestPeakEWMA(t *testing.T) {
	var p peakEWMA
	if p.at(second) != 0 || p.peak() != 0 {
		t.Error("nothing was seen")
	}
	p.observe(second, 1e6)
	if !near(p.at(second), 1e6, 1e-6) {
		t.Errorf("first: %v", p.at(second))
	}
	p.observe(second+1, 50e6)
	if !near(p.at(second), 50e6, 1e-6) {
		t.Errorf("a peak must count at once: %v", p.at(second))
	}
	p.observe(second+2, 1e6)
	if !near(p.at(second), 50e6, 1e-4) {
		t.Errorf("one fast answer must not hide it: %v", p.at(second))
	}
	if got := p.at(11 * second); !near(got, 50e6/math.E, 1e-3) {
		t.Errorf("after 10 s: %v, want 1/e of it", got)
	}
	if got := p.peak(); !near(got, 50e6, 1e-3) {
		t.Errorf("the peak does not decay by itself: %v", got)
	}
	for now := 2 * second; now < 12*second; now += 10 * ms {
		p.observe(now, 1e6)
	}
	if got := p.at(12 * second); !near(got, 1e6+49e6*math.Exp(-1.1), 0.01) {
		t.Errorf("fast answers until 11 s after the peak: %v, want %v", got, 1e6+49e6*math.Exp(-1.1))
	}
	if got := p.at(1000 * second); got != 0 {
		t.Errorf("long after: %v", got)
	}
	// Beyond the wrap of the tick, and back a little.
	p.observe(79*3600*second, 2e6)
	if got := p.at(79*3600*second - second); !near(got, 2e6, 1e-6) {
		t.Errorf("the clock of another loop is behind: %v", got)
	}
	if got := p.at(79*3600*second + 50*3600*second); got != 0 {
		t.Errorf("after 50 h: %v", got)
	}
}

// TestPeakEWMABounds holds that the value lies between the least and the greatest
// latency, and never below the last one.
func TestPeakEWMABounds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var p peakEWMA
	least, most, now := math.Inf(1), 0.0, int64(0)
	for range 100_000 {
		now += r.Int64N(100 * ms)
		ns := math.Exp(r.Float64() * 20)
		least, most = min(least, ns), max(most, ns)
		p.observe(now, ns)
		got := p.at(now)
		if got < min(least, 1e9)*0.999 || got > most*1.001 || got < ns*0.999 {
			t.Fatalf("%v after %v; all between %v and %v", got, ns, least, most)
		}
	}
}
