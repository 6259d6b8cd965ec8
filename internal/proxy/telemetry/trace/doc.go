// Package trace reads, makes and exports trace context: W3C traceparent and
// tracestate on one side, OTLP spans on the other.
//
// In: header values and random numbers. Out: a [Context] to forward, and spans,
// times in nanoseconds since 1970, sent in batches over HTTP by [Exporter].
// It never waits on the path of a request and never repairs a malformed header.
// Source: W3C Trace Context (level 2 for the random flag), OTLP 1.
// Read context.go, then state.go, sampler.go, exporter.go.
package trace
