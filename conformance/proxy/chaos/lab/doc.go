// Package lab is what the suites about faults, restarts and smuggling share:
// origins that behave or do not, and clients that offer load at a rate.
//
// In: addresses, a rate in requests per second. Out: counts of requests by
// outcome, and bodies that are checked for belonging to their request, whole and
// unchanged. It never judges anything else: suites say what may fail. Processes are
// started by the package rig. Read next: load.go.
package lab
