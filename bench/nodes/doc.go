// Nodes measures what the capacity solver's answers cost and how long they take,
// beside the real Karpenter scheduler and our model of it, on the same pods and
// types in one run.
//
// In: nothing but flags; demand and offers come from fixed seeds. Out: a table
// or JSON with dollars per hour, milliseconds and bytes, beside the machine, and
// which targets were met. Every solver runs in a process of its own, and every
// answer is checked for feasibility. README.md says how to read the figures.
// It never plans for a real cluster. Read bench.go, then measure.go.
package main
