// Package dns runs CoreDNS in this process, for the names of services and pods.
//
// In: an [instance.Config] with a kubeconfig. Out: a DNS server on the node's
// address, which the service kube-dns points at. It never listens on the host.
// Read server.go next.
package dns
