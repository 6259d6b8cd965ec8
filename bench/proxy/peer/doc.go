// Package peer builds, starts, watches and ends the servers that are compared.
//
// In: a name, and a [Spec] of what to listen on and where to send requests. Out:
// a [Process] in a process group of its own, with its processor time in
// nanoseconds and its memory in bytes as the kernel counts them, over all
// processes of the group. Modules are pinned by version and checksum. It never
// sends a request, and never ends a process that it did not start. Sources:
// proc(5), the manuals of the servers. Read program.go, then process.go.
package peer
