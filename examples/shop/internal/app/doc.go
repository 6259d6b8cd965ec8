// Package app holds the use cases of the shop: show the store front, keep a
// cart, check out, fulfil an order. Each is written against small ports that
// the adapters implement over HTTP, gRPC, JetStream or memory.
//
// In: names, keys and quantities; out: domain values, and ErrUnavailable where
// a dependency could not answer. It never knows a protocol or a metric.
// Read checkout.go, then fulfil.go: together they carry an order exactly once.
package app
