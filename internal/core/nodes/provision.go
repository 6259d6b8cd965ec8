package nodes

import (
	"fmt"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Provision decides what to buy for the pods that have no place: one action for
// each kind of node, and one that keeps things as they are for each group of
// pods that no node can be bought for.
func Provision(s *plan.Snapshot, p Policy, e Effort) []plan.Action {
	f := Solve(s, p, e)
	var out []plan.Action
	for _, buy := range f.Purchases {
		out = append(out, plan.Action{
			Decider: Decider, Target: workload.Ref{Kind: "NodePool", Name: buy.Pool}, Effect: Launch{Purchase: buy}, Reason: whyLaunch(buy),
		})
	}
	for _, q := range f.Pending {
		out = append(out, plan.Action{
			Decider: Decider, Target: s.Demand[q.Group].Owner, Effect: plan.Keep{},
			Reason: plan.Reason{Code: q.Code, Text: fmt.Sprintf("%d pods stay pending: %s", q.Count, q.Text)},
		})
	}
	return out
}

// rejectedShown is how many of the other offerings a reason names.
const rejectedShown = 3

func whyLaunch(p Purchase) plan.Reason {
	pods := 0
	for _, b := range p.Pods {
		pods += b.Count
	}
	o := p.Offering
	r := plan.Reason{
		Code: PodsPending, Hourly: o.Price.Times(int64(p.Count)),
		Text: fmt.Sprintf("%d pods have no place; %d × %s (%s) holds %d each at $%s per hour", pods*p.Count, p.Count, o.Shape.Name, o.Capacity, pods, o.Price),
	}
	for _, other := range p.Others {
		if len(r.Rejected) == rejectedShown {
			break
		}
		if other.Shape == o.Shape && other.Capacity == o.Capacity {
			continue
		}
		r.Rejected = append(r.Rejected, plan.Alternative{
			What: fmt.Sprintf("%d × %s (%s)", p.Count, other.Shape.Name, other.Capacity), Code: NothingCheaper,
			Why:    "it holds the same pods and is not cheaper, or is taken back more often",
			Hourly: other.Price.Times(int64(p.Count)),
		})
	}
	return r
}
