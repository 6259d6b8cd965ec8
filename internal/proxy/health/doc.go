// Package health asks endpoints whether they are well, over HTTP, gRPC
// (grpc.health.v1) and TCP, with TLS where their cluster has it.
//
// In: clusters, replaced as a whole by Set. Out: one raw result per check, to a
// callback; how many in a row count is decided elsewhere. One goroutine schedules,
// few check, and connections that wait for their next check need none.
// It never judges an endpoint and never routes. Source: gRPC health checking
// protocol, RFC 9113. Read checker.go, then schedule.go, http1.go and http2.go.
package health
