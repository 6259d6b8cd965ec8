// Package scheduler holds plans of internal/core/nodes against the real
// kube-scheduler: the nodes that a plan buys are placed, its pods submitted, and
// each must be accepted on the node that was meant for it.
//
// In: bin/tatami (TATAMI_BIN names another), snapshots and the fleets that the
// solver makes of them. Out: test results from one ephemeral cluster without a
// node of its own; no container runs. It never decides itself and shares no code
// with the solver but its vocabulary. Read judge_test.go next, then plans_test.go.
package scheduler
