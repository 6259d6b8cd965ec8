package control

import (
	"context"
	"time"
)

// Platform is the embedded cluster of one machine. The full program implements
// it in cluster/; the small program has none and hands over.
type Platform interface {
	// Up starts the cluster, or finds it running, and returns when it is ready.
	// In the foreground it returns when the cluster has stopped.
	Up(ctx context.Context, req UpRequest, p Progress) (Status, error)
	// Down stops the cluster and removes what it set up on the host. It returns
	// ErrNotRunning when nothing ran; what req asks to purge is gone even then.
	Down(ctx context.Context, req DownRequest, p Progress) error
	// Status reports what runs now; ErrNotRunning comes with a filled-in Status.
	Status(ctx context.Context, ref Ref) (Status, error)
	// LoadImages imports image archives (OCI layout or docker save, as tar
	// files) into the node's container store and returns their names.
	LoadImages(ctx context.Context, ref Ref, archives []string) ([]string, error)
	// Checks lists the checks for a cluster, in the order in which to run them.
	Checks(ref Ref, scope Scope) []Check
}

// Ref names one of the clusters that can run side by side on a machine.
type Ref struct {
	// Name is also the kubeconfig context when it is "tatami"; any other name
	// gives the context "tatami-<name>".
	Name string
	// DataDir holds everything that survives a restart; empty means the default
	// for the name and user.
	DataDir string
}

// NodeMode says whether this machine itself becomes a node.
type NodeMode string

// The node modes. NodeAuto runs a real node where the host can, and says in one
// line why when it can't; NodeReal fails instead.
const (
	NodeAuto NodeMode = "auto"
	NodeReal NodeMode = "real"
	NodeNone NodeMode = "none"
)

// UpRequest is what `tatami up` was asked for.
type UpRequest struct {
	Cluster Ref
	// Port of the API server on loopback; 0 takes the one used before, else
	// 6443, else a free one.
	Port int
	Node NodeMode
	// Ephemeral clusters keep their data in a folder that Down removes.
	Ephemeral bool
	// Foreground keeps the cluster attached to the calling process.
	Foreground bool
	// Durable makes the store flush every write to disk: safe against power
	// loss, not only against the death of the process, at a third of the speed.
	Durable bool
	// Shop deploys the sample shop with load and waits until orders flow.
	Shop bool
	// Manifests are files, folders or kustomizations to apply once ready; they
	// are parsed before anything starts.
	Manifests []string
	// Kubeconfig to merge the context into; empty means kubectl's rule
	// (KUBECONFIG, else ~/.kube/config).
	Kubeconfig string
	// Timeout bounds the wait for readiness.
	Timeout time.Duration
	// OnReady, where set, is called once when a cluster in the foreground is
	// ready; in the background Up returns then.
	OnReady func(Status)
}

// DownRequest is what `tatami down` was asked for.
type DownRequest struct {
	Cluster Ref
	// Purge removes the data folder as well.
	Purge bool
	// Kubeconfig to remove the context from; empty means kubectl's rule.
	Kubeconfig string
}

// Progress is told of the steps of long work. A step ends when the next begins
// or Done is called.
type Progress interface {
	Step(name string)
	// Detail replaces the note beside the current step.
	Detail(text string)
	// Note prints one line that stays, e.g. why there is no real node.
	Note(text string)
	Done()
}

// State is the life cycle of a local cluster.
type State string

// The states of a local cluster.
const (
	StateStopped  State = "stopped"
	StateStarting State = "starting"
	StateRunning  State = "running"
)

// Status is what `tatami status` shows. The JSON keys are a contract.
type Status struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Reason is why it ended, unless it was stopped.
	Reason     string     `json:"reason,omitempty"`
	Ready      bool       `json:"ready"`
	Kubernetes Kubernetes `json:"kubernetes"`
	Nodes      []Node     `json:"nodes"`
	// Pods counts pods by phase.
	Pods map[string]int `json:"pods"`
	// RSSBytes is the resident memory of the platform's own processes: control
	// plane, kubelet, kube-proxy, DNS, containerd and its shims; not the pods.
	RSSBytes int64 `json:"rssBytes"`
	// StartMillis is the time from the start of the process to a ready API.
	StartMillis int64  `json:"startMillis"`
	Kubeconfig  string `json:"kubeconfig"`
	Context     string `json:"context"`
	DataDir     string `json:"dataDir"`
	PID         int    `json:"pid,omitempty"`
	// URLs by name: the API server and every published service.
	URLs map[string]string `json:"urls"`
	// Shop is set while the sample shop is deployed.
	Shop *Shop `json:"shop,omitempty"`
}

// Kubernetes says which Kubernetes is embedded.
type Kubernetes struct {
	Version string `json:"version"`
}

// NodeKind tells a node that runs containers from one that is simulated.
type NodeKind string

// The kinds of node.
const (
	KindReal      NodeKind = "real"
	KindSimulated NodeKind = "simulated"
)

// Node is one node of the cluster.
type Node struct {
	Name  string   `json:"name"`
	Kind  NodeKind `json:"kind"`
	Ready bool     `json:"ready"`
	// Reason says why a node is not ready.
	Reason string `json:"reason,omitempty"`
}

// Shop is the state of the sample shop.
type Shop struct {
	Ready           bool  `json:"ready"`
	OrdersProcessed int64 `json:"ordersProcessed"`
}
