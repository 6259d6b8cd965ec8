// Package exchange joins a client's stream with a backend's: it finds the route,
// asks an endpoint, asks another one where that is safe, and carries the parts of
// both messages under time-outs and limits.
//
// In: streams of server codecs and an immutable Snapshot. Out: streams of client
// codecs, answers of its own, and one record per exchange. All state belongs to
// one event loop (Worker). It never parses bytes and never blocks. Read next:
// exchange.go (the life of one), request.go, attempt.go, response.go.
package exchange
