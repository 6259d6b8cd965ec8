// Package publish gives services of type LoadBalancer an address on the host's
// loopback, as a cloud would give them one on the internet.
//
// In: services, and a way to open sockets on the host. Out: listeners on
// 127.0.0.1 that forward to the service's cluster IP, and the address in the
// service's status. It never listens beyond loopback. Read publisher.go next.
package publish
