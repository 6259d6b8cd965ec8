// Package wire translates between the messages of the configuration (configpb) and
// the values that the proxy works with (internal/core/connect), in both directions.
//
// In and out: one resource at a time; durations, bytes and percentages keep their
// units, and what a number cannot hold becomes a value that connect.Validate
// refuses. It never judges what a value means and never changes its argument.
// Read next: decode_route.go, then encode_route.go, its mirror.
package wire
