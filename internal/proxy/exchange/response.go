package exchange

import (
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
)

// switchProtocols passes 101 on, which makes a tunnel of the two streams.
func (x *Exchange) switchProtocols(h *message.Head) {
	x.enterTunnel()
	x.acceptWebSocket(h)
	x.rec.Status = 101
	x.phase = answering
	x.down.SendHead(h, false)
}

// enterTunnel: what follows is not a message any more, so that limits made for
// messages end.
func (x *Exchange) enterTunnel() {
	x.tunnel = true
	x.deadline.Stop()
	x.body.forget(x.w.loop)
	x.idle = max(x.idle, tunnelIdle)
}

// responseHead passes the final head on.
func (x *Exchange) responseHead(h *message.Head, end bool) {
	x.phase = answering
	x.rec.Status = h.Status
	x.body.forget(x.w.loop)
	if x.head.Method == "CONNECT" && h.Status/100 == 2 {
		x.enterTunnel()
	}
	x.editResponse(h)
	if x.grpc {
		x.noteGRPC(h.Fields)
	}
	if !end {
		x.down.SendHead(h, false)
		return
	}
	down, ended := x.down, x.downEnd
	x.account()
	down.SendHead(h, true)
	endDown(down, ended)
}

// editResponse applies the rule's filters to a response.
func (x *Exchange) editResponse(h *message.Head) {
	x.w.dated(h)
	x.rule.Response.Apply(h)
	x.backend.Response.Apply(h)
	if x.rule.CORS != nil {
		origin, _ := x.head.Get(message.IDOrigin, "origin")
		x.rule.CORS.Mark(origin, h)
	}
	if x.rule.Config.Session != nil {
		x.bindSession(h)
	}
}

// bindSession tells the client which endpoint to come back to, unless it knows.
func (x *Exchange) bindSession(h *message.Head) {
	host := x.attempt.host
	if key, ok := x.rule.Session(x.head); ok && key == host.Key() {
		return
	}
	s := x.rule.Config.Session
	if s.Cookie == "" {
		h.Remove(message.Lookup(s.Header), s.Header)
		h.Add(message.Lookup(s.Header), s.Header, string(route.AppendSession(nil, host.Key())))
		return
	}
	h.Add(message.IDSetCookie, "set-cookie", string(x.rule.AppendSetCookie(nil, host.Key(), x.conn.info.Encrypted)))
}

// responseData passes a part of the body on.
func (x *Exchange) responseData(p []byte, end bool) {
	x.rec.BytesOut += int64(len(p))
	down := x.down
	if end && !x.tunnel {
		ended := x.downEnd
		x.account()
		down.SendData(p, true)
		endDown(down, ended)
		return
	}
	if x.tunnel && end {
		x.upEnd = true
		x.endTunnel()
	}
	if !down.SendData(p, end) && x.phase != over && !x.downFull {
		x.downFull = true
		if up := x.attempt.up; up != nil && !x.upEnd {
			up.Pause(true)
		}
	}
}

// responseTrailers ends the response with trailers.
func (x *Exchange) responseTrailers(fields []message.Field) {
	if x.grpc {
		x.noteGRPC(fields)
	}
	down, ended := x.down, x.downEnd
	x.account()
	down.SendTrailers(fields)
	endDown(down, ended)
}

// noteGRPC takes the outcome from grpc-status.
func (x *Exchange) noteGRPC(fields []message.Field) {
	for i := range fields {
		if f := &fields[i]; f.ID == message.IDGRPCStatus || f.ID == message.IDOther && message.EqualFold(f.Name, "grpc-status") {
			x.rec.GRPCStatus = grpcNumber(f.Value)
			return
		}
	}
}

func grpcNumber(s string) int {
	if len(s) == 0 || len(s) > 2 {
		return grpcUnknown
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return grpcUnknown
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// responseBroken: the backend's stream ended in the middle of the answer. The
// client must see that it is not whole.
func (x *Exchange) responseBroken(r stream.Reason) {
	flag := record.UpstreamReset
	if r == stream.ReasonProtocol {
		flag = record.UpstreamProtocolError
	}
	x.abort(flag, stream.ReasonInternal)
}
