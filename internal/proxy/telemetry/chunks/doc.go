// Package chunks is a bounded queue of encoded items between event loops that
// must not wait and one goroutine that may: log lines to a file, spans to a
// collector.
//
// In: items of bytes. Out: chunks of many items, oldest first, and how many items
// found no room. It never blocks a loop for longer than another item takes to be
// copied, and never allocates once its chunks exist. Read next: queue.go, pump.go.
package chunks
