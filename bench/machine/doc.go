// Package machine describes the computer that a figure was measured on.
//
// In: nothing but what the Go runtime and /proc say. Out: [Machine], cores as a
// count and memory in bytes; a field that the system does not tell is empty.
// It never measures and never names the host or its user, so that results can
// be published as they are. Source: proc(5). Read machine.go.
package machine
