package load

import (
	"slices"
	"time"
)

// stall is how long a run may go without any answer before it is given up.
const stall = 10 * time.Second

// Plan is one run.
type Plan struct {
	Connections int
	// Requests is the number of requests in all, so that figures per request
	// are exact.
	Requests int
	// Rate is in requests per second, with intervals of a Poisson process; 0
	// means that each connection asks again as soon as it has its answer.
	Rate float64
	// Until, when set, ends the run once it is closed and what was asked is
	// answered; Requests is the most then. For plain HTTP on Linux only.
	Until <-chan struct{}
	// Begin, when set, is called when all connections are up and before the
	// first request that counts.
	Begin func() error
}

func (p Plan) begin() error {
	if p.Begin == nil {
		return nil
	}
	return p.Begin()
}

// Result is what a run gave.
type Result struct {
	Requests int
	Elapsed  time.Duration
	// Latency is that of each request, ascending.
	Latency []time.Duration
}

func newResult(elapsed time.Duration, latency []time.Duration) Result {
	slices.Sort(latency)
	return Result{Requests: len(latency), Elapsed: elapsed, Latency: latency}
}

// PerSecond is the throughput in requests per second.
func (r Result) PerSecond() float64 {
	return float64(r.Requests) / max(r.Elapsed, time.Nanosecond).Seconds()
}

// Quantile is the smallest latency that a share q of all requests did not
// exceed; q is between 0 and 1.
func (r Result) Quantile(q float64) time.Duration {
	if len(r.Latency) == 0 {
		return 0
	}
	i := int(q*float64(len(r.Latency))+0.999999) - 1
	return r.Latency[min(max(i, 0), len(r.Latency)-1)]
}
