package record

import "math/bits"

// Flag is a set of reasons. Most exchanges have none.
type Flag uint32

// The reasons. All but Retried, Mirrored and Delayed say that the answer is the
// proxy's own, or that there was none.
const (
	// NoRoute: no listener, host or rule takes the request (404, 421).
	NoRoute Flag = 1 << iota
	// NoCluster: the rule names no usable backend (500).
	NoCluster
	// NoHealthyUpstream: the cluster has no endpoint to ask (503).
	NoHealthyUpstream
	// UpstreamConnectFailure: no connection came about (503).
	UpstreamConnectFailure
	// UpstreamReset: the endpoint broke off (502), before or amid its answer.
	UpstreamReset
	// UpstreamProtocolError: the endpoint answered something that is not HTTP.
	UpstreamProtocolError
	// Timeout: the request's or the attempt's time was over (504).
	Timeout
	// IdleTimeout: nothing moved for too long.
	IdleTimeout
	// Overload: the proxy sheds load (503).
	Overload
	// CircuitOpen: the cluster's limits are reached (503).
	CircuitOpen
	// RateLimited: the rule's token bucket is empty (429).
	RateLimited
	// ClientClosed: the client went away before the answer was complete.
	ClientClosed
	// ClientProtocolError: the request was malformed or above a limit (4xx).
	ClientProtocolError
	// Denied: the client's identity or method is not allowed (403, 405).
	Denied
	// FaultInjected: the rule aborts requests on purpose.
	FaultInjected
	// RetryExhausted: the last attempt's failure was passed on.
	RetryExhausted
	// Draining: the proxy shut down before the exchange was over.
	Draining
	// Direct: the rule answers by itself: redirect, direct response, preflight.
	Direct
	// Retried: more than one endpoint was asked.
	Retried
	// Mirrored: a copy was sent to another cluster.
	Mirrored
	// Delayed: the rule delays requests on purpose.
	Delayed
)

// FlagCount is how many different flags there are.
const FlagCount = 21

// FlagsFailure are the flags that make an exchange worth a line in a log of
// errors: the proxy ended it, and not because it was configured to.
const FlagsFailure = 1<<FlagCount - 1 - Direct - Retried - Mirrored - Delayed

//nolint:gochecknoglobals // a table that nobody writes
var flagNames = [FlagCount]string{
	"no_route", "no_cluster", "no_healthy_upstream", "upstream_connect_failure",
	"upstream_reset", "upstream_protocol_error", "timeout", "idle_timeout",
	"overload", "circuit_open", "rate_limited", "client_closed",
	"client_protocol_error", "denied", "fault_injected", "retry_exhausted",
	"draining", "direct", "retried", "mirrored", "delayed",
}

// Name is that of the flag with this index, as Index gives it.
func Name(index int) string { return flagNames[index] }

// Next takes the lowest flag out of a set and returns its index; ok is false for
// the empty set.
func (f Flag) Next() (index int, rest Flag, ok bool) {
	f &= 1<<FlagCount - 1
	if f == 0 {
		return 0, 0, false
	}
	return bits.TrailingZeros32(uint32(f)), f & (f - 1), true
}

// Append writes the names of the set, joined by commas.
func (f Flag) Append(b []byte) []byte {
	for n := 0; ; n++ {
		index, rest, ok := f.Next()
		if !ok {
			return b
		}
		if n > 0 {
			b = append(b, ',')
		}
		b = append(b, flagNames[index]...)
		f = rest
	}
}

// String joins the names of the set by commas.
func (f Flag) String() string { return string(f.Append(nil)) }
