package telemetry

import (
	crypto "crypto/rand"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/trace"
)

// newRandom makes a generator for trace and span IDs. They are no secrets, but two
// proxies must not draw the same ones.
func newRandom() func() uint64 {
	var seed [32]byte
	_, _ = crypto.Read(seed[:]) // it never fails: it ends the program instead
	return rand.NewChaCha8(seed).Uint64
}

// appendSpan encodes a record by OpenTelemetry's conventions for HTTP and RPC; what
// they do not name stands under "tatami.". Query strings are left out: they often
// hold secrets.
func appendSpan(b []byte, r *record.Record, took int64) []byte {
	kind := trace.KindServer
	if r.Egress {
		kind = trace.KindClient
	}
	var s trace.Span
	s.Begin(b, &r.Trace, kind, r.Start, r.Start+took)
	path, _, _ := strings.Cut(r.Path, "?")
	failed := r.Failed()
	switch r.Protocol {
	case metrics.ProtocolGRPC:
		rpc(&s, r, path)
	case metrics.ProtocolTCP:
		s.Name("tcp", r.Listener)
		s.String("network.transport", "tcp")
	default:
		request(&s, r, path)
		// The conventions count 4xx as an error of a client span too.
		failed = failed || r.Egress && r.Status >= 400
	}
	peers(&s, r)
	if failed {
		s.Error()
		s.String("error.type", errorType(r))
	}
	return s.End()
}

func request(s *trace.Span, r *record.Record, path string) {
	method := r.Method
	if !knownMethod(method) {
		s.String("http.request.method_original", method)
		method = "_OTHER"
	}
	s.Name(nameOf(method), "")
	s.String("http.request.method", method)
	s.String("url.scheme", r.Scheme)
	s.String("url.path", path)
	if r.Status > 0 {
		s.Int("http.response.status_code", int64(r.Status))
	}
	s.String("network.protocol.name", "http")
	s.String("network.protocol.version", strings.TrimPrefix(r.Version.String(), "HTTP/"))
	s.String("user_agent.original", r.UserAgent)
	if r.BytesIn > 0 {
		s.Int("http.request.body.size", r.BytesIn)
	}
	if r.BytesOut > 0 {
		s.Int("http.response.body.size", r.BytesOut)
	}
}

// nameOf is how the conventions name a span of an unknown method.
func nameOf(method string) string {
	if method == "_OTHER" {
		return "HTTP"
	}
	return method
}

func rpc(s *trace.Span, r *record.Record, path string) {
	method := strings.TrimPrefix(path, "/")
	s.Name(method, "")
	s.String("rpc.system.name", "grpc")
	s.String("rpc.method", method)
	s.String("rpc.response.status_code", metrics.GRPC(r.GRPCStatus).String())
	s.String("user_agent.original", r.UserAgent)
}

// peers adds who asked, who was asked, and what the proxy did.
func peers(s *trace.Span, r *record.Record) {
	name, port := host(r.Authority)
	s.String("server.address", name)
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		s.Int("server.port", int64(n))
	}
	if r.Client.IsValid() {
		var text [64]byte
		s.String("client.address", string(r.Client.Addr().WithZone("").AppendTo(text[:0])))
		s.Int("client.port", int64(r.Client.Port()))
	}
	if upstream, err := netip.ParseAddrPort(r.Upstream); err == nil {
		address, _ := host(r.Upstream)
		s.String("network.peer.address", address)
		s.Int("network.peer.port", int64(upstream.Port()))
	}
	s.String("tatami.cluster", r.Cluster)
	s.String("tatami.route", r.Route)
	s.String("tatami.listener", r.Listener)
	s.String("tatami.peer", r.Peer)
	if r.Attempts > 1 {
		s.Int("http.request.resend_count", int64(r.Attempts-1))
	}
	if r.Flags != 0 {
		var text [256]byte
		s.String("tatami.flags", string(r.Flags.Append(text[:0])))
	}
}

// errorType is what the proxy found, else the status.
func errorType(r *record.Record) string {
	if index, _, ok := (r.Flags & record.FlagsFailure).Next(); ok {
		return record.Name(index)
	}
	if r.Protocol == metrics.ProtocolGRPC {
		return metrics.GRPC(r.GRPCStatus).String()
	}
	return strconv.Itoa(r.Status)
}

// knownMethod are those of RFC 9110, PATCH and QUERY, as the conventions list them.
func knownMethod(m string) bool {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY":
		return true
	default:
		return false
	}
}
