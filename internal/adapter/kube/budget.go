package kube

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// podBudgets translates PodDisruptionBudgets. A cluster says itself how many
// disruptions it would allow now; for manifests it is computed as the cluster's
// controller does, with every pod taken for healthy.
func (inv *inventory) podBudgets(groups []workload.Group) []workload.PodBudget {
	var out []workload.PodBudget
	for _, b := range inv.budgets {
		ref := inv.ref("PodDisruptionBudget", b)
		budget := workload.PodBudget{Ref: ref, Selector: inv.selector(ref, "spec.selector", b.Spec.Selector)}
		if b.Status.ObservedGeneration > 0 {
			budget.Allowed = int(b.Status.DisruptionsAllowed)
		} else {
			budget.Allowed = allowed(&b.Spec, budget, groups)
		}
		out = append(out, budget)
	}
	return out
}

func allowed(spec *policyv1.PodDisruptionBudgetSpec, b workload.PodBudget, groups []workload.Group) int {
	healthy, scale, known := chosen(b, groups)
	desired, expected := 0, scale
	var err error
	switch {
	case spec.MaxUnavailable != nil:
		desired, err = intstr.GetScaledValueFromIntOrPercent(spec.MaxUnavailable, scale, true)
		desired = max(0, scale-desired)
	case spec.MinAvailable != nil && spec.MinAvailable.Type == intstr.Int:
		desired, expected, known = spec.MinAvailable.IntValue(), healthy, true
	case spec.MinAvailable != nil:
		desired, err = intstr.GetScaledValueFromIntOrPercent(spec.MinAvailable, scale, true)
	}
	if err != nil || !known || expected <= 0 {
		return 0
	}
	return min(max(0, healthy-desired), healthy)
}

// chosen counts the pods of a budget, and how many their controllers want. For
// Jobs that cannot be found out, and nobody wants a number of bare pods.
func chosen(b workload.PodBudget, groups []workload.Group) (healthy, scale int, known bool) {
	known = true
	for i := range groups {
		g := &groups[i]
		if g.Owner.Namespace != b.Ref.Namespace || !b.Selector.Matches(g.Labels) {
			continue
		}
		healthy += g.Count
		switch {
		case g.Owner.Kind == "Pod":
		case g.Batch:
			known = false
		default:
			scale += g.Count
		}
	}
	return healthy, scale, known
}
