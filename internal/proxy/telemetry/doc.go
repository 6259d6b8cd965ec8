// Package telemetry tells the world what the proxy does: metrics, access log and
// spans, from one record.Record per request.
//
// In: records, times in nanoseconds, sizes in bytes. Out: an exposition for
// Prometheus, log lines, OTLP spans. Each event loop has a [Shard] of its own.
// It never makes a loop wait: what finds no room is dropped and counted.
// Read telemetry.go, then record, metrics, accesslog and trace.
package telemetry
