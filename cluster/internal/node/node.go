package node

import (
	"context"
	"sync"
)

// KindLabel tells real nodes from simulated ones.
const KindLabel = "tatami.dev/node-kind"

// PauseImage holds a pod's namespaces; it is built from cmd/tatami-pause.
const PauseImage = "tatami.dev/pause:dev"

// Node is a running real node.
type Node struct {
	// Failed yields the error of the first part that ended by itself.
	Failed <-chan error
	stop   context.CancelFunc
	done   *sync.WaitGroup
}

// Stop ends kubelet, kube-proxy and containerd. Containers end with the box.
func (n *Node) Stop() {
	n.stop()
	n.done.Wait()
}
