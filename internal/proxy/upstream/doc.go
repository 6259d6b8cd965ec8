// Package upstream keeps connections to backends: one pool per endpoint and
// loop, so that taking and returning a connection is free of locks.
//
// In: who waits for a connection, and a Target that says how to make one. Out: a
// stream.Client with room, or the error that prevented it. It never chooses an
// endpoint and never retries. Read next: pool.go, dial.go.
package upstream
