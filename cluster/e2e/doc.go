// Package e2e holds the end-to-end tests of the command line: every verb, run
// against the built program and a real control plane, without a node.
//
// In: the program that TATAMI_BIN names, else ../../bin/tatami; the scripts in
// testdata/script. Out: what they print, the exit codes, what is left on the
// host. It never needs root, a fixed port or the internet, and never leaves a
// cluster running. Clusters with a node are the subject of ../faults. Read
// harness_test.go next, then a script.
package e2e
