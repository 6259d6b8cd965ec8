// Package nodes decides which machines to buy, keep, replace and delete for the
// pods of a snapshot: the cheapest feasible set, with a proven lower bound
// beside it, where risk is part of the price.
//
// In: a plan.Snapshot and a [Policy]. Out: a [Fleet], or plan.Actions. Processor
// is millicores, memory bytes, prices nano-USD per hour. The same snapshot,
// policy and steps give the same answer.
// It never talks to a cloud, reads a clock or moves a pod. Source: docs/adr/0006.
// Read fleet.go, then candidate.go, then solve.go; nodes/pack holds the numbers,
// nodes/check the independent checker, nodes/peer the strategies compared with.
package nodes
