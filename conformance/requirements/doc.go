// Package requirements compares the algebra of internal/core/workload with the
// libraries that schedulers use: node affinity of k8s.io/component-helpers, and
// pkg/scheduling of Karpenter.
//
// In: thousands of random requirements and label sets, from a fixed seed. Out: a
// failed test for each verdict that differs.
// It never needs a cluster. Where the two libraries differ from each other,
// Kubernetes counts: the scheduler has the last word. Read requirements_test.go.
package requirements
