// Package workload describes demand: pods that are alike as one [Group], with
// what they ask for and every constraint on where they may run, and the
// [Pool]s that say which nodes are allowed.
//
// In and out: values. Processor is millicores, memory is bytes. [Requirements]
// is the algebra in which both sides speak: which values a node's labels may
// have. Its semantics are those of Kubernetes' node affinity and of Karpenter.
// It never parses manifests or talks to a cluster; adapters do. Read group.go,
// then requirement.go.
package workload
