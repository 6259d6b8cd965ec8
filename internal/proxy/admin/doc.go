// Package admin lets a person on the same machine look into the proxy: metrics,
// readiness, configuration, endpoints, profiles; and drain it.
//
// In: a [Source], which the engine implements. Out: HTTP on a Unix socket (0600)
// or a loopback address, text for people and JSON for programs; milliseconds.
// It never listens where others could reach it, shows no secrets, and changes
// nothing but by POST. Read source.go, then handler.go, listen.go and dump.go.
package admin
