// Package karpenter runs the real scheduler of Karpenter 1.14.1 as a library on
// a snapshot, so that its answers stand beside ours.
//
// In: a plan.Snapshot; its groups become one pod each for every pod. Out: an
// [Answer], in the same form as ours, so that the same checker judges both. It
// is one batch of provisioning, before consolidation, on an empty cluster.
// It never talks to a cluster: the client is a fake one. Source: the module
// sigs.k8s.io/karpenter. Read schedule.go, then offering.go and pod.go.
package karpenter
