package kube

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helpers "k8s.io/component-helpers/resource"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// requests is what the scheduler counts for a pod.
func requests(pod *corev1.Pod, options helpers.PodResourcesOptions) unit.Resources {
	r := resources(helpers.PodRequests(pod, options))
	r.Pods = 1
	return r
}

// resources translates a list of quantities. Parts of a millicore or byte are
// rounded up, as the scheduler does; what is too large for 64 bits becomes the
// largest number.
func resources(list corev1.ResourceList) unit.Resources {
	var r unit.Resources
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.CPU = unit.MilliCPU(milli(&q))
		case corev1.ResourceMemory:
			r.Memory = unit.Bytes(whole(&q))
		case corev1.ResourceEphemeralStorage:
			r.Disk = unit.Bytes(whole(&q))
		case corev1.ResourcePods:
			r.Pods = whole(&q)
		default:
			if n := whole(&q); n != 0 {
				if r.Extended == nil {
					r.Extended = map[string]int64{}
				}
				r.Extended[string(name)] = n
			}
		}
	}
	return r
}

func whole(q *resource.Quantity) int64 { return clamp(q, 1, q.Value) }

func milli(q *resource.Quantity) int64 { return clamp(q, 1000, q.MilliValue) }

// clamp reads a quantity unless it would wrap around.
func clamp(q *resource.Quantity, scale int64, read func() int64) int64 {
	switch limit := resource.NewQuantity(math.MaxInt64/scale, resource.DecimalSI); {
	case q.Cmp(*limit) >= 0:
		return math.MaxInt64
	case q.Sign() < 0 && q.Cmp(*resource.NewQuantity(-math.MaxInt64/scale, resource.DecimalSI)) <= 0:
		return -math.MaxInt64
	}
	return read()
}
