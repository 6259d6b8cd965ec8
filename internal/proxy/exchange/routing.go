package exchange

import (
	"strconv"
	"time"
	"unsafe"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/trace"
)

// follow does what the rule says.
func (x *Exchange) follow() {
	rule := x.rule.Config
	if rule.IdleTimeout > 0 {
		x.idle = int64(rule.IdleTimeout)
	}
	if rule.RequestTimeout > 0 {
		x.expireAfter(rule.RequestTimeout)
	}
	if x.grpc {
		x.grpcDeadline(rule.RequestTimeout)
	}
	if limit := x.rule.Limit; limit != nil && !limit.Allow(x.w.loop.Now()) {
		x.reply(localReply{status: limit.Status(), flags: record.RateLimited, why: "too many requests", retryAfter: seconds(limit.Wait(x.w.loop.Now()))})
		return
	}
	if x.answered() {
		return
	}
	if rule.Fault != nil && x.fault() {
		return
	}
	x.forward()
}

// seconds rounds up, to at least one.
func seconds(nanos int64) int { return max(int((nanos+1e9-1)/1e9), 1) }

// answered says that the rule answers by itself.
func (x *Exchange) answered() bool {
	f := &x.rule.Config.Filters
	h := &x.w.reply
	switch {
	case x.rule.CORS != nil && x.head.Method == "OPTIONS":
		h.Reset()
		if !x.rule.CORS.Preflight(x.head, h) {
			return false
		}
		x.rec.Flags |= record.Direct
		x.send(h, "")
	case f.Redirect != nil:
		status, location := x.rule.Redirect(x.head, x.found.Listener, x.found.Prefix)
		x.reply(localReply{status: status, flags: record.Direct, location: location})
	case f.Direct != nil:
		h.Reset()
		x.rule.Answer(h)
		x.rec.Flags |= record.Direct
		x.markCORS(h)
		x.send(h, f.Direct.Body)
	default:
		return false
	}
	return true
}

// fault injects what the rule asks for; true: the request goes on later or never.
func (x *Exchange) fault() bool {
	in := x.rule.Inject(x.w.random(), x.w.random())
	abort := func() {
		x.reply(localReply{status: in.Status, grpc: in.GRPC, flags: record.FaultInjected, why: "a fault was injected"})
	}
	switch {
	case in.Delay > 0:
		x.rec.Flags |= record.Delayed
		x.later(in.Delay, func() {
			if in.Status != 0 {
				abort()
				return
			}
			x.forward()
		})
	case in.Status != 0:
		abort()
	default:
		return false
	}
	return true
}

// later goes on after a while, unless the exchange ends before.
func (x *Exchange) later(d time.Duration, then func()) {
	x.resume = then
	x.w.loop.After(int64(d), &x.pause)
}

func (x *Exchange) resumed() {
	then := x.resume
	x.resume = nil
	if x.phase != over && then != nil {
		then()
	}
}

// forward chooses the cluster and sends the request there.
func (x *Exchange) forward() {
	if x.lastHop() {
		return
	}
	x.backend = x.rule.Pick()
	if x.backend == nil || x.backend.Config.Invalid {
		x.reply(localReply{status: 500, flags: record.NoCluster, why: "the rule has no valid backend"})
		return
	}
	x.cluster = x.snap.Clusters[x.backend.Config.Cluster]
	if x.cluster == nil {
		x.reply(localReply{status: 500, flags: record.NoCluster, why: "the backend is not known"})
		return
	}
	x.rec.Cluster = x.cluster.Config.Name
	if !x.cluster.Set.Breaker().AcquireRequest() {
		x.w.shard.Cluster(x.cluster.Service).Reject()
		x.reply(localReply{status: 503, flags: record.CircuitOpen, why: "the cluster has too many requests", retryAfter: 1})
		return
	}
	x.admitted = true
	x.cluster.Set.Retries().Request(x.w.loop.Now())
	x.trace()
	x.editRequest()
	x.startMirrors()
	x.ask()
}

// editRequest makes the request what the backend is to see.
func (x *Exchange) editRequest() {
	h := x.head
	x.rule.Rewrite(h, x.found.Prefix)
	x.forwarded()
	x.rule.Request.Apply(h)
	x.backend.Request.Apply(h)
}

// trace continues the caller's trace, or begins one where spans are exported.
func (x *Exchange) trace() {
	ctx := x.w.shard.Trace(trace.Extract(x.head))
	if !ctx.Valid() {
		return
	}
	x.rec.Trace = ctx
	if !ctx.Own {
		return // passed on as it came
	}
	x.head.Remove(message.IDTraceparent, "")
	value := ctx.Append(x.scratch[:0])
	x.head.Add(message.IDTraceparent, "traceparent", unsafe.String(&value[0], len(value))) //nolint:gosec // scratch stays as it is while the exchange lasts
}

// grpcDeadline follows the client's deadline, and passes on whichever ends first.
func (x *Exchange) grpcDeadline(limit time.Duration) {
	value, ok := x.head.Get(message.IDGRPCTimeout, "")
	asked, valid := parseGRPCTimeout(value)
	if !ok || !valid {
		if limit > 0 {
			x.head.Add(message.IDGRPCTimeout, "grpc-timeout", formatGRPCTimeout(limit))
		}
		return
	}
	if limit > 0 && limit < asked {
		x.head.Remove(message.IDGRPCTimeout, "")
		x.head.Add(message.IDGRPCTimeout, "grpc-timeout", formatGRPCTimeout(limit))
		return
	}
	x.expireAfter(asked)
}

// expireAfter bounds the whole exchange.
func (x *Exchange) expireAfter(d time.Duration) {
	x.expires = x.w.loop.Now() + int64(d)
	x.w.loop.After(int64(d), &x.deadline)
}

// expired says that the time is over, although the timer, which is coarse, may not
// have fired: a backend that knows the deadline ends on time and may be first.
func (x *Exchange) expired() bool { return x.expires > 0 && evloop.Clock() >= x.expires }

// parseGRPCTimeout reads "100m": at most eight digits and a unit.
func parseGRPCTimeout(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	unit := grpcUnit(s[len(s)-1])
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if unit == 0 || err != nil {
		return 0, false
	}
	const longest = 365 * 24 * time.Hour
	if n > uint64(longest/unit) {
		return longest, true
	}
	return time.Duration(n) * unit, true
}

func grpcUnit(c byte) time.Duration {
	switch c {
	case 'H':
		return time.Hour
	case 'M':
		return time.Minute
	case 'S':
		return time.Second
	case 'm':
		return time.Millisecond
	case 'u':
		return time.Microsecond
	case 'n':
		return time.Nanosecond
	default:
		return 0
	}
}

func formatGRPCTimeout(d time.Duration) string {
	if d < 100*time.Second {
		return strconv.FormatInt(d.Microseconds(), 10) + "u"
	}
	return strconv.FormatInt(min(d.Milliseconds(), 99_999_999), 10) + "m"
}

// timedOut: the request's time is over.
func (x *Exchange) timedOut() {
	switch x.phase {
	case over:
	case answering:
		x.abort(record.Timeout, timeoutReason)
	default:
		x.dropAttempt(timeoutReason)
		x.reply(localReply{status: 504, flags: record.Timeout, why: "the request took too long"})
	}
}
