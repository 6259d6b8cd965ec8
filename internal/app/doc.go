// Package app wires the command line to its adapters for one of the programs,
// and is the only place that reads the environment, the clock and signals.
//
// In: a [Program], the arguments and the environment of the process. Out: the
// exit code. It never decides what a verb does: that is internal/cli. Nobody
// imports it but the mains. Read main.go next, then handover.go.
package app
