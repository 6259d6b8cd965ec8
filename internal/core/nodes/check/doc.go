// Package check says whether a fleet is possible: whether every pod is accounted
// for once, and whether Kubernetes' scheduler, the kubelets and the cloud would
// accept each node with the pods that are meant for it.
//
// In: a plan.Snapshot and a nodes.Fleet. Out: a list of [Violation]s, empty when
// all is well. It shares no decision code with the solver: what is decided there
// is derived here again, plainly. A fleet without violations is feasible; of one
// with a violation of TopologySpread or PodAffinity this is not proven, because
// orders of placing are searched greedily, see replay.go.
// It never repairs a fleet. Source: Kubernetes' scheduler, Karpenter's limits and
// minValues. Read check.go, then machine.go.
package check
