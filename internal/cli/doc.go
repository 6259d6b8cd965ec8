// Package cli owns the verbs of the command line: their flags, what they print,
// and their exit codes.
//
// In: arguments, a [control.Platform] and a [control.Images]. Out: data on
// stdout, progress and errors on stderr, and one of the exit codes of run.go.
// Sizes are shown in MiB and GiB, durations in seconds. It never starts anything
// itself, reads the environment or ends the process: internal/app does. Read
// run.go next, then the file of a verb.
package cli

//go:generate go run ./gendocs ../../docs
