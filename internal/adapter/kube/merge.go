package kube

import (
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// merge joins groups of one owner that no scheduler can tell apart. Pods that
// nobody owns count as one owner's.
func merge(groups []workload.Group, budgets []workload.PodBudget) (merged []workload.Group, to []int) {
	lens := workload.NewLens(groups, budgets)
	return workload.Merge(groups, func(g *workload.Group) string {
		owner := g.Owner
		if owner.Kind == "Pod" {
			owner.Name = ""
		}
		return owner.String() + "\x00" + lens.Key(g)
	})
}

// judge notes what is wrong with groups, and says which must not be planned
// with.
func (inv *inventory) judge(groups []workload.Group, nodes []plan.Node) (fatal map[int]bool) {
	running := map[int]bool{}
	for i := range nodes {
		for _, b := range nodes[i].Pods {
			running[b.Group] = true
		}
	}
	fatal = map[int]bool{}
	for _, f := range workload.Validate(groups, func(i int) bool { return running[i] }) {
		why := f.Text
		if f.Fatal {
			fatal[f.Group] = true
			why += ": it is left out"
		}
		inv.note(groups[f.Group].Owner, f.Field, why)
	}
	return fatal
}
