package resilience

import (
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

func TestRetryDecide(t *testing.T) {
	asked := &connect.Retry{Codes: []int{503}}
	unsafely := &connect.Retry{Codes: []int{503}, NonIdempotent: true}
	const fresh, reused = false, true
	for _, tt := range []struct {
		name   string
		route  *connect.Retry
		f      Failure
		status int
		method string
		reused bool
		want   RetryReason
	}{
		{"good answer", asked, FailureNone, 200, "GET", fresh, RetryNotFailed},
		{"code that is listed", asked, FailureNone, 503, "GET", fresh, RetryAsked},
		{"code that is not", asked, FailureNone, 500, "GET", fresh, RetryNotFailed},
		{"code without a policy", nil, FailureNone, 503, "GET", fresh, RetryNotFailed},
		{"code for POST", asked, FailureNone, 503, "POST", fresh, RetryUnsafe},
		{"code for POST, asked for", unsafely, FailureNone, 503, "POST", fresh, RetryAsked},

		{"no connection", nil, FailureConnect, 0, "GET", fresh, RetryUnseen},
		{"no connection for POST", nil, FailureConnect, 0, "POST", fresh, RetryUnseen},
		{"nothing written", nil, FailureUnsent, 0, "POST", reused, RetryUnseen},
		{"refused stream", nil, FailureRefused, 0, "PATCH", reused, RetryUnseen},

		{"stale connection", nil, FailureReset, 0, "GET", reused, RetryStale},
		{"stale connection, with a policy", asked, FailureReset, 0, "DELETE", reused, RetryStale},
		{"stale connection for POST", nil, FailureReset, 0, "POST", reused, RetryUnsafe},
		{"stale connection for POST, with a policy", asked, FailureReset, 0, "POST", reused, RetryUnsafe},
		{"stale connection for POST, asked for", unsafely, FailureReset, 0, "POST", reused, RetryAsked},
		{"new connection", nil, FailureReset, 0, "GET", fresh, RetryNotAsked},
		{"new connection, with a policy", asked, FailureReset, 0, "GET", fresh, RetryAsked},
		{"new connection for POST", asked, FailureReset, 0, "POST", fresh, RetryUnsafe},

		{"timeout", nil, FailureTimeout, 0, "GET", reused, RetryNotAsked},
		{"timeout, with a policy", asked, FailureTimeout, 0, "PUT", fresh, RetryAsked},
		{"timeout for POST", asked, FailureTimeout, 0, "POST", fresh, RetryUnsafe},
		{"no answer at all", asked, FailureProtocol, 0, "GET", fresh, RetryAsked},
		{"no answer at all, no policy", nil, FailureProtocol, 0, "GET", fresh, RetryNotAsked},
		{"half an answer", unsafely, FailureTruncated, 0, "GET", fresh, RetryTooLate},
		{"client gone", unsafely, FailureCancelled, 0, "GET", fresh, RetryTooLate},

		{"methods are case-sensitive", asked, FailureReset, 0, "get", reused, RetryUnsafe},
		{"CONNECT", asked, FailureReset, 0, "CONNECT", reused, RetryUnsafe},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := NewRetryPolicy(tt.route)
			a := Attempt{Failure: tt.f, Status: tt.status, Method: tt.method, Reused: tt.reused, Replayable: true, Number: 1}
			got := p.Decide(a)
			again := tt.want == RetryUnseen || tt.want == RetryStale || tt.want == RetryAsked
			if got.Reason != tt.want || got.Retry != again {
				t.Errorf("%v, %v; want %v", got.Retry, got.Reason, tt.want)
			}
			if !again {
				return
			}
			a.Replayable = false
			if got := p.Decide(a); got.Retry || got.Reason != RetryBody {
				t.Errorf("without the body: %+v", got)
			}
			a.Replayable, a.Number = true, 3
			if got := p.Decide(a); got.Retry || got.Reason != RetryExhausted {
				t.Errorf("after three attempts: %+v", got)
			}
		})
	}
}

func TestRetryHow(t *testing.T) {
	for _, tt := range []struct {
		name string
		a    Attempt
		want RetryDecision
	}{
		{
			"refused connection: at once, elsewhere",
			Attempt{Failure: FailureConnect, Number: 1},
			RetryDecision{Retry: true, Reason: RetryUnseen, Charge: true, OtherHost: true},
		},
		{
			"a second one waits",
			Attempt{Failure: FailureConnect, Number: 2, Random: 1 << 63},
			RetryDecision{Retry: true, Reason: RetryUnseen, Charge: true, OtherHost: true, After: 50 * time.Millisecond},
		},
		{
			"stale: at once, same host, new connection",
			Attempt{Failure: FailureReset, Method: "GET", Reused: true, Number: 1},
			RetryDecision{Retry: true, Reason: RetryStale, Charge: true, FreshConnection: true},
		},
		{
			"dead pooled connection costs nothing",
			Attempt{Failure: FailureUnsent, Reused: true, Number: 1},
			RetryDecision{Retry: true, Reason: RetryUnseen, FreshConnection: true},
		},
		{
			"answer: waits, elsewhere",
			Attempt{Status: 503, Method: "GET", Number: 1},
			RetryDecision{Retry: true, Reason: RetryAsked, Charge: true, OtherHost: true, After: 12500 * time.Microsecond},
		},
	} {
		tt.a.Replayable = true
		p := NewRetryPolicy(&connect.Retry{Codes: []int{503}})
		if got := p.Decide(tt.a); got != tt.want {
			t.Errorf("%s: %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

func TestRetryBackoff(t *testing.T) {
	p := NewRetryPolicy(&connect.Retry{Attempts: 100, Backoff: 10 * time.Millisecond, Codes: []int{503}})
	for n, want := range map[int]time.Duration{
		-1: 10 * time.Millisecond, // of a caller that counts wrongly
		1:  10 * time.Millisecond,
		2:  20 * time.Millisecond,
		4:  80 * time.Millisecond,
		5:  100 * time.Millisecond,
		99: 100 * time.Millisecond,
	} {
		least, most := time.Hour, time.Duration(0)
		for i := range uint64(64) {
			d := p.Decide(Attempt{Status: 503, Method: "GET", Replayable: true, Number: n, Random: i << 58}).After
			least, most = min(least, d), max(most, d)
		}
		if least != want/2 || most <= want || most >= want*3/2 {
			t.Errorf("attempt %d: %v to %v, want %v give or take a half", n, least, most, want)
		}
	}
}

// FuzzRetry holds the rules that protect payments, whatever the route says.
func FuzzRetry(f *testing.F) {
	f.Add(uint8(4), 0, "POST", true, true, 1, uint64(1), true, false)
	f.Add(uint8(0), 503, "GET", false, true, 1, uint64(1), true, true)
	f.Fuzz(func(t *testing.T, failure uint8, status int, method string, reused, replayable bool, number int, random uint64, asked, unsafely bool) {
		var route *connect.Retry
		if asked {
			route = &connect.Retry{Codes: []int{500, 503}, NonIdempotent: unsafely, Attempts: status % 5, Backoff: time.Duration(random)}
		}
		p := NewRetryPolicy(route)
		a := Attempt{Failure(failure), status, method, reused, replayable, number, random}
		d := p.Decide(a)
		unseen := a.Failure == FailureConnect || a.Failure == FailureUnsent || a.Failure == FailureRefused
		switch {
		case !d.Retry && d != (RetryDecision{Reason: d.Reason}):
			t.Errorf("no retry, but %+v", d)
		case !d.Retry:
		case !replayable:
			t.Error("asked again without the body")
		case number > p.attempts:
			t.Errorf("attempt %d", number)
		case !unseen && !Idempotent(method) && (route == nil || !unsafely):
			t.Errorf("%q asked again after the host may have seen it", method)
		case d.After < 0 || d.After > 15*time.Hour:
			t.Errorf("waits for %v", d.After)
		}
	})
}

func TestNames(t *testing.T) {
	for f := FailureNone; f <= FailureCancelled; f++ {
		if f.String() == "" || f.String() == "unknown" {
			t.Errorf("failure %d has no name", f)
		}
	}
	for r := RetryNotFailed; r <= RetryTooLate; r++ {
		if r.String() == "" || r.String() == "unknown" {
			t.Errorf("reason %d has no name", r)
		}
	}
	if Failure(99).String() != "unknown" || RetryReason(99).String() != "unknown" {
		t.Error("what is out of range must be unknown")
	}
}
