package exchange

import (
	"strconv"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
)

// localReply is an answer of our own.
type localReply struct {
	status int
	flags  record.Flag
	// why is for people who debug; it is sent where the listener allows.
	why string
	// retryAfter in seconds; 0: not said.
	retryAfter int
	// location is for redirects.
	location string
	// grpc is the status for gRPC requests; 0: follows from status.
	grpc int
}

// The gRPC status codes that we give ourselves.
const (
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

// grpcOf maps an HTTP status as gRPC's "HTTP to gRPC Status Code Mapping" has it,
// with two differences that clients expect of a proxy: 504 is a deadline, and
// too large a message exhausts a resource.
func grpcOf(status int) int {
	switch status {
	case 400:
		return grpcInternal
	case 401:
		return grpcUnauthenticated
	case 403:
		return grpcPermissionDenied
	case 404:
		return grpcUnimplemented
	case 413, 431:
		return grpcResourceExhausted
	case 429, 502, 503:
		return grpcUnavailable
	case 504:
		return grpcDeadlineExceeded
	default:
		return grpcUnknown
	}
}

// reply answers instead of a backend. The attempt, if any, was dropped before.
func (x *Exchange) reply(r localReply) {
	if x.phase == over {
		return
	}
	if x.phase == answering {
		x.abort(r.flags, stream.ReasonInternal)
		return
	}
	x.dropAttempt(stream.ReasonCancel)
	x.rec.Flags |= r.flags
	h := &x.w.reply
	h.Reset()
	h.Version = message.HTTP11
	h.Status = r.status
	if r.status == 405 {
		// RFC 9110, section 15.5.6 wants it. Of what passes here, the backend knows
		// better.
		h.Add(message.IDOther, "allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	if r.retryAfter > 0 {
		h.Add(message.IDRetryAfter, "retry-after", strconv.Itoa(r.retryAfter))
	}
	if r.location != "" {
		h.Add(message.IDLocation, "location", r.location)
	}
	if x.grpc {
		x.replyGRPC(h, r)
		return
	}
	x.markCORS(h)
	body := ""
	if r.why != "" && x.explains() {
		body = r.why + "\n"
		h.Add(message.IDContentType, "content-type", "text/plain; charset=utf-8")
	}
	x.send(h, body)
}

// explains says whether our answers carry their reason.
func (x *Exchange) explains() bool { return x.listener != nil && x.listener.HTTP.ErrorDetail }

// markCORS lets a script read our answers too.
func (x *Exchange) markCORS(h *message.Head) {
	if x.rule == nil || x.rule.CORS == nil {
		return
	}
	origin, _ := x.head.Get(message.IDOrigin, "origin")
	x.rule.CORS.Mark(origin, h)
}

// send ends the exchange with an answer of our own.
func (x *Exchange) send(h *message.Head, body string) {
	x.w.dated(h)
	x.rec.Status = h.Status
	h.ContentLength = int64(len(body))
	if h.Status == 204 || h.Status == 304 {
		h.ContentLength, body = message.LengthUnknown, ""
	}
	if x.head.Method == "HEAD" {
		body = ""
	}
	x.rec.BytesOut = int64(len(body))
	down, ended := x.down, x.downEnd
	x.account()
	down.SendHead(h, body == "")
	if body != "" {
		down.SendData([]byte(body), true)
	}
	endDown(down, ended)
}

// replyGRPC is a "trailers-only" response: the status of gRPC is what its clients
// understand, and HTTP's is always 200.
func (x *Exchange) replyGRPC(h *message.Head, r localReply) {
	code := r.grpc
	if code == 0 {
		code = grpcOf(r.status)
	}
	h.Status = 200
	h.ContentLength = message.LengthUnknown
	h.Add(message.IDContentType, "content-type", "application/grpc")
	h.Add(message.IDGRPCStatus, "grpc-status", strconv.Itoa(code))
	if r.why != "" && x.explains() {
		h.Add(message.IDGRPCMessage, "grpc-message", r.why)
	}
	x.rec.Status, x.rec.GRPCStatus = 200, code
	down, ended := x.down, x.downEnd
	x.account()
	down.SendHead(h, true)
	endDown(down, ended)
}
