// Package unit holds the quantities that every decider counts in: millicores,
// bytes, nano-dollars and vectors of resources, with rounding and overflow in
// this one place.
//
// In and out: plain integers with a type. Arithmetic saturates instead of
// wrapping, parts made by [Split] always sum to the whole, and nothing here
// uses floating point except to show a figure to a person.
// It never knows what is measured. Source: DESIGN, "Money". Read money.go, then
// resources.go.
package unit
