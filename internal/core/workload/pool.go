package workload

import (
	"time"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Pool is a set of nodes that may be bought, as Karpenter's NodePool describes
// it.
type Pool struct {
	Name string
	// Weight orders pools: a pod goes to the heaviest one that takes it.
	Weight int
	// Requirements hold for every node; MinValues are flexibility that must be
	// left when a node is bought.
	Requirements Requirements
	// Labels and Taints that every node gets. StartupTaints go away before pods
	// run, so they keep nobody off.
	Labels        map[string]string
	Taints        []Taint
	StartupTaints []Taint
	// Limits bound the sum over the pool's nodes; nil is no limit. What Limits
	// does not name (0) is not limited.
	Limits *unit.Resources
	// Disruption says when its nodes may be changed.
	Disruption Disruption
}

// Disruption is a pool's rules about changing its nodes.
type Disruption struct {
	// WhenEmptyOnly is consolidationPolicy: WhenEmpty.
	WhenEmptyOnly bool
	// After is how long a node must have been unchanged; Never when negative.
	After time.Duration
	// Budgets bound how many nodes may be changed at a time; the smallest that
	// is active counts. None is 10 %.
	Budgets []Budget
}

// Budget bounds how many of a pool's nodes may be disrupted at a time.
type Budget struct {
	// Nodes is a number; Percent is a share of the pool's nodes, rounded up. One
	// of them is used: Percent when it is not negative.
	Nodes, Percent int
	// Reasons to which it applies; none means all.
	Reasons []string
	// Active says whether it counts now: adapters know schedules.
	Active bool
}

// PodBudget is a PodDisruptionBudget: how many pods may be gone.
type PodBudget struct {
	Ref      Ref
	Selector Selector
	// Allowed is how many more pods may be disrupted now.
	Allowed int
}

// NodeGroup is a set of nodes that are alike and whose number is set by hand or
// by Cluster Autoscaler: an Auto Scaling group, an EKS managed node group.
type NodeGroup struct {
	Name string
	// Shapes are instance types, the first one being the one by which Cluster
	// Autoscaler judges the group.
	Shapes []string
	Spot   bool
	// Zones of the group; all of the cluster's when empty.
	Zones             []string
	Min, Max, Desired int
	Labels            map[string]string
	Taints            []Taint
	// Priority of the group for the expander of that name.
	Priority int
}

// Tolerates says whether tolerations let a pod onto a node with a taint.
func Tolerates(tolerations []Toleration, t Taint) bool {
	for _, o := range tolerations {
		if o.Effect != "" && o.Effect != t.Effect {
			continue
		}
		if o.Key == "" && o.Exists || o.Key == t.Key && (o.Exists || o.Value == t.Value) {
			return true
		}
	}
	return false
}

// Untolerated is the first taint that keeps a pod off; ok is false when none
// does. PreferNoSchedule keeps nobody off.
func Untolerated(tolerations []Toleration, taints []Taint) (t Taint, ok bool) {
	for _, t := range taints {
		if t.Effect != PreferNoSchedule && !Tolerates(tolerations, t) {
			return t, true
		}
	}
	return Taint{}, false
}
