// Package evloop is the ground of the data path: an event loop per core that
// owns connections, timers and buffers, so that nothing above it locks or waits.
//
// On Linux a loop is an epoll instance, edge-triggered, with one system call per
// read and write and none to ask for readiness; elsewhere, and for tests of both
// on one machine, goroutines read and write for it behind the same Conn. Times
// are nanoseconds of a monotonic clock. It never knows a protocol. Read next:
// conn.go, loop.go, epoll_linux.go, portable.go.
package evloop
