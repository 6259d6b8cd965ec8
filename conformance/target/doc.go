// Package target decides whether a suite may run on a cluster, from what
// `tatami status -o json` prints.
//
// In: that JSON. Out: [Target], the kubeconfig and context to give to a suite,
// or an error that says what is missing and what to do. It never starts or
// changes a cluster. The keys are those of control.Status. Read target.go.
package target
