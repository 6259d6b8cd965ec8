// Package suites holds other people's judges of HTTP against a real tatami-proxy
// process: h2spec, the interoperability tests of gRPC, curl, nghttp, h2load,
// openssl, haproxy, and WebSocket and HTTP of Go.
//
// In: the program, built from the root module, and those tools; a tool that is
// missing fails its tests and says what to install. Out: test results, each on
// epoll and on the portable loop. It never changes a suite to make it pass. Read
// main_test.go, then any *_test.go by its subject; rules/ has rules of our own.
package suites
