// Package connect says how services reach each other: which listener accepts,
// which route a request takes, which cluster of endpoints answers it, and under
// which limits. In: the wishes of people (routes, policies) and what exists
// (endpoints, zones). Out: a Config, the one value that a proxy needs.
//
// Durations are time.Duration, sizes bytes, weights plain integers. It never
// opens a socket, reads a file or a clock. Terms and precedence are those of the
// Gateway API 1.6. Read next: config.go, then route, balance and resilience.
package connect
