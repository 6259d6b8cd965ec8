// Package server is the long-lived process of a cluster: it puts the box, the
// control plane, the node, DNS and the published services together, in order,
// and takes them apart when asked to.
//
// In: a data folder with the configuration that `up` wrote, and three inherited
// files (lock, listener, host network). Out: a running cluster and its state
// file. It never writes to a user's kubeconfig and never prints. Read serve.go
// next.
package server
