package nodes

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// impossible says why no offering takes a group: constraints are applied one
// after the other, and the one that rules out the last offering is named.
func (c *compiler) impossible(g, n int) Pending {
	p := Pending{Group: g, Count: n, Code: NoOffering}
	group := &c.s.Demand[g]
	if len(c.candidates) == 0 {
		p.Text = noCandidates(c.s)
		return p
	}
	left := make([]int, len(c.candidates))
	for i := range left {
		left[i] = i
	}
	for _, step := range constraints(c, group) {
		last := left
		left = slices.DeleteFunc(slices.Clone(left), func(i int) bool { return !step.meets(&c.candidates[i]) })
		if len(left) == 0 {
			p.Text = step.name(last)
			return p
		}
	}
	p.Text = "its constraints together leave no offering"
	return p
}

func noCandidates(s *plan.Snapshot) string {
	switch {
	case len(s.Offers) == 0:
		return "no offering is available"
	case len(s.Pools) == 0:
		return "no node pool allows nodes to be bought"
	}
	return "no offering meets the requirements of any node pool"
}

// constraint is one step of the explanation.
type constraint struct {
	meets func(*Candidate) bool
	name  func(last []int) string
}

func constraints(c *compiler, g *workload.Group) []constraint {
	says := func(text string) func([]int) string { return func([]int) string { return text } }
	out := []constraint{{
		meets: func(cand *Candidate) bool {
			_, refused := workload.Untolerated(g.Tolerations, cand.Pool.Taints)
			return !refused
		},
		name: func(last []int) string {
			t, _ := workload.Untolerated(g.Tolerations, c.candidates[last[0]].Pool.Taints)
			return fmt.Sprintf("the taint %s of pool %s is not tolerated", t.Key, c.candidates[last[0]].Pool.Name)
		},
	}}
	if len(g.Alternatives) == 1 {
		keys := make([]string, 0, len(g.Alternatives[0]))
		for k := range g.Alternatives[0] {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			r := g.Alternatives[0][k]
			out = append(out, constraint{
				meets: func(cand *Candidate) bool { v, ok := cand.Labels[k]; return r.Allows(v, ok) },
				name:  says(fmt.Sprintf("%s must be %s", k, r.String())),
			})
		}
	}
	out = append(out, constraint{
		meets: func(cand *Candidate) bool { return Refusal(g, cand.Labels, cand.Pool.Taints) == "" },
		name:  says("no offering meets any of its node affinity terms"),
	}, constraint{
		meets: func(cand *Candidate) bool { return !c.portTaken(g, cand) },
		name:  says("a host port is taken by a DaemonSet on every node"),
	}, constraint{
		meets: func(cand *Candidate) bool { return !c.tooRisky(g, cand) },
		name:  says("spot machines are too risky for pods that must not be disrupted, and no others are allowed"),
	})
	return append(out, sizeConstraint(c, g))
}

func sizeConstraint(c *compiler, g *workload.Group) constraint {
	return constraint{
		meets: func(cand *Candidate) bool { return g.Requests.Fits(cand.Free()) },
		name: func(last []int) string {
			// The offering with the most of what is short on the largest.
			var most unit.Resources
			for _, i := range last {
				most = most.Max(c.candidates[i].Free())
			}
			if short := g.Requests.Short(most); short != "" {
				return fmt.Sprintf("requests %s of %s, and the most that an allowed offering leaves is %s",
					amount(short, g.Requests.Get(short)), short, amount(short, most.Get(short)))
			}
			return "no allowed offering has as much of everything as one pod requests"
		},
	}
}

func amount(resource string, n int64) string {
	switch resource {
	case "cpu":
		return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64)
	case "memory", "ephemeral-storage":
		return fmt.Sprintf("%.1f GiB", float64(n)/float64(unit.GiB))
	}
	return fmt.Sprint(n)
}
