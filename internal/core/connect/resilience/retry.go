package resilience

import (
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// Attempt is what is known after a failed attempt.
type Attempt struct {
	Failure Failure
	// Status of the answer; 0 without one.
	Status int
	Method string
	// Reused says that the connection had served an exchange before, so that its
	// end may have crossed the request on the wire (RFC 9112 section 9.5).
	Reused bool
	// Replayable says that the request can be sent again from its first byte: no
	// byte of the body is gone, or all of them were kept.
	Replayable bool
	// Number of attempts until now, this one included, from 1.
	Number int
	// Random is for the jitter.
	Random uint64
}

// RetryReason says why a request is asked again, or why not.
type RetryReason uint8

// The reasons.
const (
	// RetryNotFailed: the answer is not one that the route asks again.
	RetryNotFailed RetryReason = iota
	// RetryUnseen: the host cannot have seen the request.
	RetryUnseen
	// RetryStale: a pooled connection ended under an idempotent request.
	RetryStale
	// RetryAsked: the route asks for it.
	RetryAsked
	// RetryUnsafe: the host may have seen a request that is not idempotent.
	RetryUnsafe
	// RetryNotAsked: it would be safe, but the route does not ask for it.
	RetryNotAsked
	// RetryBody: the body cannot be sent again.
	RetryBody
	// RetryExhausted: there were enough attempts.
	RetryExhausted
	// RetryTooLate: a part of an answer is with the client, or the client is gone.
	RetryTooLate
)

// String is the name that metrics and logs use.
func (r RetryReason) String() string {
	if int(r) < len(retryReasons) {
		return retryReasons[r]
	}
	return "unknown"
}

//nolint:gochecknoglobals // a table that nobody writes
var retryReasons = [...]string{
	RetryNotFailed: "not-failed",
	RetryUnseen:    "unseen",
	RetryStale:     "stale-connection",
	RetryAsked:     "asked",
	RetryUnsafe:    "unsafe",
	RetryNotAsked:  "not-asked",
	RetryBody:      "body",
	RetryExhausted: "exhausted",
	RetryTooLate:   "too-late",
}

// RetryDecision is what to do after a failed attempt.
type RetryDecision struct {
	Retry  bool
	Reason RetryReason
	// After is the time to wait before the next attempt.
	After time.Duration
	// Charge says that the retry needs RetryBudget.Withdraw. A pooled connection
	// that was dead before a byte left costs no host anything.
	Charge bool
	// OtherHost says that this host is to be avoided, FreshConnection that pooled
	// connections to it are not trusted: when one is stale, its siblings are too.
	OtherHost       bool
	FreshConnection bool
}

const (
	retryAttempts = 2
	retryBackoff  = 25 * time.Millisecond
	// retryLongest bounds the wait, in multiples of the first.
	retryLongest = 10
)

// RetryPolicy is a route's connect.Retry with its defaults filled in.
type RetryPolicy struct {
	asked         bool
	nonIdempotent bool
	attempts      int
	backoff       time.Duration
	codes         []int
}

// NewRetryPolicy fills in the defaults: 2 retries, 25 ms. A nil route asks for
// nothing: what cannot have been seen is asked again all the same.
func NewRetryPolicy(c *connect.Retry) RetryPolicy {
	if c == nil {
		return RetryPolicy{attempts: retryAttempts, backoff: retryBackoff}
	}
	return RetryPolicy{
		asked:         true,
		nonIdempotent: c.NonIdempotent,
		attempts:      orDefault(c.Attempts, retryAttempts),
		backoff:       min(orDefault(c.Backoff, retryBackoff), time.Hour),
		codes:         c.Codes,
	}
}

// Idempotent says whether a method may be repeated without further effect (RFC
// 9110 section 9.2.2). Methods are case-sensitive, so "get" is not one.
func Idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	default:
		return false
	}
}

// Decide says whether a failed attempt is followed by another one.
func (p *RetryPolicy) Decide(a Attempt) RetryDecision {
	reason := p.classify(a)
	switch {
	case reason != RetryUnseen && reason != RetryStale && reason != RetryAsked:
		return RetryDecision{Reason: reason}
	case a.Number > p.attempts:
		return RetryDecision{Reason: RetryExhausted}
	case !a.Replayable:
		return RetryDecision{Reason: RetryBody}
	}
	stale := a.Reused && (a.Failure == FailureUnsent || a.Failure == FailureReset)
	d := RetryDecision{
		Retry:           true,
		Reason:          reason,
		Charge:          !a.Reused || a.Failure != FailureUnsent,
		OtherHost:       !stale,
		FreshConnection: stale,
	}
	// The first retry of what no host has seen adds no load: it need not wait.
	if a.Number > 1 || reason == RetryAsked {
		d.After = p.wait(a)
	}
	return d
}

// classify says why the attempt might be repeated, or why it must not.
func (p *RetryPolicy) classify(a Attempt) RetryReason {
	switch a.Failure {
	case FailureConnect, FailureUnsent, FailureRefused:
		return RetryUnseen
	case FailureTruncated, FailureCancelled:
		return RetryTooLate
	case FailureNone:
		if !p.asked || !slices.Contains(p.codes, a.Status) {
			return RetryNotFailed
		}
	case FailureReset:
		if a.Reused && Idempotent(a.Method) {
			return RetryStale
		}
	default:
	}
	switch {
	case !Idempotent(a.Method) && !p.nonIdempotent:
		return RetryUnsafe
	case !p.asked:
		return RetryNotAsked
	default:
		return RetryAsked
	}
}

// wait is the backoff: doubled for each attempt, at most ten times the first, and
// anything from a half to one and a half of that.
func (p *RetryPolicy) wait(a Attempt) time.Duration {
	d := backoff(p.backoff, retryLongest*p.backoff, a.Number-1)
	return d/2 + spread(d, a.Random)
}
