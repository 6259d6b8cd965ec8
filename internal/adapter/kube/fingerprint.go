package kube

import (
	"encoding/binary"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// fingerprint appends all of a pod that has a part in its group, in a form that
// costs little: equal bytes mean the same group, so that of ten thousand pods
// only one of each kind must be understood. Different bytes mean nothing.
func fingerprint(b []byte, owner workload.Ref, p *corev1.Pod) []byte {
	b = text(b, owner.Kind, owner.Namespace)
	if owner.Kind != "Pod" {
		b = text(b, owner.Name)
	}
	b = workload.AppendLabels(b, p.Labels)
	b = text(b, p.Annotations[annotationDoNotDisrupt], p.Annotations[annotationSafeToEvict])
	s := &p.Spec
	b = flag(b, s.HostNetwork)
	if s.Priority != nil {
		b = binary.AppendVarint(b, int64(*s.Priority))
	}
	b = workload.AppendLabels(append(b, '/'), s.NodeSelector)
	for i := range s.Tolerations {
		t := &s.Tolerations[i]
		b = text(b, t.Key, string(t.Operator), t.Value, string(t.Effect))
	}
	b = volumes(append(b, '/'), s)
	b = amounts(append(b, '/'), s.Overhead)
	for _, list := range [2][]corev1.Container{s.InitContainers, s.Containers} {
		b = append(b, '/')
		for i := range list {
			b = container(b, &list[i])
		}
	}
	if s.Resources != nil {
		b = amounts(append(b, 'r'), s.Resources.Requests)
	}
	b = resized(append(b, '/'), p)
	return terms(append(b, '/'), s)
}

func text(b []byte, list ...string) []byte {
	for _, s := range list {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

func flag(b []byte, yes bool) []byte {
	if yes {
		return append(b, 1)
	}
	return append(b, 0)
}

func container(b []byte, c *corev1.Container) []byte {
	b = flag(b, sidecar(c))
	for i := range c.Ports {
		p := &c.Ports[i]
		b = text(binary.AppendVarint(binary.AppendVarint(append(b, 'p'), int64(p.HostPort)), int64(p.ContainerPort)), p.HostIP, string(p.Protocol))
	}
	return amounts(b, c.Resources.Requests)
}

// amounts appends quantities in the order of their names.
func amounts(b []byte, list corev1.ResourceList) []byte {
	b = append(b, byte(len(list)))
	left := len(list)
	for _, name := range [...]corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if q, given := list[name]; given {
			left--
			b = quantity(text(b, string(name)), &q)
		}
	}
	if left == 0 {
		return b
	}
	for _, name := range sortedKeys(list) {
		q := list[name]
		b = quantity(text(b, string(name)), &q)
	}
	return b
}

func quantity(b []byte, q *resource.Quantity) []byte {
	if n, whole := q.AsInt64(); whole {
		return binary.AppendVarint(append(b, 0), n)
	}
	return text(append(b, 1), q.String())
}

// resized appends what the kubelet reports about resources: while a pod is being
// resized the scheduler counts the larger amounts.
func resized(b []byte, p *corev1.Pod) []byte {
	for _, list := range [2][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			b = amounts(text(b, list[i].Name), list[i].AllocatedResources)
			if list[i].Resources != nil {
				b = amounts(b, list[i].Resources.Requests)
			}
		}
	}
	b = amounts(b, p.Status.AllocatedResources)
	if p.Status.Resources != nil {
		b = amounts(b, p.Status.Resources.Requests)
	}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodResizePending {
			b = text(b, c.Reason)
		}
	}
	return b
}

// volumes appends those that may tie a pod to a place.
func volumes(b []byte, s *corev1.PodSpec) []byte {
	for i := range s.Volumes {
		v := &s.Volumes[i]
		switch {
		case v.PersistentVolumeClaim != nil:
			b = text(append(b, 'c'), v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
			b = encoded(append(b, 'e'), v.Ephemeral.VolumeClaimTemplate.Spec.Marshal)
		}
	}
	return b
}

// terms appends what only some pods have, encoded by the API's own code, which
// orders the keys of maps.
func terms(b []byte, s *corev1.PodSpec) []byte {
	for i := range s.TopologySpreadConstraints {
		b = encoded(append(b, 't'), s.TopologySpreadConstraints[i].Marshal)
	}
	if s.Affinity != nil {
		b = encoded(append(b, 'a'), s.Affinity.Marshal)
	}
	return b
}

func encoded(b []byte, marshal func() ([]byte, error)) []byte {
	raw, err := marshal()
	if err != nil {
		return slices.Concat(b, []byte(err.Error()))
	}
	return append(binary.AppendUvarint(b, uint64(len(raw))), raw...)
}
