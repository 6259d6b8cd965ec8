// Package handover passes listening sockets from a running proxy to the one that
// replaces it, so that a restart loses no connection.
//
// In: a path of a Unix socket that both know. Out: the sockets themselves
// (SCM_RIGHTS): both processes hold the same queue of the kernel, so nothing that
// waits in it is reset, as it is where SO_REUSEPORT alone makes a second queue
// and the first one is closed. Only processes of the same user are answered. It
// never passes connections: the old process finishes those. Read next: give.go.
package handover
