// Package metrics counts what the proxy does, in series whose number is bounded.
//
// In: durations in nanoseconds and sizes in bytes, from any number of goroutines;
// each event loop has a [Shard] of its own, so that loops do not share cache
// lines. Out: Prometheus' text format and OpenMetrics, in seconds and bytes.
// It never allocates, locks or reads a clock on the path of a request.
// Source: the exposition formats 0.0.4 and OpenMetrics 1.0.
// Read series.go, then registry.go, then exposition.go.
package metrics
