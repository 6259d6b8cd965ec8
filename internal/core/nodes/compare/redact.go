package compare

import (
	"fmt"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Anonymise replaces the names of workloads, pools and objects by numbers, so
// that a report can be shown to strangers. Sentences that may quote names are
// dropped; figures stay.
func Anonymise(req Request) Request {
	s := *req.Snapshot
	names := map[workload.Ref]string{}
	var pairs [][2]workload.Ref
	hide := func(groups []workload.Group) []workload.Group {
		out := make([]workload.Group, len(groups))
		for i, g := range groups {
			if names[g.Owner] == "" {
				names[g.Owner] = fmt.Sprintf("workload-%d", len(names)+1)
				pairs = append(pairs, [2]workload.Ref{g.Owner, {Kind: g.Owner.Kind, Name: names[g.Owner]}})
			}
			g.Owner = workload.Ref{Kind: g.Owner.Kind, Name: names[g.Owner]}
			out[i] = g
		}
		return out
	}
	s.Demand, s.Daemons = hide(s.Demand), hide(s.Daemons)
	req.Snapshot, req.Name, req.redact = &s, "(redacted)", true
	if req.Trace != nil {
		trace := req.Trace.Renamed(pairs)
		req.Trace = &trace
	}
	kept := make([]NotCovered, len(req.NotCovered))
	for i, n := range req.NotCovered {
		kept[i] = NotCovered{
			Code: n.Code, Object: workload.Ref{Kind: n.Object.Kind, Name: fmt.Sprintf("object-%d", i+1)},
			Field: n.Field, Why: "(redacted)",
		}
		if n.LeftOut() {
			kept[i].Why += leftOut
		}
	}
	req.NotCovered = kept
	errs := make([]string, len(req.Errors))
	for i := range errs {
		errs[i] = "(redacted)"
	}
	req.Errors = errs
	return req
}

// hide finishes what [Anonymise] began in the answer of one strategy.
func (r *run) hide(s *Strategy) {
	for i := range s.Pending {
		s.Pending[i].Reason = string(s.Pending[i].Code)
	}
	pools := map[string]string{"": ""}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if _, known := pools[n.Pool]; !known {
			pools[n.Pool] = fmt.Sprintf("pool-%d", len(pools))
		}
		n.Pool = pools[n.Pool]
	}
}
