// Package box turns the server process into a small machine of its own: it is
// process 1 of a new PID namespace, with a network, a mount table and a host
// name that nobody else sees. When it dies, however it dies, the kernel ends
// its containers and frees its interfaces, firewall rules and mounts.
//
// In: an [instance.Config] and the host's network namespace. Out: the prepared
// namespaces, a cgroup, sockets on the host's loopback. It never changes an
// interface, a mount or a firewall rule of the host. Linux only; other systems
// and ordinary users run without a box and without a real node. Read enter.go
// next; the why is ADR-0002.
package box
