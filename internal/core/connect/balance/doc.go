// Package balance chooses the host that a request goes to: power of two choices
// on peak EWMA, least request, weighted round robin, consistent hashing, random;
// near hosts first, none that is known to fail, draining ones last.
//
// In: a connect.Cluster, a monotonic time in nanoseconds, random numbers. Out: a
// Set, immutable but for what requests taught about its hosts, and picks from it.
// A pick takes no lock and allocates nothing; event loops share a Set.
//
// It never connects, reads a clock or draws a random number. Sources: Mitzenmacher
// 2001 (two choices), Finagle's peak EWMA, Mirrokni 2018 (bounded loads). Read
// next: host.go, set.go, pick.go.
package balance
