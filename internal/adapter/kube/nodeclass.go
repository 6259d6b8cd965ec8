package kube

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// nodeClass is the part of EC2NodeClass v1 that changes what a node leaves for
// pods.
type nodeClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Kubelet struct {
			MaxPods        int                          `json:"maxPods"`
			PodsPerCore    int                          `json:"podsPerCore"`
			SystemReserved map[string]resource.Quantity `json:"systemReserved"`
			KubeReserved   map[string]resource.Quantity `json:"kubeReserved"`
			EvictionHard   map[string]string            `json:"evictionHard"`
		} `json:"kubelet"`
		BlockDeviceMappings []struct {
			RootVolume bool `json:"rootVolume"`
			EBS        struct {
				VolumeSize *resource.Quantity `json:"volumeSize"`
			} `json:"ebs"`
		} `json:"blockDeviceMappings"`
		InstanceStorePolicy string `json:"instanceStorePolicy"`
	} `json:"spec"`
}

// kubelet reads the class of the heaviest pool that has one: a snapshot knows
// one way to set up nodes.
func (inv *inventory) kubelet() catalog.Kubelet {
	var chosen *nodePool
	for _, p := range inv.pools {
		if inv.nodeClasses[p.class()] != nil && (chosen == nil || p.Spec.Weight > chosen.Spec.Weight) {
			chosen = p
		}
	}
	name := ""
	switch {
	case chosen != nil:
		name = chosen.class()
	case len(inv.nodeClasses) > 0:
		name = sortedKeys(inv.nodeClasses)[0]
	default:
		return catalog.Kubelet{}
	}
	for _, other := range sortedKeys(inv.nodeClasses) {
		if other != name {
			inv.note(workload.Ref{Kind: "EC2NodeClass", Name: other}, "", "nodes are taken for set up as "+name+" says")
		}
	}
	return inv.fromClass(inv.nodeClasses[name])
}

func (p *nodePool) class() string { return p.Spec.Template.Spec.NodeClassRef.Name }

func (inv *inventory) fromClass(c *nodeClass) catalog.Kubelet {
	ref, spec := inv.ref("EC2NodeClass", c), &c.Spec.Kubelet
	k := catalog.Kubelet{MaxPods: spec.MaxPods, PodsPerCore: spec.PodsPerCore, Reserved: quantities(spec.SystemReserved)}
	if len(spec.KubeReserved) > 0 {
		inv.note(ref, "spec.kubelet.kubeReserved", "what EKS reserves by default is counted instead")
	}
	if len(spec.EvictionHard) > 0 {
		inv.note(ref, "spec.kubelet.evictionHard", "the default thresholds are counted instead")
	}
	if c.Spec.InstanceStorePolicy != "" {
		inv.note(ref, "spec.instanceStorePolicy", "local disks are not counted as ephemeral storage")
	}
	for i, m := range c.Spec.BlockDeviceMappings {
		if size := m.EBS.VolumeSize; size != nil && (m.RootVolume || i == 0) {
			k.RootDisk = unit.Bytes(whole(size))
		}
	}
	return k
}

func quantities(m map[string]resource.Quantity) unit.Resources {
	list := corev1.ResourceList{}
	for name, q := range m {
		list[corev1.ResourceName(name)] = q
	}
	return resources(list)
}
