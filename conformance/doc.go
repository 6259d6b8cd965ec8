// Package conformance is the module in which Tatami is held against what others
// ask of it: their test suites, and cases of our own where a suite can't be run.
//
// In: a running cluster, as `tatami status -o json` describes it, or a built
// program. Out: test results. It is a module of its own so that suites never
// become dependencies of Tatami, and the root never imports it; it never changes
// a suite to make it pass. Read README.md first: it says what is covered.
package conformance
