package karpenter

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	karpenterv1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/utils/nodepool"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// nodePools are in the order in which Karpenter tries them.
func nodePools(pools []workload.Pool) []*karpenterv1.NodePool {
	var out []*karpenterv1.NodePool
	for i := range pools {
		out = append(out, nodePool(&pools[i]))
	}
	nodepool.OrderByWeight(out)
	return out
}

func nodePool(p *workload.Pool) *karpenterv1.NodePool {
	weight := int32(p.Weight)
	np := &karpenterv1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: p.Name, UID: types.UID("pool-" + p.Name)}}
	np.Spec.Weight = &weight
	if p.Limits != nil {
		np.Spec.Limits = karpenterv1.Limits(resourceList(*p.Limits))
	}
	t := &np.Spec.Template
	t.Labels = p.Labels
	t.Spec.NodeClassRef = &karpenterv1.NodeClassReference{Group: "karpenter.k8s.aws", Kind: "EC2NodeClass", Name: "default"}
	t.Spec.Taints, t.Spec.StartupTaints = taints(p.Taints), taints(p.StartupTaints)
	for _, e := range nodeExpressions(p.Requirements) {
		r := karpenterv1.NodeSelectorRequirementWithMinValues{Key: e.Key, Operator: e.Operator, Values: e.Values}
		if n := p.Requirements[e.Key].MinValues; n > 0 {
			r.MinValues = &n
		}
		t.Spec.Requirements = append(t.Spec.Requirements, r)
	}
	return np
}

func taints(list []workload.Taint) []corev1.Taint {
	var out []corev1.Taint
	for _, t := range list {
		out = append(out, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return slices.Clip(out)
}
