// Package proxy is the data plane: it accepts connections, finds for every
// request a route, a cluster and an endpoint, and carries bytes both ways.
//
// In: a connect.Config, again and again. Out: answers, metrics, spans, log
// lines. One event loop per core owns its connections and never waits or locks.
// It never talks to Kubernetes and never decides policy. Design: ADR 0007. Read
// next: stream (the contract between codecs and the exchange), evloop, server.go.
package proxy
