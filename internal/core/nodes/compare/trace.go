package compare

import (
	"time"

	"github.com/tatami-platform/tatami/internal/core/nodes/sim"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Trace is the load that was played.
type Trace struct {
	Name          string `json:"name"`
	LengthSeconds int64  `json:"lengthSeconds"`
	Seed          uint64 `json:"seed"`
}

// TraceResult is how a strategy fared under the load.
type TraceResult struct {
	// CostUSD is of the whole trace, MonthlyUSD the same for 730 hours.
	CostUSD    unit.NanoUSD `json:"costUSD"`
	MonthlyUSD unit.NanoUSD `json:"monthlyUSD"`
	// UnmetPodSeconds sums the seconds in which pods were wanted and did not run;
	// UnmetSeconds counts those in which there was at least one.
	UnmetPodSeconds int64    `json:"unmetPodSeconds"`
	UnmetSeconds    int64    `json:"unmetSeconds"`
	Interruptions   int      `json:"interruptions"`
	PodsMoved       int      `json:"podsMoved"`
	PeakNodes       int      `json:"peakNodes"`
	Series          []Sample `json:"series"`
}

// Sample is the state at a moment of the trace.
type Sample struct {
	AtSeconds int64        `json:"atSeconds"`
	Nodes     int          `json:"nodes"`
	Wanted    int          `json:"wanted"`
	Running   int          `json:"running"`
	HourlyUSD unit.NanoUSD `json:"hourlyUSD"`
	// WaitingSeconds is how long pods were waiting until the next sample.
	WaitingSeconds int64 `json:"waitingSeconds"`
}

// maxSamples keeps reports small.
const maxSamples = 150

// play simulates the load.
func (r *run) play(view *plan.Snapshot, e Entry) *TraceResult {
	got := sim.Run(view, sim.Strategy{Place: e.Quick, Behaviour: e.Behaviour}, *r.Trace, r.Seed)
	out := &TraceResult{
		CostUSD: got.Cost, MonthlyUSD: got.Cost.MulDiv(int64(unit.HoursPerMonth*time.Hour), int64(r.Trace.Length)),
		UnmetPodSeconds: got.UnmetPodSeconds, UnmetSeconds: got.UnmetSeconds, Interruptions: got.Interruptions,
		PodsMoved: got.Moved, PeakNodes: got.PeakNodes, Series: []Sample{},
	}
	waiting := time.Duration(0)
	every := (len(got.Series) + maxSamples - 1) / maxSamples
	for i, p := range got.Series {
		if i%every == 0 || i == len(got.Series)-1 {
			out.Series = append(out.Series, Sample{AtSeconds: int64(p.At / time.Second), Nodes: p.Nodes, Wanted: p.Wanted, Running: p.Running, HourlyUSD: p.Hourly})
			waiting = 0
		}
		waiting += p.Waiting
		out.Series[len(out.Series)-1].WaitingSeconds = int64(waiting / time.Second)
	}
	return out
}
