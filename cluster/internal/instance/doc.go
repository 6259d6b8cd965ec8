// Package instance describes one cluster on this machine: where its files lie,
// which addresses it uses, what it was started with and what state it is in.
//
// In: a name, a data folder, the requests of `up`. Out: [Config], [State], the
// lock that says whether it runs. It never starts or stops anything.
// Paths are absolute; addresses live inside the cluster's own network
// namespace, so every instance uses the same ones. Read config.go next.
package instance
