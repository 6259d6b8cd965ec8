// Package target gives a suite the cluster that it runs on: one of its own,
// started by the built program, which ends with the suite.
//
// In: a name, and whether the suite needs a real node. Out: a [Cluster] with a
// client, or an error that says what is missing and what to do. The cluster is
// ephemeral and takes a port and folders of its own. It never touches another
// cluster. TATAMI_BIN names a program other than ../../bin/tatami. Read
// cluster.go.
package target
