// Package jetstream keeps the shop's orders on NATS JetStream: the queue of
// accepted orders, the memory of claimed ones, the ledger of fulfilled ones.
//
// In and out: domain orders, JSON on the wire; ages are durations, sizes bytes.
// It never decides what an order is or does, and never drops an accepted one.
// Read topology.go for the streams, then orders.go and consumer.go.
package jetstream
