// Package pki makes the certificates, the service account key and the
// kubeconfigs of one cluster, on its first start, and renews leaves before they
// end.
//
// In: a folder, host names and addresses, the time. Out: PEM files of mode
// 0600, each written by rename, so that a start after a crash completes what is
// missing. It never talks to the network and never shortens a key: ECDSA P-256
// throughout. Read ensure.go next.
package pki
