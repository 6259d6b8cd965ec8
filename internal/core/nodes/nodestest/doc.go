// Package nodestest makes demand and offers for tests and measurements: the
// pods of Karpenter's benchmark, microservices, big pods, and the five mixes of
// constraints, all from a seed.
//
// In: numbers of pods, a seed, the largest machine in cores. Out: groups,
// offers at prices of 2026 in us-east-1, and whole snapshots; processor in
// millicores, memory in bytes. The same seed gives the same values everywhere.
// It never decides and is never part of a program. Read demand.go, then mix.go.
package nodestest
