// Package faults holds end-to-end tests of what goes wrong on a user's machine:
// kills at any moment, a full disk, a wrong clock, no network, no root, a
// missing or foreign containerd, two clusters at once, a broken manifest; and
// of what pods may reach outside of the cluster.
//
// In: the program that `make build` leaves (or TATAMI_BIN), driven by its verbs
// as a user drives it. Out: a failure where something acknowledged is lost,
// something is left behind on the host, or an error does not say what, why and
// what next. It never touches a cluster or a process that it did not start, and
// never changes the machine's clock. Read harness_test.go next.
package faults
