package karpenter

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

func nodeExpressions(rs workload.Requirements) []corev1.NodeSelectorRequirement {
	var out []corev1.NodeSelectorRequirement
	for _, e := range rs.Expressions() {
		out = append(out, corev1.NodeSelectorRequirement{Key: e.Key, Operator: corev1.NodeSelectorOperator(e.Operator), Values: e.Values})
	}
	return out
}

// labelSelector of a selector that chooses nothing is nil, as it is missing.
func labelSelector(s workload.Selector) *metav1.LabelSelector {
	if s.Everything {
		return &metav1.LabelSelector{}
	}
	if len(s.Requirements) == 0 {
		return nil
	}
	out := &metav1.LabelSelector{}
	for _, e := range s.Requirements.Expressions() {
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: e.Key, Operator: metav1.LabelSelectorOperator(e.Operator), Values: e.Values,
		})
	}
	return out
}
