// Package node holds tests of the node and its network, modelled on what the
// conformance suite of Kubernetes asks of them. Each case names the upstream
// behaviour; the code is our own, as that suite needs images from the internet.
//
// In: bin/tatami (TATAMI_BIN names another) and root. Out: test results from one
// ephemeral cluster, which the tests start and take down. They never touch another
// cluster and never need kubectl or the internet. Read main_test.go next, then
// any *_test.go by its subject; ../README.md lists what is covered and what not.
package node
