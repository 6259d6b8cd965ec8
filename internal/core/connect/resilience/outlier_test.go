package resilience

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

const second = int64(time.Second)

func members(n int) []*Vitals {
	list := make([]*Vitals, n)
	for i := range list {
		list[i] = new(Vitals)
	}
	return list
}

func failTimes(g *Outliers, v *Vitals, now int64, n int) (last Change) {
	for range n {
		last = g.Report(v, Report{Now: now, Failed: true})
	}
	return last
}

func TestOutlierEjectsAndProbes(t *testing.T) {
	m := members(4)
	g := NewOutliers(&connect.Outlier{}, m, false, nil)
	v := m[0]
	if got := failTimes(g, v, second, 4); got.Event != EventNone || v.Outlier.Ejected() {
		t.Fatalf("after 4 failures: %v, ejected %v", got, v.Outlier.Ejected())
	}
	g.Report(v, Report{Now: second})
	if got := failTimes(g, v, second, 4); got.Event != EventNone {
		t.Fatalf("a success must end the row: %v", got)
	}
	got := failTimes(g, v, second, 1)
	if got != (Change{Event: EventEjected, For: time.Second, Ejections: 1}) {
		t.Fatalf("fifth failure in a row: %+v", got)
	}
	if got := g.Report(v, Report{Now: second}); got.Event != EventNone || !v.Outlier.Ejected() {
		t.Error("an answer to a request from before the ejection must not end it")
	}
	if v.Outlier.ClaimProbe(2*second - 1) {
		t.Error("probed before the time")
	}
	if !v.Outlier.ClaimProbe(2*second) || v.Outlier.ClaimProbe(2*second) {
		t.Error("one probe at a time, from the time on")
	}
	got = g.Report(v, Report{Now: 3 * second, Failed: true, Probe: true})
	if got != (Change{Event: EventProbeFailed, For: 2 * time.Second, Ejections: 2}) {
		t.Fatalf("failed probe: %+v", got)
	}
	if v.Outlier.ClaimProbe(5*second-1) || !v.Outlier.ClaimProbe(5*second) {
		t.Error("the second ejection must last 2 s")
	}
	v.Outlier.CancelProbe(5 * second)
	if !v.Outlier.ClaimProbe(5 * second) {
		t.Error("a probe without a verdict must free the place")
	}
	got = g.Report(v, Report{Now: 6 * second, Probe: true})
	if got.Event != EventReadmitted || v.Outlier.Ejected() || v.Outlier.Failures() != 0 {
		t.Fatalf("successful probe: %+v, ejected %v", got, v.Outlier.Ejected())
	}
	if got := failTimes(g, v, 7*second, 5); got.For != 4*time.Second {
		t.Errorf("soon after it came back: %+v, want 4 s", got)
	}
	v.Outlier.ClaimProbe(11 * second)
	g.Report(v, Report{Now: 11 * second, Probe: true})
	if got := failTimes(g, v, 100*second, 5); got.For != time.Second {
		t.Errorf("long after it came back: %+v, want 1 s", got)
	}
	if n := v.Outlier.Ejections(); n != 3 {
		t.Errorf("%d ejections, want 3", n)
	}
}

func TestOutlierDuration(t *testing.T) {
	p := NewOutlierPolicy(&connect.Outlier{})
	for _, tt := range []struct {
		n      uint32
		random uint64
		want   time.Duration
	}{
		{1, 0, time.Second},
		{1, 1 << 63, 875 * time.Millisecond},
		{3, 0, 4 * time.Second},
		{6, 0, 32 * time.Second},
		{7, 0, time.Minute},
		{63, 0, time.Minute},
		{200, 0, time.Minute},
		{200, 1 << 63, 52500 * time.Millisecond},
	} {
		if got := p.duration(tt.n, tt.random); got != tt.want {
			t.Errorf("ejection %d, random %x: %v, want %v", tt.n, tt.random, got, tt.want)
		}
	}
}

func TestOutlierCounts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		all    bool
		f      Failure
		status int
		want   bool
	}{
		{"ok", false, FailureNone, 200, false},
		{"not found", false, FailureNone, 404, false},
		{"internal error", false, FailureNone, 500, false},
		{"internal error, all", true, FailureNone, 500, true},
		{"bad gateway", false, FailureNone, 502, true},
		{"unavailable", false, FailureNone, 503, true},
		{"gateway timeout", false, FailureNone, 504, true},
		{"connect", false, FailureConnect, 0, true},
		{"reset", false, FailureReset, 0, true},
		{"timeout", false, FailureTimeout, 0, true},
		{"truncated", false, FailureTruncated, 0, true},
		{"going away", false, FailureRefused, 0, false},
		{"stale connection", false, FailureUnsent, 0, false},
		{"client gone", true, FailureCancelled, 0, false},
	} {
		p := NewOutlierPolicy(&connect.Outlier{AllServerErrors: tt.all})
		if got := p.Counts(tt.f, tt.status); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestOutlierCap(t *testing.T) {
	for _, tt := range []struct {
		name    string
		hosts   int
		percent int
		ill     int // by active checks
		want    int
	}{
		{"one", 1, 100, 0, 0},
		{"two", 2, 50, 0, 1},
		{"two, all allowed", 2, 100, 0, 1},
		{"three", 3, 50, 0, 1},
		{"ten", 10, 0, 0, 5},
		{"ten, a tenth", 10, 10, 0, 1},
		{"three, a hundredth still allows one", 3, 1, 0, 1},
		{"ten, all allowed", 10, 100, 0, 9},
		{"the others are ill", 4, 100, 3, 0},
		{"but for one", 4, 100, 2, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := members(tt.hosts)
			for i, v := range m {
				v.Health.Report(i >= tt.ill, HealthPolicy{2, 3})
			}
			g := NewOutliers(&connect.Outlier{MaxPercent: tt.percent}, m, true, nil)
			spared := 0
			for _, v := range m[tt.ill:] {
				if failTimes(g, v, second, 5).Event == EventSpared {
					spared++
				}
			}
			if got := ejected(m); got != tt.want || spared != tt.hosts-tt.ill-tt.want {
				t.Errorf("%d ejected and %d spared, want %d ejected", got, spared, tt.want)
			}
		})
	}
}

func ejected(m []*Vitals) (n int) {
	for _, v := range m {
		if v.Outlier.Ejected() {
			n++
		}
	}
	return n
}

// TestOutlierCapHoldsUnderRace lets loops eject different hosts at the same moment,
// before and after a change of the configuration, until there is no room.
func TestOutlierCapHoldsUnderRace(t *testing.T) {
	for range 100 {
		m := members(2000) // counting them takes a while
		c := &connect.Outlier{MaxPercent: 1, Failures: 1}
		first := NewOutliers(c, m, false, nil)
		groups := []*Outliers{first, NewOutliers(c, m, false, first)}
		var ready atomic.Int32
		var wg sync.WaitGroup
		for loop := range 2 {
			wg.Go(func() {
				for ready.Add(1); ready.Load() < 2; {
					runtime.Gosched()
				}
				for i := range 200 {
					groups[loop].Report(m[1000*loop+i], Report{Now: second, Failed: true})
				}
			})
		}
		wg.Wait()
		if n := ejected(m); n == 0 || n > 20 {
			t.Fatalf("%d of 2,000 ejected, want at most 20", n)
		}
		// Who met another one at the limit waits for its next failure: here it is.
		for i := range 200 {
			first.Report(m[i], Report{Now: second, Failed: true})
		}
		if n := ejected(m); n != 20 {
			t.Fatalf("%d of 2,000 ejected after another failure each, want 20", n)
		}
	}
}

// TestOutlierNeverStuck runs random outcomes and holds that an ejected host can
// be probed within the longest time, whatever happened to its probes.
func TestOutlierNeverStuck(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	m := members(5)
	g := NewOutliers(&connect.Outlier{Failures: 2}, m, false, nil)
	now := second
	for range 50000 {
		now += r.Int64N(second)
		v := m[r.IntN(len(m))]
		probe := v.Outlier.ClaimProbe(now)
		switch r.IntN(4) {
		case 0: // lost
		case 1:
			if probe {
				v.Outlier.CancelProbe(now)
			}
		default:
			g.Report(v, Report{Now: now, Failed: r.IntN(3) > 0, Probe: probe, Random: r.Uint64()})
		}
		if at := v.Outlier.ProbeAt(); at > now+60*second {
			t.Fatalf("the next probe is %v away", time.Duration(at-now))
		}
	}
}

func TestSuccessAllocatesNothing(t *testing.T) {
	m := members(2)
	g := NewOutliers(&connect.Outlier{}, m, false, nil)
	if n := testing.AllocsPerRun(100, func() { g.Report(m[0], Report{Now: 1, Failed: true}); g.Report(m[0], Report{Now: 1}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHealth(t *testing.T) {
	const ok, bad = true, false
	for _, tt := range []struct {
		name    string
		results []bool
		want    HealthState
	}{
		{"before the first", nil, HealthUnknown},
		{"one success", []bool{ok}, HealthHealthy},
		{"one failure", []bool{bad}, HealthUnhealthy},
		{"two failures", []bool{ok, bad, bad}, HealthHealthy},
		{"three failures", []bool{ok, bad, bad, bad}, HealthUnhealthy},
		{"not in a row", []bool{ok, bad, bad, ok, bad, bad}, HealthHealthy},
		{"one success after failures", []bool{bad, ok}, HealthUnhealthy},
		{"two successes after failures", []bool{bad, ok, ok}, HealthHealthy},
		{"successes not in a row", []bool{bad, ok, bad, ok}, HealthUnhealthy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h Health
			p := NewHealthPolicy(&connect.HealthCheck{})
			for _, r := range tt.results {
				before := h.State()
				if got, changed := h.Report(r, p); got != h.State() || changed != (got != before) {
					t.Errorf("returned %v, %v; state %v, before %v", got, changed, h.State(), before)
				}
			}
			if h.State() != tt.want || h.Usable(true) != (tt.want == HealthHealthy) || !h.Usable(false) {
				t.Errorf("state %v, want %v; usable %v", h.State(), tt.want, h.Usable(true))
			}
		})
	}
}
