package main

import (
	"cmp"
	"runtime"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// answer is a fleet, and what it took to find it. Of several runs the one with
// the median price is described, beside the median time.
type answer struct {
	Hourly  unit.NanoUSD `json:"hourlyUSD"`
	Nodes   int          `json:"nodes"`
	Pending int          `json:"pendingPods"`
	Millis  float64      `json:"millis"`
	// CPUMillis is the processor time of it, 0 where it was not measured. When it
	// is much less than Millis on one core, the machine was busy with other things.
	CPUMillis float64 `json:"cpuMillis,omitempty"`
	// Bound is 0 for a solver that proves none.
	Bound unit.NanoUSD `json:"boundHourlyUSD,omitempty"`
	// Lowest and Highest are the ends of the range of prices. Runs differ in the
	// identifiers of pods, by which Karpenter orders those of equal size.
	Runs    int          `json:"runs"`
	Lowest  unit.NanoUSD `json:"lowestHourlyUSD"`
	Highest unit.NanoUSD `json:"highestHourlyUSD"`
	// PeakRSS is that of the process until the answer was there.
	PeakRSS int64 `json:"peakRSSBytes,omitempty"`
	// TimedOut says that pods are pending because time was up.
	TimedOut bool `json:"timedOut,omitempty"`
	// Violations are rules of scheduling that the answer breaks.
	Violations int    `json:"violations"`
	Violation  string `json:"firstViolation,omitempty"`
}

// found is what one run gave.
type found struct {
	fleet    nodes.Fleet
	took     time.Duration
	cpu      time.Duration
	timedOut bool
}

// series are runs by price, and the memory that they took.
type series struct {
	runs    []found
	peakRSS int64
}

// repeats is how often what is fast runs; after enough no other run begins.
const (
	repeats = 5
	enough  = 8 * time.Second
)

func repeat(times int, solve func(run int) found) series {
	var s series
	for began := time.Now(); len(s.runs) < times && time.Since(began) < enough; {
		runtime.GC()
		s.runs = append(s.runs, solve(len(s.runs)))
	}
	slices.SortStableFunc(s.runs, func(a, b found) int { return cmp.Compare(a.fleet.Hourly(), b.fleet.Hourly()) })
	s.peakRSS = peakRSS()
	return s
}

// answer checks the fleet and describes it.
func (s series) answer(on *plan.Snapshot) answer {
	middle := len(s.runs) / 2
	f := s.runs[middle].fleet
	a := answer{
		Hourly: f.Hourly(), Bound: f.Bound, Nodes: f.Nodes(), TimedOut: s.runs[middle].timedOut,
		Millis:    s.median(func(f found) time.Duration { return f.took }),
		CPUMillis: s.median(func(f found) time.Duration { return f.cpu }),
		PeakRSS:   s.peakRSS, Runs: len(s.runs),
		Lowest: s.runs[0].fleet.Hourly(), Highest: s.runs[len(s.runs)-1].fleet.Hourly(),
	}
	for _, p := range f.Pending {
		a.Pending += p.Count
	}
	broken := check.Fleet(on, f)
	a.Violations = len(broken)
	if len(broken) > 0 {
		a.Violation = broken[0].String()
	}
	return a
}

// median of a time, in milliseconds.
func (s series) median(of func(found) time.Duration) float64 {
	var all []time.Duration
	for _, run := range s.runs {
		all = append(all, of(run))
	}
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}
