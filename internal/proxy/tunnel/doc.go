// Package tunnel joins two connections of an event loop and carries bytes both
// ways until both directions have ended.
//
// In: two established evloop.Conns. Out: a Result with bytes per direction and
// what ended it; times are nanoseconds of the loop's clock. Bulk between plain
// sockets goes through a pipe of the kernel (splice), the rest through buffers of
// the loop. An orderly end is passed on as one, a reset as a reset. It never looks
// at what it carries. Read next: tunnel.go, way.go.
package tunnel
