// Package cluster lists the objects of a live cluster, with get and list only:
// it changes nothing and leaves no watch open.
//
// In: a kubeconfig as kubectl finds it. Out: pages of objects as JSON; a list
// that the cluster forbids, or does not have, is an answer and not an error.
// It never interprets an object. Source: the Kubernetes API concepts, "retrieving
// large results sets in chunks". Read client.go, then list.go.
package cluster
