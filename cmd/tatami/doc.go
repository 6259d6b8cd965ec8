// Program tatami, the small one: for people who have a cluster, installable
// with `go install`. It holds the whole command line, but no Kubernetes.
//
// In: arguments. Out: what internal/cli prints, and its exit code. Verbs that
// need the embedded cluster are handed over to the full program, which is built
// from cluster/. It never holds logic: read internal/app next.
package main
