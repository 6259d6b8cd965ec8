// Package configtest is a small control plane for tests: of the stream, of the
// proxy, and of conformance suites.
//
// In: resources of configpb that a test sets and deletes. Out: a gRPC server on a
// loopback address or Unix socket, what proxies acknowledged and refused, and
// misbehaviour on demand. It keeps all versions in memory and never is a model of
// how to run a control plane. Read next: server.go, then stream.go.
package configtest
