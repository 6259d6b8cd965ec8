package sim

import (
	"time"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Result is how a strategy fared.
type Result struct {
	// Cost of all nodes, each by the second and for a minute at least.
	Cost unit.NanoUSD
	// UnmetPodSeconds sums the seconds of each pod that was wanted and did not
	// run; UnmetSeconds counts the seconds in which there was any.
	UnmetPodSeconds, UnmetSeconds int64
	// Interruptions counts spot nodes that were taken back, Moved the pods that
	// the strategy or an interruption moved.
	Interruptions, Moved int
	PeakNodes            int
	// Series has a sample for each moment at which something was decided.
	Series []Sample
}

// Sample is the state after a decision.
type Sample struct {
	At time.Duration
	// Nodes are those being paid for, Wanted and Running pods.
	Nodes, Wanted, Running int
	Hourly                 unit.NanoUSD
	// Waiting is how long pods were waiting from then to the next sample.
	Waiting time.Duration
}

// minimumBilled is what AWS charges for at least when it charges by the second.
const minimumBilled = time.Minute

// priceOf is the cost of a machine from launch to end.
func priceOf(hourly unit.NanoUSD, launch, end time.Duration) unit.NanoUSD {
	if end <= launch {
		return 0
	}
	return hourly.MulDiv(int64(max(end-launch, minimumBilled)), int64(time.Hour))
}
