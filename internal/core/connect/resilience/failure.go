package resilience

// Failure is how an attempt to get an answer from a host ended.
type Failure uint8

// The failures in the order in which an exchange meets them.
const (
	// FailureNone: the head of an answer came; its status says the rest.
	FailureNone Failure = iota
	// FailureConnect: no connection could be made in time, TLS included.
	FailureConnect
	// FailureUnsent: a pooled connection ended before a byte of the request was
	// written. A new one that does so is FailureConnect, which speaks against the
	// host.
	FailureUnsent
	// FailureRefused: the host says that it did not look at the request
	// (REFUSED_STREAM, or GOAWAY with a lower last stream; RFC 9113 section 8.7).
	FailureRefused
	// FailureReset: the connection ended after a byte of the request was written
	// and before the first byte of an answer.
	FailureReset
	// FailureTimeout: the attempt's time was over before the head of an answer.
	FailureTimeout
	// FailureProtocol: what came was not an answer.
	FailureProtocol
	// FailureTruncated: the answer ended early; its head was passed on.
	FailureTruncated
	// FailureCancelled: the client went away, which says nothing about the host.
	FailureCancelled
)

// String is the name that metrics and logs use.
func (f Failure) String() string {
	if int(f) < len(failureNames) {
		return failureNames[f]
	}
	return "unknown"
}

//nolint:gochecknoglobals // a table that nobody writes
var failureNames = [...]string{
	FailureNone:      "none",
	FailureConnect:   "connect",
	FailureUnsent:    "unsent",
	FailureRefused:   "refused",
	FailureReset:     "reset",
	FailureTimeout:   "timeout",
	FailureProtocol:  "protocol",
	FailureTruncated: "truncated",
	FailureCancelled: "cancelled",
}

// Bad says that an outcome speaks against the host: it failed, or answered that
// it cannot (502, 503, 504). A refused stream does not: that is how a host drains.
func Bad(f Failure, status int) bool {
	switch f {
	case FailureNone:
		return status == 502 || status == 503 || status == 504
	case FailureRefused, FailureCancelled, FailureUnsent:
		return false
	default:
		return true
	}
}
