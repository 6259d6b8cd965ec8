package kube

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/plan"
)

// Labels and taints by which the makers of nodes say what they are.
const (
	labelNodeGroup       = "eks.amazonaws.com/nodegroup"
	labelEksctlGroup     = "alpha.eksctl.io/nodegroup-name"
	labelEKSCapacity     = "eks.amazonaws.com/capacityType"
	labelEKSCompute      = "eks.amazonaws.com/compute-type"
	labelInitialized     = "karpenter.sh/initialized"
	taintDisrupted       = "karpenter.sh/disrupted"
	taintAutoscaler      = "ToBeDeletedByClusterAutoscaler"
	annotationNoDownsize = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
)

// node translates a Node. Its offering is only named: whoever has a catalog
// knows the rest.
func node(n *corev1.Node) plan.Node {
	out := plan.Node{
		Name:         n.Name,
		Pool:         n.Labels[catalog.LabelPool],
		Labels:       stableLabels(n.Labels),
		Taints:       taints(n.Spec.Taints),
		Allocatable:  resources(n.Status.Allocatable),
		Created:      n.CreationTimestamp.Time,
		Changed:      n.CreationTimestamp.Time,
		Initialized:  initialized(n),
		Leaving:      n.DeletionTimestamp != nil,
		DoNotDisrupt: n.Annotations[annotationDoNotDisrupt] == "true" || n.Annotations[annotationNoDownsize] == "true",
	}
	out.Offering = catalog.Offering{
		Shape:    &catalog.Shape{Name: out.Labels[catalog.LabelShape]},
		Region:   out.Labels[catalog.LabelRegion],
		Zone:     out.Labels[catalog.LabelZone],
		Capacity: capacityType(n.Labels),
	}
	for _, t := range n.Spec.Taints {
		out.Leaving = out.Leaving || t.Key == taintDisrupted || t.Key == taintAutoscaler
	}
	return out
}

func stableLabels(labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels))
	for key, value := range labels {
		if to := labelKey(key); to == key || labels[to] == "" {
			out[to] = value
		}
	}
	return out
}

func capacityType(labels map[string]string) catalog.CapacityType {
	if labels[labelEKSCompute] == "fargate" {
		return catalog.Fargate
	}
	if c := labels[catalog.LabelCapacity]; c != "" {
		return catalog.CapacityType(c)
	}
	switch labels[labelEKSCapacity] {
	case "SPOT":
		return catalog.Spot
	case "CAPACITY_BLOCK":
		return catalog.Reserved
	}
	if strings.EqualFold(labels["node.kubernetes.io/lifecycle"], "spot") || strings.EqualFold(labels["node-lifecycle"], "spot") {
		return catalog.Spot
	}
	return catalog.OnDemand
}

// initialized says that a node takes pods: Karpenter labels its own ones, of
// others their readiness says it.
func initialized(n *corev1.Node) bool {
	if n.Labels[labelInitialized] == "true" {
		return true
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
