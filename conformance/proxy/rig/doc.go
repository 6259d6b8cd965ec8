// Package rig gives the suites of the proxy what they are made of: a real
// tatami-proxy process, backends that tell what they saw, and certificates.
//
// In: a configuration or flags. Out: a [Proxy] that is ready, with its addresses,
// metrics, and what it uses of the machine (descriptors, threads, bytes,
// goroutines). Everything listens on free loopback ports and ends with its test.
// It never judges an answer; suites do. Read program.go, then backend.go.
package rig
