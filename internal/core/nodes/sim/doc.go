// Package sim plays a load over time against a strategy: replicas rise and
// fall, nodes are ordered, boot, are taken back and are given up, on a clock
// that exists only in it.
//
// In: a plan.Snapshot, a [Trace] of replicas, and a [Strategy] with its delays.
// Out: a [Result]: cost in nano-USD per second of each node, and pod-seconds
// without a place. The same input and seed give the same result.
// It never decides where a pod goes: it asks the strategy. Source: the delays
// and their sources stand in behaviour.go. Read run.go, then cluster.go.
package sim
