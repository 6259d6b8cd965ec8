package nodes_test

import (
	"math/rand/v2"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// randomSnapshot is a small cluster with a bit of everything, sensible or not.
func randomSnapshot(r *rand.Rand) *plan.Snapshot {
	market := nodestest.Market{MaxVCPU: []int{0, 8, 16}[r.IntN(3)], ARM: r.IntN(2) == 0, Spot: r.IntN(2) == 0}
	s := nodestest.Snapshot(nodestest.Services(1+r.IntN(60), 1+r.IntN(6), r.Uint64()), market)
	for g := range s.Demand {
		disturb(&s.Demand[g], r)
	}
	if r.IntN(3) == 0 {
		s.Daemons = nodestest.Daemons()
	}
	if r.IntN(4) == 0 {
		s.Pools[0].Limits = &unit.Resources{CPU: unit.Cores(r.IntN(40))}
	}
	if r.IntN(4) == 0 {
		other := s.Pools[0]
		other.Name, other.Weight = "heavy", 10
		other.Requirements = workload.Requirements{catalog.LabelZone: workload.OneOf(nodestest.Zones()[r.IntN(3)])}
		s.Pools = append(s.Pools, other)
	}
	if r.IntN(3) == 0 {
		s = running(s, nodes.Solve(s, nodes.Cheapest(), nodes.Effort{Steps: 1}))
		for g := range s.Demand {
			s.Demand[g].Count += r.IntN(4)
		}
		for n := range s.Nodes {
			s.Nodes[n].Leaving = r.IntN(5) == 0
		}
	}
	return s
}

// disturb gives a group something unusual.
func disturb(g *workload.Group, r *rand.Rand) {
	switch r.IntN(12) {
	case 0:
		g.Requests = unit.Resources{Pods: 1}
	case 1:
		g.Requests.CPU = unit.Cores(1 << r.IntN(40))
	case 2:
		g.Requests.Extended = map[string]int64{"nvidia.com/gpu": 1}
	case 3:
		g.HostPorts = []workload.HostPort{{Protocol: "TCP", Port: 80}}
	case 4:
		g.Alternatives = []workload.Requirements{{catalog.LabelZone: workload.OneOf(nodestest.Zones()[r.IntN(3)], "nowhere")}}
	case 5:
		g.Affinity = []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: nodestest.Selector(g.Labels)}}
	case 6:
		g.Preferred = []workload.Preference{{Weight: 50, Requirements: workload.Requirements{catalog.LabelArch: workload.OneOf("arm64")}}}
	case 7:
		g.Count = 0
	case 8:
		g.DoNotDisrupt = true
	}
}

// FuzzSolveSnapshot holds that whatever the demand, the answer is possible and
// not below its bound, and that a part of the demand does not cost more than the
// whole.
func FuzzSolveSnapshot(f *testing.F) {
	for seed := range uint64(60) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 77))
		s := randomSnapshot(r)
		for _, p := range nodes.Policies() {
			fleet := nodes.Solve(s, p, nodes.Effort{Steps: 10})
			for _, v := range check.Fleet(s, fleet) {
				t.Errorf("seed %d, %s: %v", seed, p.Name, v)
			}
			if p.Name == "cheapest" {
				lessCostsLess(t, s, fleet, r)
			}
		}
	})
}

func lessCostsLess(t *testing.T, s *plan.Snapshot, whole nodes.Fleet, r *rand.Rand) {
	t.Helper()
	if len(whole.Pending) > 0 || len(s.Nodes) > 0 {
		return // what is left out is not comparable
	}
	less := *s
	less.Demand = append([]workload.Group{}, s.Demand...)
	for g := range less.Demand {
		less.Demand[g].Count = r.IntN(less.Demand[g].Count + 1)
	}
	part := nodes.Solve(&less, nodes.Cheapest(), nodes.Effort{Steps: 40})
	if part.Hourly() > whole.Hourly() {
		t.Errorf("a part of the demand costs %v per hour, the whole %v", part.Hourly(), whole.Hourly())
	}
}
