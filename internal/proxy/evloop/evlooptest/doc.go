// Package evlooptest helps tests of what lives on event loops: it runs loops of
// both kinds, connects real sockets to them, and finds descriptors and goroutines
// that were left behind.
//
// In: a test. Out: loops that are stopped when it ends, and failures. It is for
// tests only and never fakes a socket. Read next: looptest.go.
package evlooptest
