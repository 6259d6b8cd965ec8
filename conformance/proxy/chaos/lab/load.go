package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is how a request ended, as its client saw it.
type Outcome struct {
	// Status is that of the answer, 0 when there was none.
	Status int
	// Err says why it failed; ErrBody is worse than all others.
	Err error
	// Stale says that a connection that was used before was closed by the server,
	// and the request was sent again on another, as HTTP lets clients do for
	// idempotent methods (RFC 9110, section 9.2.2).
	Stale bool
	// Lie says that the origin lied in a way that no client can see.
	Lie bool
}

// Request is what is asked.
type Request struct {
	ID   uint64
	Size int
	// Post is the size of the request's body; 0: a GET.
	Post int
	Path string
}

// Client asks one request at a time.
type Client interface {
	Do(r Request) Outcome
	Close()
}

// Load offers requests at a rate, whatever becomes of those before: what a worker
// could not send in time counts as skipped, so that a slow proxy meets no kinder
// load.
type Load struct {
	Name string
	// Clients makes the client of a worker.
	Client  func() Client
	Workers int
	// Rate in requests per second, of all workers.
	Rate float64
	// Make fills in a request; nil: small GETs of "/".
	Make func(id uint64) Request
	// First is where IDs begin, so that loads side by side have their own.
	First uint64
}

// Result counts requests by outcome.
type Result struct {
	Name    string
	Took    time.Duration
	Sent    int64
	Good    int64
	Skipped int64
	Stale   int64
	Lies    int64
	// Failed counts by reason, which begins with "with a body: " for requests that
	// have one. Wrong are the bodies that were not right.
	Failed map[string]int64
	Wrong  []string
	// Slowest is the longest time from the planned start to the end.
	Slowest time.Duration
	slow    []time.Duration
}

// Rate is in requests per second.
func (r *Result) Rate() float64 { return float64(r.Sent) / r.Took.Seconds() }

// Failures is how many failed.
func (r *Result) Failures() int64 {
	n := int64(len(r.Wrong))
	for _, k := range r.Failed {
		n += k
	}
	return n
}

// String is a summary for people, in several lines when something failed.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d requests in %.1f s (%.0f/s, %d not offered in time), %d good", r.Name, r.Sent, r.Took.Seconds(), r.Rate(), r.Skipped, r.Good)
	if r.Stale > 0 {
		fmt.Fprintf(&b, ", %d sent again after a close", r.Stale)
	}
	if r.Lies > 0 {
		fmt.Fprintf(&b, ", %d lies of origins", r.Lies)
	}
	fmt.Fprintf(&b, ", p99 %s, slowest %s", r.Percentile(99).Round(time.Millisecond/10), r.Slowest.Round(time.Millisecond))
	for _, why := range slices.Sorted(maps.Keys(r.Failed)) {
		fmt.Fprintf(&b, "\n\t%d × %s", r.Failed[why], why)
	}
	for _, w := range r.Wrong[:min(len(r.Wrong), 5)] {
		fmt.Fprintf(&b, "\n\tWRONG BODY: %s", w)
	}
	return b.String()
}

// Percentile is of the times from planned start to end, of a sample.
func (r *Result) Percentile(p int) time.Duration {
	if len(r.slow) == 0 {
		return 0
	}
	slices.Sort(r.slow)
	return r.slow[min(len(r.slow)*p/100, len(r.slow)-1)]
}

func (r *Result) add(req Request, o Outcome, took time.Duration) {
	r.Sent++
	r.Slowest = max(r.Slowest, took)
	if r.Sent%16 == 1 {
		r.slow = append(r.slow, took)
	}
	if o.Stale {
		r.Stale++
	}
	if o.Lie {
		r.Lies++
	}
	switch {
	case errors.Is(o.Err, ErrBody):
		r.Wrong = append(r.Wrong, o.Err.Error())
	case o.Err != nil:
		r.fail(req, o.Err.Error())
	case o.Status != 200:
		r.fail(req, fmt.Sprintf("status %d", o.Status))
	default:
		r.Good++
	}
}

func (r *Result) fail(req Request, why string) {
	if req.Post > 0 {
		why = "with a body: " + why
	}
	r.Failed[why]++
}

func (r *Result) merge(o *Result) {
	r.Sent += o.Sent
	r.Good += o.Good
	r.Skipped += o.Skipped
	r.Stale += o.Stale
	r.Lies += o.Lies
	r.Slowest = max(r.Slowest, o.Slowest)
	r.Wrong = append(r.Wrong, o.Wrong...)
	r.slow = append(r.slow, o.slow...)
	for k, v := range o.Failed {
		r.Failed[k] += v
	}
}

// Sum adds results up; they ran side by side.
func Sum(name string, results ...*Result) *Result {
	all := &Result{Name: name, Failed: map[string]int64{}}
	for _, r := range results {
		all.merge(r)
		all.Took = max(all.Took, r.Took)
	}
	return all
}

// Run offers the load until ctx is over, and waits for what is on its way.
func (l *Load) Run(ctx context.Context) *Result {
	began := time.Now()
	results := make([]*Result, l.Workers)
	var ids atomic.Uint64
	ids.Store(l.First)
	var wg sync.WaitGroup
	for i := range results {
		results[i] = &Result{Failed: map[string]int64{}}
		wg.Go(func() {
			c := l.Client()
			defer c.Close()
			l.work(ctx, c, results[i], func() uint64 { return ids.Add(1) })
		})
	}
	wg.Wait()
	all := Sum(l.Name, results...)
	all.Took = time.Since(began)
	return all
}

// late is how far a worker may be behind before it skips what it missed.
const late = 50 * time.Millisecond

func (l *Load) work(ctx context.Context, c Client, r *Result, id func() uint64) {
	every := time.Duration(float64(time.Second) * float64(l.Workers) / l.Rate)
	next := time.Now().Add(time.Duration(id()%97) * every / 97)
	for ctx.Err() == nil {
		now := time.Now()
		if wait := next.Sub(now); wait > 0 {
			time.Sleep(wait)
		}
		if behind := now.Sub(next); behind > late {
			missed := int64(behind / every)
			r.Skipped += missed
			next = next.Add(time.Duration(missed) * every)
		}
		n := id()
		req := Request{ID: n, Path: "/"}
		if l.Make != nil {
			req = l.Make(n)
			req.ID = n
		}
		o := c.Do(req)
		r.add(req, o, time.Since(next))
		next = next.Add(every)
	}
}

// Begin runs loads in the background until the returned function is called, which
// gives their results in order.
func Begin(loads ...*Load) (stop func() []*Result) {
	ctx, cancel := context.WithCancel(context.Background())
	results := make([]*Result, len(loads))
	var wg sync.WaitGroup
	for i, l := range loads {
		wg.Go(func() { results[i] = l.Run(ctx) })
	}
	return func() []*Result {
		cancel()
		wg.Wait()
		return results
	}
}
