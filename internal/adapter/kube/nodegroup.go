package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// maxNodes is how large an EKS managed node group may be: the bounds of a group
// cannot be seen from within the cluster.
const maxNodes = 450

// nodeGroupsOf derives node groups from the labels of their nodes.
func nodeGroupsOf(nodes []*corev1.Node) []workload.NodeGroup {
	var out []workload.NodeGroup
	at := map[string]int{}
	for _, n := range nodes {
		name := n.Labels[labelNodeGroup]
		if name == "" {
			name = n.Labels[labelEksctlGroup]
		}
		if name == "" {
			continue
		}
		i, known := at[name]
		if !known {
			i = len(out)
			at[name] = i
			out = append(out, workload.NodeGroup{
				Name: name, Max: maxNodes, Spot: capacityType(n.Labels) == catalog.Spot,
				Labels: stableLabels(n.Labels), Taints: taints(n.Spec.Taints),
			})
		}
		g := &out[i]
		g.Desired++
		g.Shapes = include(g.Shapes, n.Labels[corev1.LabelInstanceTypeStable])
		g.Zones = include(g.Zones, n.Labels[corev1.LabelTopologyZone])
		for key, value := range g.Labels {
			if n.Labels[key] != value {
				delete(g.Labels, key) // it is one node's own
			}
		}
	}
	for i := range out {
		for _, key := range []string{corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelInstanceTypeStable, "topology.ebs.csi.aws.com/zone", "topology.k8s.aws/zone-id"} {
			delete(out[i].Labels, key)
		}
	}
	return out
}

func include(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
