package workload

import (
	"time"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Ref names an object, e.g. Deployment shop/web.
type Ref struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String is "kind/namespace/name" without empty parts.
func (r Ref) String() string {
	switch {
	case r.Namespace == "" && r.Name == "":
		return r.Kind
	case r.Namespace == "":
		return r.Kind + "/" + r.Name
	case r.Name == "":
		return r.Kind + "/" + r.Namespace
	}
	return r.Kind + "/" + r.Namespace + "/" + r.Name
}

// Group is a number of pods that no scheduler can tell apart. Groups are
// immutable; slices and maps in them are shared.
type Group struct {
	// Owner is the workload that makes the pods, e.g. a Deployment. Several
	// groups may have one owner.
	Owner Ref
	// Labels of the pods, which selectors of other groups look at.
	Labels map[string]string
	// Count is how many pods are wanted.
	Count int
	// Replicas is the range in which a scaler may move Count; zero when none does.
	Replicas Range
	// Requests is what one pod asks for: containers, init and sidecar containers
	// as the scheduler counts them, overhead, and 1 in Pods.
	Requests unit.Resources

	// Alternatives are the node selector and required node affinity: a node must
	// meet one of them. None means any node. Zones of volumes are folded in.
	Alternatives []Requirements
	// Preferred are wishes about nodes, with weights from 1 to 100.
	Preferred   []Preference
	Tolerations []Toleration
	Spread      []Spread
	Affinity    []PodTerm
	// AntiAffinity terms are required when their weight is 0; so are Affinity's.
	AntiAffinity []PodTerm
	HostPorts    []HostPort

	// Priority orders pods when not all fit; higher first.
	Priority int32
	// DoNotDisrupt says that a pod may not be moved (karpenter.sh/do-not-disrupt).
	DoNotDisrupt bool
	// Restart is how long work is lost or degraded when one pod is killed and
	// started elsewhere; 0 takes the policy's default.
	Restart time.Duration
	// Batch says that pods end by themselves, as those of a Job do.
	Batch bool
}

// Range is from Min to Max, both included.
type Range struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Preference is a wish about nodes.
type Preference struct {
	Weight       int
	Requirements Requirements
}

// Effect of a taint, as Kubernetes names it.
type Effect string

// The effects.
const (
	NoSchedule       Effect = "NoSchedule"
	PreferNoSchedule Effect = "PreferNoSchedule"
	NoExecute        Effect = "NoExecute"
)

// Taint keeps pods off a node unless they tolerate it.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect Effect `json:"effect"`
}

// Toleration lets a pod onto nodes with a taint. Key "" with Exists tolerates
// all; Effect "" every effect.
type Toleration struct {
	Key    string
	Exists bool // operator Exists; otherwise Value must be equal
	Value  string
	Effect Effect
}

// The topology keys that have a meaning of their own.
const (
	LabelHostname = "kubernetes.io/hostname"
	LabelZone     = "topology.kubernetes.io/zone"
)

// Spread is a topology spread constraint.
type Spread struct {
	TopologyKey string
	MaxSkew     int
	// MinDomains is 1 unless set.
	MinDomains int
	// Required is whenUnsatisfiable: DoNotSchedule.
	Required bool
	Selector Selector
	// IgnoreAffinity and HonorTaints are nodeAffinityPolicy: Ignore and
	// nodeTaintsPolicy: Honor, the two that are not the default.
	IgnoreAffinity, HonorTaints bool
}

// PodTerm ties pods to others, or keeps them apart, within a topology.
type PodTerm struct {
	TopologyKey string
	// Weight is 0 when the term is required, else 1 to 100.
	Weight   int
	Selector Selector
	// Namespaces in which the selector looks; the group's own when empty.
	Namespaces []string
	// AllNamespaces says that it looks everywhere.
	AllNamespaces bool
}

// HostPort is a port of the node that a pod takes for itself. IP "" is all
// addresses.
type HostPort struct {
	IP       string
	Protocol string
	Port     int32
}
