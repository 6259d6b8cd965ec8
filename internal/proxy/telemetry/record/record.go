package record

import (
	"net/netip"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/trace"
)

// Record is one request, or one connection of a TCP or TLS listener. The engine
// stores fields while it works and hands the whole over once, at the end. Strings
// may alias buffers: what is kept is copied before that call returns. A Record
// belongs to one exchange; reuse it after Reset.
type Record struct {
	// Start is the wall-clock time of the request's first byte, in nanoseconds
	// since 1970; Began the same moment on the clock that the end is read from.
	Start int64
	Began int64

	// Series is where it is counted; nil: by protocol only, without a destination.
	Series *metrics.Series
	// Protocol decides which of Status and GRPCStatus is the outcome. Version is
	// what was spoken with the client.
	Protocol metrics.Protocol
	Version  message.Version
	// Egress is a request of our own workload to another; else it is one that
	// came to us.
	Egress bool

	// Method, Scheme, Authority, Path (with its query) and UserAgent are what the
	// client sent.
	Method    string
	Scheme    string
	Authority string
	Path      string
	UserAgent string

	// Status is what the client got; 0: nothing. GRPCStatus counts for
	// ProtocolGRPC only, where 0 is OK.
	Status     int
	GRPCStatus int
	// BytesIn is what the client sent, BytesOut what it got, bodies only.
	BytesIn  int64
	BytesOut int64
	// Flags say why the proxy itself ended the exchange, or what it did to it.
	Flags Flag

	// Upstream is the address of the last endpoint, Cluster its cluster; Attempts
	// how many endpoints were asked, 0 when none was.
	Upstream string
	Cluster  string
	Attempts int
	// Route and Listener by name.
	Route    string
	Listener string

	// Client is the address of the client; invalid for Unix sockets. Peer is its
	// SPIFFE ID, or empty.
	Client netip.AddrPort
	Peer   string
	// Trace is the context that the request was forwarded with; zero: none.
	Trace trace.Context
}

// Reset empties the record for the next exchange.
func (r *Record) Reset() { *r = Record{} }

// Code is the outcome by which the request is counted.
func (r *Record) Code() metrics.Code {
	switch r.Protocol {
	case metrics.ProtocolGRPC:
		return metrics.GRPC(r.GRPCStatus)
	case metrics.ProtocolTCP:
		return metrics.CodeNone
	default:
		return metrics.HTTP(r.Status)
	}
}

// Failed says whether the exchange counts as an error of the server's side: an
// answer of 500 and above, a gRPC status that means the same, or an end that the
// proxy itself made.
func (r *Record) Failed() bool {
	if r.Flags&FlagsFailure != 0 || r.Status >= 500 {
		return true
	}
	return r.Protocol == metrics.ProtocolGRPC && metrics.GRPC(r.GRPCStatus).ServerError()
}
