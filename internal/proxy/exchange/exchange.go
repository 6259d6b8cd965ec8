package exchange

import (
	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/balance"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/trace"
)

// Exchange is one request and its response. It is the Handler of the client's
// stream; its attempt is the Handler of the backend's.
//
// It ends in one of three ways: the response is sent whole, the client is told by
// a reset that it is not (abort), or the client leaves (OnReset). Each calls account
// before the last word goes out, for strings of the record alias the client's
// buffer, which the codec may use again from then on.
type Exchange struct {
	w    *Worker
	conn *Conn
	next *Exchange // in the list of open exchanges
	prev *Exchange

	down  stream.Stream
	head  *message.Head // of the request; valid while down is
	rec   record.Record
	phase phase
	// downEnd: the request was received whole. downFull: the client's stream has
	// no room for more of the response. downPaused: we asked it to pause.
	downEnd    bool
	downFull   bool
	downPaused bool
	upEnd      bool // a tunnel's backend has ended its direction
	grpc       bool
	tunnel     bool

	// snap is the configuration that the rule is of.
	snap     *Snapshot
	listener *connect.Listener
	found    route.Result
	rule     *route.Rule
	backend  *route.Backend
	cluster  *Cluster
	admitted bool // a place of the cluster's breaker is taken
	body     body
	attempt  attempt
	tries    int
	tried    [maxTried]*balance.Host
	decision resilience.RetryDecision
	mirrors  []*mirror

	// lastMove is when a byte moved last, for the idle time-out.
	lastMove int64
	idle     int64
	deadline evloop.Timer // of the request
	expires  int64        // when deadline is due, of the loop's clock; 0: never
	pause    evloop.Timer // before a retry, or an injected delay
	resume   func()       // what pause waits for

	scratch [trace.HeaderLength]byte // the traceparent
}

type phase uint8

const (
	// waiting: the request's head has not come yet.
	waiting phase = iota
	// routing: decided, but delayed or about to be sent.
	routing
	// asking: an attempt is on its way; nothing of a final response was passed on.
	asking
	// answering: the final head was passed on.
	answering
	// over: accounted; nothing may be called any more.
	over
)

const maxTried = 4

// begin prepares a fresh or reused exchange.
func (x *Exchange) begin(c *Conn, down stream.Stream) {
	x.conn, x.down = c, down
	x.phase = waiting
	x.lastMove = x.w.loop.Now()
	x.idle = 0
}

// account closes the books. Nothing of the request may be used after it.
func (x *Exchange) account() {
	if x.phase == over {
		return
	}
	x.phase = over
	x.deadline.Stop()
	x.pause.Stop()
	now := evloop.Clock()
	if l := x.attempt.local; l != nil {
		x.rec.Series = x.w.seriesOf(l, x.rec.Protocol)
	}
	x.w.shard.Done(now, &x.rec)
	for _, m := range x.mirrors {
		m.requestGone()
	}
	x.attempt.settle(now)
	if x.admitted {
		x.admitted = false
		x.cluster.Set.Breaker().ReleaseRequest()
	}
	x.w.close(x)
}

// clear makes the exchange ready for another request.
func (x *Exchange) clear() {
	x.body.reset(x.w.loop)
	x.rec.Reset()
	clear(x.tried[:])
	x.mirrors = nil
	x.conn, x.down, x.head, x.snap, x.listener, x.rule, x.backend, x.cluster = nil, nil, nil, nil, nil, nil, nil, nil
	x.found = route.Result{}
	x.downEnd, x.downFull, x.downPaused, x.upEnd, x.grpc, x.tunnel = false, false, false, false, false, false
	x.tries, x.expires, x.resume = 0, 0, nil
	x.attempt.clear()
}

// endDown tidies the client's stream after the last part was sent: a request
// that is still coming is not wanted any more (RFC 9113, section 8.1).
func endDown(down stream.Stream, requestEnded bool) {
	if !requestEnded {
		down.Reset(stream.ReasonNone)
	}
}

// abort tells the client by a reset that the response will not be whole.
func (x *Exchange) abort(flags record.Flag, why stream.Reason) {
	if x.phase == over {
		return
	}
	x.rec.Flags |= flags
	down := x.down
	x.dropAttempt(stream.ReasonCancel)
	x.account()
	down.Reset(why)
}

// OnReset: the client left, or broke the protocol.
func (x *Exchange) OnReset(r stream.Reason) {
	if x.phase == over {
		return
	}
	switch r {
	case stream.ReasonProtocol, stream.ReasonTooLarge:
		x.rec.Flags |= record.ClientProtocolError
	default:
		x.rec.Flags |= record.ClientClosed
	}
	if x.rec.Status == 0 {
		x.rec.Status = statusClientClosed
	}
	x.dropAttempt(stream.ReasonCancel)
	x.account()
}

// statusClientClosed is what logs say, by nginx's example, of a request that the
// client gave up; nobody ever receives it.
const statusClientClosed = 499

// moved notes that a byte went through.
func (x *Exchange) moved() { x.lastMove = x.w.loop.Now() }

// tick is called about once a second.
func (x *Exchange) tick(now int64) {
	if x.phase == over || x.idle <= 0 || now-x.lastMove < x.idle {
		return
	}
	if x.phase == waiting || x.phase == answering {
		x.abort(record.IdleTimeout, stream.ReasonTimeout)
		return
	}
	if !x.downEnd && !x.downPaused && x.attempt.up != nil {
		// The client owes us the rest of its request.
		x.dropAttempt(stream.ReasonCancel)
		x.reply(localReply{status: 408, flags: record.IdleTimeout, why: "the request stopped coming"})
		return
	}
	x.dropAttempt(stream.ReasonTimeout)
	x.reply(localReply{status: 504, flags: record.IdleTimeout, why: "the backend sent nothing for too long"})
}
