package exchange

import (
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
)

const timeoutReason = stream.ReasonTimeout

// wantsRetry decides whether an answer with this status is asked for again.
func (x *Exchange) wantsRetry(status int) bool {
	if x.rule.Config.Retry == nil || status < 400 {
		return false
	}
	x.decide(resilience.FailureNone, status, false)
	return x.decision.Retry
}

// decide asks the policy and, where it says yes, the budget.
func (x *Exchange) decide(f resilience.Failure, status int, reused bool) {
	policy := resilience.NewRetryPolicy(x.rule.Config.Retry)
	x.decision = policy.Decide(resilience.Attempt{
		Failure: f, Status: status, Method: x.head.Method, Reused: reused,
		Replayable: x.body.complete, Number: x.tries, Random: x.w.random(),
	})
	d := &x.decision
	if d.Retry && d.Charge && !x.cluster.Set.Retries().Withdraw(x.w.loop.Now()) {
		d.Retry, d.Reason = false, resilience.RetryExhausted
	}
}

// again follows a failed attempt with another one as decided, or with the answer
// that says that there is none.
func (x *Exchange) again(f resilience.Failure) {
	a := &x.attempt
	a.drop(stream.ReasonNone)
	if x.decision.Retry && x.decision.FreshConnection {
		// When one pooled connection has died, its siblings have too.
		a.local.pool.Distrust()
	}
	a.settle(evloop.Clock())
	d := x.decision
	if !d.Retry {
		x.giveUp(f)
		return
	}
	x.rec.Flags |= record.Retried
	x.w.seriesOf(a.local, x.rec.Protocol).Retry()
	x.phase = routing
	if d.After <= 0 {
		x.ask()
		return
	}
	x.later(d.After, x.ask)
}

// giveUp answers for a backend that did not.
func (x *Exchange) giveUp(f resilience.Failure) {
	var exhausted record.Flag
	if x.tries > 1 {
		exhausted = record.RetryExhausted
	}
	if x.expired() {
		f = resilience.FailureTimeout
	}
	switch f {
	case resilience.FailureConnect:
		x.reply(localReply{status: 503, flags: exhausted | record.UpstreamConnectFailure, why: "no connection to the backend"})
	case resilience.FailureTimeout:
		x.reply(localReply{status: 504, flags: exhausted | record.Timeout, why: "the backend took too long"})
	case resilience.FailureProtocol:
		x.reply(localReply{status: 502, flags: exhausted | record.UpstreamProtocolError, why: "the backend's answer is not HTTP"})
	case resilience.FailureRefused, resilience.FailureUnsent:
		x.reply(localReply{status: 503, flags: exhausted | record.UpstreamReset, why: "the backend refused the request"})
	default:
		x.reply(localReply{status: 502, flags: exhausted | record.UpstreamReset, why: "the backend broke off"})
	}
}
