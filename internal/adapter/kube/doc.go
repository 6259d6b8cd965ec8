// Package kube reads demand from Kubernetes objects, those in files and those
// of a live cluster, and implements control.Workloads.
//
// In: objects of Kubernetes, Karpenter, KEDA and eksctl. Out: a control.Demand:
// groups of pods with everything that constrains where they run, pools, nodes,
// and a list of what was read but has no influence. Requests are counted by the
// scheduler's own code; quantities become millicores and bytes.
// It never writes to a cluster, watches it, or decides anything. Source: the API
// conventions of those projects. Read reader.go, inventory.go, then group.go;
// kube/manifest finds objects in files, kube/cluster lists them.
package kube
