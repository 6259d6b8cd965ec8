package kube

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tatami-platform/tatami/internal/adapter/kube/manifest"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// KEDA's maxReplicaCount when it is not given.
const kedaMax = 100

// scaler bounds the number of pods of a workload.
type scaler struct {
	ref, target workload.Ref
	workload.Range
}

// addAutoscaler reads every version of the kind: they differ in metrics only.
func (inv *inventory) addAutoscaler(o manifest.Object) error {
	use := func(h *autoscalingv2.HorizontalPodAutoscaler) {
		to := h.Spec.ScaleTargetRef
		inv.scalers = append(inv.scalers, scaler{
			ref:    inv.ref(o.Kind, h),
			target: workload.Ref{Kind: to.Kind, Namespace: h.Namespace, Name: to.Name},
			Range:  workload.Range{Min: wanted(h.Spec.MinReplicas), Max: int(h.Spec.MaxReplicas)},
		})
	}
	if o.APIVersion == "autoscaling/v2" {
		return take(inv, o, use)
	}
	return loose(inv, o, use)
}

// scaledObject is the part of KEDA's kind that bounds replicas.
type scaledObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		ScaleTargetRef struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"scaleTargetRef"`
		IdleReplicaCount *int32 `json:"idleReplicaCount"`
		MinReplicaCount  *int32 `json:"minReplicaCount"`
		MaxReplicaCount  *int32 `json:"maxReplicaCount"`
	} `json:"spec"`
}

func (inv *inventory) addScaledObject(o manifest.Object) error {
	return loose(inv, o, func(s *scaledObject) {
		bounds := workload.Range{Max: kedaMax}
		if s.Spec.MinReplicaCount != nil {
			bounds.Min = int(*s.Spec.MinReplicaCount)
		}
		if s.Spec.MaxReplicaCount != nil {
			bounds.Max = int(*s.Spec.MaxReplicaCount)
		}
		if idle := s.Spec.IdleReplicaCount; idle != nil {
			bounds.Min = min(bounds.Min, int(*idle))
		}
		kind := s.Spec.ScaleTargetRef.Kind
		if kind == "" {
			kind = "Deployment"
		}
		inv.scalers = append(inv.scalers, scaler{
			ref:    inv.ref(o.Kind, s),
			target: workload.Ref{Kind: kind, Namespace: s.Namespace, Name: s.Spec.ScaleTargetRef.Name},
			Range:  bounds,
		})
	})
}

// scale gives groups the range in which a scaler may move them. The number of
// pods in manifests is moved into it; in a cluster it is what it is.
func (inv *inventory) scale(groups []workload.Group) {
	byOwner := map[workload.Ref][]int{}
	for i := range groups {
		byOwner[groups[i].Owner] = append(byOwner[groups[i].Owner], i)
	}
	for _, s := range inv.scalers {
		of := byOwner[s.target]
		switch {
		case s.Min < 0 || s.Max < max(s.Min, 1):
			inv.note(s.ref, "spec", "its bounds make no range: it is left out")
		case len(of) == 0:
			inv.note(s.ref, "spec.scaleTargetRef", "there is no "+s.target.String()+" that it could scale")
		default:
			largest := bound(groups, of, s.Range)
			if r := largest.Replicas; !inv.lenient {
				largest.Count = min(max(largest.Count, r.Min), r.Max)
			}
		}
	}
}

// bound gives the range to the largest group of an owner; the others are pods
// of an older version, or tied to a place.
func bound(groups []workload.Group, of []int, r workload.Range) *workload.Group {
	largest, others := &groups[of[0]], 0
	for _, i := range of {
		others += groups[i].Count
		if groups[i].Count > largest.Count {
			largest = &groups[i]
		}
	}
	others -= largest.Count
	largest.Replicas = workload.Range{Min: max(0, r.Min-others), Max: max(0, r.Max-others)}
	return largest
}
