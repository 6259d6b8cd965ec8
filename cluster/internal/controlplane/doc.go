// Package controlplane runs etcd, the API server, the controller manager and
// the scheduler in this process, as upstream ships them: options are built,
// flags are parsed into them, and the component's own Run is called.
//
// In: an [instance.Config], listeners, a context. Out: a running control plane,
// or the error of the first component that ended. It never forks Kubernetes'
// code and never installs signal handlers. Read run.go next; components.go has
// the flags.
package controlplane
