// Package node runs the real node of a cluster: containerd as a child process,
// kubelet and kube-proxy in this one, and CNI by Debian's plugins.
//
// In: an [instance.Config], inside a prepared box. Out: a node that registers
// itself and runs pods. It never uses a containerd, a CNI configuration or a
// kubelet folder of the host's. Read run.go next; containerd.go, kubelet.go and
// proxy.go each configure one program.
package node
