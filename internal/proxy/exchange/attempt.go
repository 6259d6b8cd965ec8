package exchange

import (
	"errors"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/balance"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
	"github.com/tatami-platform/tatami/internal/proxy/upstream"
)

// attempt is one endpoint being asked. An exchange has one at a time, so it lies
// within it. It is the Handler of the backend's stream.
type attempt struct {
	x    *Exchange
	wait upstream.Wait
	// picked is the choice, host what was chosen, local what this loop has of it.
	picked balance.Picked
	host   *balance.Host
	local  *local
	up     stream.Stream
	// sending: the head was sent, and the body follows as it comes. sentEnd: all
	// was sent.
	sending bool
	sentEnd bool
	// begun: Host.End is owed. judged: Set.Observe is not. limited: a place of the
	// adaptive limit is taken.
	begun   bool
	judged  bool
	limited bool
	fresh   bool // the connection was new
	began   int64
	timer   evloop.Timer // of the attempt
}

// ask chooses an endpoint and asks it for a connection.
func (x *Exchange) ask() {
	a := &x.attempt
	now := x.w.loop.Now()
	a.picked = x.pick(now)
	a.host = a.picked.Host
	if a.host == nil {
		x.reply(localReply{status: 503, flags: record.NoHealthyUpstream, why: "the cluster has no endpoint to ask"})
		return
	}
	if x.tries < maxTried {
		x.tried[x.tries] = a.host
	}
	x.tries++
	x.phase = asking
	x.rec.Attempts = x.tries
	x.rec.Upstream = a.host.Address()
	a.up = nil
	a.sending, a.sentEnd = false, false
	a.began, a.begun, a.judged = now, true, false
	a.host.Begin()
	if x.cluster.Config.Breaker.Adaptive {
		if !a.host.Adaptive.Acquire() {
			x.reply(localReply{status: 503, flags: record.CircuitOpen, why: "the endpoint has as many requests as it can answer", retryAfter: 1})
			return
		}
		a.limited = true
	}
	if t := x.rule.Config.BackendTimeout; t > 0 {
		x.w.loop.After(int64(t), &a.timer)
	}
	a.local = x.w.local(x.cluster, a.host)
	client, err := a.local.pool.Get(&a.wait)
	switch {
	case err != nil:
		a.ConnFailed(err)
	case client != nil:
		a.ConnReady(client)
	}
}

// pick chooses: the session's endpoint if it works, else as the policy says.
func (x *Exchange) pick(now int64) balance.Picked {
	set := x.cluster.Set
	if x.rule.Config.Session != nil && x.tries == 0 {
		if key, ok := x.rule.Session(x.head); ok {
			if h := set.ByKey(key); h != nil {
				return balance.Picked{Host: h}
			}
		}
	}
	c := &x.w.choice
	*c = balance.Choice{Random: x.w.random(), Tried: x.tried[:min(x.tries, maxTried)]}
	if set.NeedsHash() {
		c.Hash, c.HasHash = x.hash()
	}
	return set.Pick(now, c)
}

// hash is that of what the cluster's balancing goes by.
func (x *Exchange) hash() (uint64, bool) {
	on := &x.cluster.Config.Balance.HashOn
	switch {
	case on.Header != "":
		v, ok := x.head.Get(message.Lookup(on.Header), on.Header)
		return balance.Key(v), ok
	case on.Cookie != "":
		v, ok := route.Cookie(x.head, on.Cookie)
		return balance.Key(v), ok
	default:
		return balance.Key(x.conn.clientIP()), true
	}
}

// ConnReady sends what there is of the request.
func (a *attempt) ConnReady(c stream.Client) {
	x := a.x
	a.sending = true
	a.fresh = c.Fresh()
	a.up = c.Open(a)
	last := x.downEnd && len(x.body.buf) == 0 && x.body.trailers == nil
	a.sentEnd = last
	a.up.SendHead(x.head, last)
	if !last && a.up != nil {
		a.sendKept()
	}
}

// sendKept sends what of the body is there by now, and lets the client go on.
func (a *attempt) sendKept() {
	x, body := a.x, &a.x.body
	room := true
	if len(body.buf) > 0 {
		room = a.data(body.buf, x.downEnd && body.trailers == nil)
	}
	if a.up != nil && body.trailers != nil {
		a.trailers(body.trailers)
	}
	if room && x.phase == asking && x.downPaused {
		x.downPaused = false
		x.down.Pause(false)
	}
}

// ConnFailed: there is no connection for this attempt.
func (a *attempt) ConnFailed(err error) {
	x := a.x
	if errors.Is(err, upstream.ErrPending) {
		a.local.limits.count.Reject()
		a.settle(evloop.Clock())
		x.reply(localReply{status: 503, flags: record.CircuitOpen, why: "too many requests wait for a connection", retryAfter: 1})
		return
	}
	a.local.limits.count.ConnectFailure()
	a.failed(resilience.FailureConnect, false)
}

// data passes a part of the request's body on, and says whether there is room for
// more; without, the client is paused.
func (a *attempt) data(p []byte, end bool) (room bool) {
	a.sentEnd = a.sentEnd || end
	x := a.x
	room = a.up.SendData(p, end)
	if room || x.phase == over || x.downEnd || x.downPaused {
		return room
	}
	x.downPaused = true
	x.down.Pause(true)
	return false
}

func (a *attempt) trailers(fields []message.Field) {
	a.sentEnd = true
	a.up.SendTrailers(fields)
}

// OnRoom: the backend takes more of the request.
func (a *attempt) OnRoom() {
	x := a.x
	if x.phase == over || !x.downPaused {
		return
	}
	x.moved()
	x.downPaused = false
	x.down.Pause(false)
}

// OnHead takes the head of a response.
func (a *attempt) OnHead(h *message.Head, end bool) {
	x := a.x
	x.moved()
	if h.Status < 200 && h.Status != 101 {
		x.down.SendHead(h, false)
		return
	}
	a.timer.Stop()
	a.judge(resilience.FailureNone, h.Status)
	if h.Status == 101 {
		x.switchProtocols(h)
		return
	}
	if end {
		a.over() // before a retry too: what is complete must not be reset
	}
	if x.wantsRetry(h.Status) {
		x.again(resilience.FailureNone)
		return
	}
	x.responseHead(h, end)
}

// OnData takes a part of the response.
func (a *attempt) OnData(p []byte, end bool) {
	x := a.x
	x.moved()
	if end {
		a.over()
	}
	x.responseData(p, end)
}

// OnTrailers ends the response. A tunnel has no place for them.
func (a *attempt) OnTrailers(fields []message.Field) {
	if a.x.tunnel {
		a.OnData(nil, true)
		return
	}
	a.x.moved()
	a.over()
	a.x.responseTrailers(fields)
}

// over: the response is complete. If the request is not, the backend does not
// want the rest of it; a tunnel has two directions that end apart.
func (a *attempt) over() {
	if a.sentEnd || a.x.tunnel {
		if a.sentEnd {
			a.up = nil
		}
		return
	}
	up := a.up
	a.up, a.sending = nil, false
	up.Reset(stream.ReasonNone)
}

// OnReset: the backend's stream is gone before its end.
func (a *attempt) OnReset(r stream.Reason) {
	a.up = nil
	x := a.x
	if x.phase == over {
		return
	}
	if x.phase == answering {
		a.judge(resilience.FailureTruncated, 0)
		x.responseBroken(r)
		return
	}
	f, stale := failureOf(r)
	if f == resilience.FailureUnsent && a.fresh {
		f = resilience.FailureConnect // it was never any good
	}
	a.failed(f, stale)
}

// failureOf translates; stale says that a pooled connection may have been closed
// by the backend before the request reached it.
func failureOf(r stream.Reason) (f resilience.Failure, stale bool) {
	switch r {
	case stream.ReasonRefused:
		return resilience.FailureRefused, false
	case stream.ReasonUnsent:
		return resilience.FailureUnsent, false
	case stream.ReasonStale:
		return resilience.FailureReset, true
	case stream.ReasonProtocol, stream.ReasonTooLarge:
		return resilience.FailureProtocol, false
	case stream.ReasonTimeout:
		return resilience.FailureTimeout, false
	default:
		return resilience.FailureReset, false
	}
}

// timeout: the attempt's time is over.
func (a *attempt) timeout() {
	if a.x.phase != asking {
		return
	}
	a.drop(stream.ReasonTimeout)
	a.failed(resilience.FailureTimeout, false)
}

// failed decides what follows an attempt without an answer.
func (a *attempt) failed(f resilience.Failure, stale bool) {
	// A backend that closes idle connections is not ill.
	if !stale {
		a.judge(f, 0)
	}
	a.x.decide(f, 0, stale)
	a.x.again(f)
}

// drop gives the attempt up, if there is one.
func (a *attempt) drop(r stream.Reason) {
	a.timer.Stop()
	a.wait.Cancel()
	a.sending = false
	if up := a.up; up != nil {
		a.up = nil
		up.Reset(r)
	}
}

func (x *Exchange) dropAttempt(r stream.Reason) {
	x.attempt.drop(r)
}

// settle gives back what the attempt took.
func (a *attempt) settle(now int64) {
	a.timer.Stop()
	if !a.begun {
		return
	}
	a.begun = false
	if !a.judged {
		a.observe(now, resilience.FailureCancelled, 0)
		a.x.cluster.Set.Abandon(now, a.picked)
	}
	if a.limited {
		a.limited = false
		a.host.Adaptive.Release()
	}
	a.host.End()
}

// judge tells the balancer how the endpoint did, once per attempt.
func (a *attempt) judge(f resilience.Failure, status int) {
	if !a.judged {
		a.observe(evloop.Clock(), f, status)
	}
}

func (a *attempt) observe(now int64, f resilience.Failure, status int) {
	a.judged = true
	w := a.x.w
	o := &w.outcome
	*o = balance.Outcome{Latency: time.Duration(now - a.began), Failure: f, Status: status, Random: w.random()}
	switch a.x.cluster.Set.Observe(now, a.picked, o).Event {
	case resilience.EventEjected, resilience.EventProbeFailed:
		w.shard.Cluster(a.x.cluster.Service).Eject()
	default:
	}
}

func (a *attempt) clear() {
	a.host, a.local, a.up = nil, nil, nil
	a.picked = balance.Picked{}
	a.sending, a.sentEnd, a.begun, a.judged = false, false, false, false
}
