// Command testall vets and tests every Go module of the repository and closes
// with one plain line: N passed, N failed, N skipped.
//
// In: the module folders (all by default), -short, -race. Out: one line per
// package as it ends with its time, the output of what failed, every reason
// for a skip, the summary; exit code 1 when anything failed. Counted are the
// tests that have no subtests; a package that does not build, a panic outside
// a test and a finding of go vet count as one failure each.
// It never hides a skip and never answers from the test cache.
// Read run.go, then tally.go.
package main
