package exchange

import (
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
)

// OnHead begins with the request's head.
func (x *Exchange) OnHead(h *message.Head, end bool) {
	x.phase = routing
	x.head, x.downEnd = h, end
	x.body.reset(x.w.loop)
	x.describe(h)
	if refused, retryAfter := x.w.overloaded(); refused {
		x.reply(localReply{status: 503, flags: record.Overload, why: "the proxy is overloaded", retryAfter: retryAfter})
		return
	}
	path, err := route.Normalize(h.Path)
	if err != nil {
		x.reply(localReply{status: 400, flags: record.ClientProtocolError, why: err.Error()})
		return
	}
	h.Path = path
	x.openWebSocket(h)
	if x.match() {
		x.follow()
	}
}

// match finds the rule; where there is none it answers.
func (x *Exchange) match() bool {
	h := x.head
	x.found = x.conn.match(h)
	x.snap = x.conn.snap
	if l := x.found.Listener; l != nil {
		x.listener = l.Config
		x.rec.Listener = l.Config.Name
		x.idle = idleOf(l.Config)
	}
	x.rule = x.found.Rule
	switch {
	case x.rule == nil:
		x.reply(localReply{status: x.found.Reason.Status(), flags: record.NoRoute, why: x.found.Reason.String()})
		return false
	case h.Method == "CONNECT" && h.Protocol == "" && !x.listener.HTTP.AllowConnect:
		x.reply(localReply{status: 405, flags: record.Denied, why: "CONNECT is not allowed here"})
		return false
	case x.listener.HTTP.MaxBodyBytes > 0 && h.ContentLength > x.listener.HTTP.MaxBodyBytes:
		x.reply(localReply{status: 413, flags: record.ClientProtocolError, why: "the body is too large"})
		return false
	}
	x.rec.Route = x.rule.Route.Config.Name
	return true
}

// describe fills the record with what the client sent.
func (x *Exchange) describe(h *message.Head) {
	r := &x.rec
	r.Began = x.w.loop.Now()
	r.Start = evloop.Wall(r.Began).UnixNano()
	r.Version = h.Version
	r.Method, r.Scheme, r.Authority, r.Path = h.Method, h.Scheme, h.Authority, h.Path
	info := x.conn.info
	r.Client, r.Peer = info.Remote, info.PeerID
	r.Protocol = metrics.ProtocolHTTP1
	if h.Version == message.HTTP2 {
		r.Protocol = metrics.ProtocolHTTP2
	}
	x.grpc = false
	for i := range h.Fields {
		switch f := &h.Fields[i]; f.ID {
		case message.IDUserAgent:
			r.UserAgent = f.Value
		case message.IDContentType:
			if isGRPC(f.Value) {
				x.grpc = true
				r.Protocol = metrics.ProtocolGRPC
			}
		default:
		}
	}
}

func isGRPC(contentType string) bool {
	const prefix = "application/grpc"
	if len(contentType) < len(prefix) || contentType[:len(prefix)] != prefix {
		return false
	}
	return len(contentType) == len(prefix) || contentType[len(prefix)] == '+' || contentType[len(prefix)] == ';'
}

// OnData takes a part of the request's body.
func (x *Exchange) OnData(p []byte, end bool) {
	if x.phase == over {
		return
	}
	x.moved()
	x.rec.BytesIn += int64(len(p))
	x.downEnd = x.downEnd || end
	if x.tooLarge() {
		x.dropAttempt(stream.ReasonCancel)
		x.reply(localReply{status: 413, flags: record.ClientProtocolError, why: "the body is too large"})
		return
	}
	for _, m := range x.mirrors {
		m.data(p, end)
	}
	x.keep(p)
	if x.attempt.sending {
		x.attempt.data(p, end)
	}
	x.endTunnel()
}

// endTunnel closes the books of a tunnel when both directions have ended.
func (x *Exchange) endTunnel() {
	if x.tunnel && x.downEnd && x.upEnd {
		x.account()
	}
}

func (x *Exchange) tooLarge() bool {
	limit := x.listener.HTTP.MaxBodyBytes
	return limit > 0 && x.rec.BytesIn > limit && !x.tunnel
}

// keep holds on to a part of the body that may be needed again, and slows the
// client down when nothing can be sent yet.
func (x *Exchange) keep(p []byte) {
	if !x.attempt.sending {
		// Not sent to anybody yet: it must be kept whatever its size.
		x.body.keep(x.w.loop, p)
		if len(x.body.buf) >= x.replayLimit() && !x.downPaused {
			x.downPaused = true
			x.down.Pause(true)
		}
		return
	}
	if !x.body.complete {
		return
	}
	if len(x.body.buf)+len(p) > x.replayLimit() || x.phase != asking {
		x.body.forget(x.w.loop)
		return
	}
	x.body.keep(x.w.loop, p)
}

func (x *Exchange) replayLimit() int {
	if x.rule != nil && x.rule.Config.Retry != nil && x.rule.Config.Retry.MaxBodyBytes > 0 {
		return x.rule.Config.Retry.MaxBodyBytes
	}
	return defaultReplay
}

// OnTrailers ends the request with trailers. A tunnel has no place for them.
func (x *Exchange) OnTrailers(fields []message.Field) {
	switch {
	case x.phase == over:
		return
	case x.tunnel:
		x.OnData(nil, true)
		return
	}
	x.moved()
	x.downEnd = true
	for _, m := range x.mirrors {
		m.data(nil, true)
	}
	if x.body.complete || !x.attempt.sending {
		x.body.keepTrailers(fields)
	}
	if x.attempt.sending {
		x.attempt.trailers(fields)
	}
}

// OnRoom: the client takes more of the response.
func (x *Exchange) OnRoom() {
	if x.phase == over || !x.downFull {
		return
	}
	x.moved()
	x.downFull = false
	if x.attempt.up != nil {
		x.attempt.up.Pause(false)
	}
}
