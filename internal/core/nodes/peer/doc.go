// Package peer models the strategies that Tatami is compared with: Karpenter,
// Cluster Autoscaler, Fargate, an Auto Scaling group behind an ECS capacity
// provider, and leaving everything as it is.
//
// In: a plan.Snapshot and the settings of the strategy. Out: a nodes.Fleet as
// that strategy would buy it, and the nodes it would remove later; processor in
// millicores, memory in bytes, prices in nano-USD per hour. What the original
// leaves to chance is drawn from a seed.
// It never improves on what it models. Sources: Karpenter 1.14.1, Cluster
// Autoscaler 1.37, AWS's user guides. Read karpenter.go, claim.go and topology.go;
// then autoscaler.go; the others are one file each.
package peer
