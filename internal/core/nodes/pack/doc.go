// Package pack chooses bins and fills them: the numbers behind the capacity
// decision, without a word of Kubernetes. It minimises the sum of the prices of
// bins of several kinds that hold items of several kinds, each with a size in
// every dimension, and proves a lower bound.
//
// In: a [Problem]. Out: a [Solution] with the bound. Sizes are integers in units
// of the caller's; prices are integers and sum without rounding. The first
// answer takes milliseconds; more steps make it better (see [Budget]).
// It never knows what an item is, nor reads a clock. Source: Gilmore and Gomory's
// column generation, Farley's bound, ruin and recreate; docs/adr/0006. Read
// problem.go, then solve.go.
package pack
