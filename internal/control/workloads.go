package control

import (
	"context"
	"io"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Workloads reads demand: from manifests, or from a live cluster.
type Workloads interface {
	// Read returns what could be read. Objects that are not understood are
	// listed in it, not errors; an error means that there is nothing to plan.
	Read(ctx context.Context, from Sources) (Demand, error)
}

// Sources says where demand is read from. Paths and a cluster exclude each
// other.
type Sources struct {
	// Paths are files, folders, kustomizations and Helm charts; "-" is Stdin.
	Paths []string
	Stdin io.Reader
	// Values are Helm's: files, and settings in the form key=value.
	ValueFiles, Values []string
	// Live reads the cluster of Context ("" is the current one) instead.
	Live                bool
	Kubeconfig, Context string
	// Namespace and Selector narrow what is read; empty takes all.
	Namespace, Selector string
	// Current is a file with Nodes, NodePools or an eksctl ClusterConfig, or a
	// list of machines such as "3xm5.large,2xspot:c5.xlarge": how many of which
	// type, on-demand unless spot is said. Nodes become Snapshot.Nodes; a list and
	// eksctl's groups become Snapshot.NodeGroups. Empty when it is not given.
	Current string
}

// Demand is what was read.
type Demand struct {
	// Snapshot has Demand, Daemons, Pools, NodeGroups, Nodes and PodBudgets set;
	// a node's Offering has only Shape.Name, Region, Zone and Capacity: whoever
	// has a catalog completes it.
	Snapshot plan.Snapshot
	// Name of the source for people, e.g. "./k8s" or "cluster prod".
	Name string
	// Digest of everything that was read, so that an answer can be reproduced.
	Digest string
	// Workloads counts objects that became demand, DaemonSets included.
	Workloads int
	// NotCovered are objects and fields that have no influence on the answer.
	NotCovered []NotCovered
	// Forbidden are lists that the cluster refused; the answer is partial then.
	Forbidden []string
}

// NotCovered is something that was read and not used.
type NotCovered struct {
	Object workload.Ref `json:"object"`
	// Field is a path in the object; empty when the whole object is meant.
	Field string `json:"field,omitempty"`
	Why   string `json:"why"`
}
