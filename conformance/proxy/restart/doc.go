// Package restart holds that nothing is lost when things change: reloads of the
// configuration, rollouts of backends, hot restarts, drains, new certificates, and
// the loss of control plane or log.
//
// In: a real tatami-proxy under load of HTTP/1.1, HTTP/2 and gRPC. Out: test
// results; a single failed request fails a test. It never changes the program to
// make it pass. Read next: load_test.go, reload_test.go.
package restart
