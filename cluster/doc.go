// Command tatami, built here, is the full program: the command line of
// internal/cli with Kubernetes itself linked in. Started by `tatami up` with a
// hidden verb, the same binary is the server of a cluster.
//
// It never decides anything itself: internal/launch is the command line's side,
// internal/server the cluster's.
package main
