package karpenter

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// expression is one part of a requirement, as [workload.Requirement.String]
// writes it.
type expression struct {
	key, operator string
	values        []string
}

// expressions takes requirements apart, in the order of their keys.
func expressions(rs workload.Requirements) []expression {
	var out []expression
	for _, key := range slices.Sorted(maps.Keys(rs)) {
		r := rs[key]
		for part := range strings.SplitSeq(r.String(), " and ") {
			operator, values, _ := strings.Cut(part, " ")
			if operator == string(workload.Exists) && r.Allows("", false) {
				continue // with or without a value: nothing is required
			}
			out = append(out, expression{key, operator, strings.Fields(strings.Trim(values, "[]"))})
		}
	}
	return out
}

func nodeExpressions(rs workload.Requirements) []corev1.NodeSelectorRequirement {
	var out []corev1.NodeSelectorRequirement
	for _, e := range expressions(rs) {
		out = append(out, corev1.NodeSelectorRequirement{Key: e.key, Operator: corev1.NodeSelectorOperator(e.operator), Values: e.values})
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
	for _, e := range expressions(s.Requirements) {
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: e.key, Operator: metav1.LabelSelectorOperator(e.operator), Values: e.values,
		})
	}
	return out
}
