package control

import (
	"context"
	"time"
)

// Scope selects checks.
type Scope string

// The scopes: ScopePre looks at the host only, before anything runs.
const (
	ScopePre Scope = "pre"
	ScopeAll Scope = "all"
)

// Severity says what a failed check means.
type Severity string

// The severities. A fatal check that fails ends the run: what follows would
// only repeat it.
const (
	Fatal   Severity = "fatal"
	Failure Severity = "failure"
	Warning Severity = "warning"
)

// Check is one question about the platform's health.
type Check struct {
	// Section groups checks under a heading, e.g. "host".
	Section string
	// Name is a statement that holds when all is well, e.g. "node is ready".
	Name     string
	Severity Severity
	// Hint says what to do when it does not hold.
	Hint string
	// Run returns nil when the statement holds. The text is shown beside the
	// mark, e.g. a version.
	Run func(ctx context.Context) (text string, err error)
}

// Outcome of one check.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "passed"
	Warned  Outcome = "warning"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Result is a check that was run.
type Result struct {
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	Text    string  `json:"text,omitempty"`
	Error   string  `json:"error,omitempty"`
	Hint    string  `json:"hint,omitempty"`
}

// Report is the result of all checks, in order.
type Report struct {
	Healthy bool     `json:"healthy"`
	Results []Result `json:"results"`
}

// attemptTimeout bounds one try of a check, so that one that hangs is reported
// like one that fails.
const attemptTimeout = 30 * time.Second

// RunChecks runs the checks in order. A check that fails is tried again every
// interval until wait is over; wait is shared by all checks. A failed warning
// is not tried again, and leaves the report healthy. Checks after a failed
// fatal one are skipped, as are those left when ctx ends.
func RunChecks(ctx context.Context, checks []Check, wait, interval time.Duration, seen func(Result)) Report {
	patience, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	report := Report{Healthy: true, Results: []Result{}}
	for i, c := range checks {
		r := runCheck(ctx, c, patience.Done(), interval)
		if r.Outcome == Failed || ctx.Err() != nil {
			report.Healthy = false
		}
		report.add(r, seen)
		if ctx.Err() != nil || r.Outcome == Failed && c.Severity == Fatal {
			report.skip(checks[i+1:], seen)
			break
		}
	}
	return report
}

func (r *Report) skip(checks []Check, seen func(Result)) {
	for _, c := range checks {
		r.add(Result{Section: c.Section, Name: c.Name, Outcome: Skipped}, seen)
	}
}

func (r *Report) add(res Result, seen func(Result)) {
	r.Results = append(r.Results, res)
	if seen != nil {
		seen(res)
	}
}

func runCheck(ctx context.Context, c Check, patience <-chan struct{}, interval time.Duration) Result {
	for {
		text, err := attempt(ctx, c)
		res := Result{Section: c.Section, Name: c.Name, Outcome: Passed, Text: text}
		if err == nil {
			return res
		}
		res.Outcome, res.Error, res.Hint = Failed, err.Error(), c.Hint
		if c.Severity == Warning {
			res.Outcome = Warned
			return res
		}
		retry := time.NewTimer(interval)
		select {
		case <-retry.C:
		case <-patience:
			retry.Stop()
			return res
		}
	}
}

func attempt(ctx context.Context, c Check) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return c.Run(ctx)
}
