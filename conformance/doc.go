// Package conformance is the module in which other people's test suites run
// against Tatami: those of Kubernetes, the Gateway API and others to come.
//
// In: a running cluster, as `tatami status -o json` describes it. Out: what the
// suites report. It is a module of its own so that suites never become
// dependencies of Tatami, and the root never imports it; it never changes a
// suite to make it pass. Read target first: it says what a suite may run on.
package conformance
