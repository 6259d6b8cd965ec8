// Package telemetry holds the shop's instruments: structured logs, and the
// Prometheus metrics that more than one role has.
//
// In: what happened and how long it took; out: counters, histograms in seconds
// and JSON lines. It never decides anything or serves anything; package service
// exposes the registry. Read telemetry.go; it is the whole package.
package telemetry
