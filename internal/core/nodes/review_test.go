package nodes_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/nodes/peer"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// TestEverythingPlaced holds for demands that are possible, and that were once
// refused, that every pod gets a place.
func TestEverythingPlaced(t *testing.T) {
	cases := []struct {
		name   string
		change func(s *plan.Snapshot)
	}{
		{"three spot shapes in one zone, which is more of each pool than the policy wants", func(s *plan.Snapshot) {
			s.Demand[0].Count = 40
			s.Demand[0].Alternatives = []workload.Requirements{{
				catalog.LabelCapacity: workload.OneOf("spot"), catalog.LabelZone: workload.OneOf("us-east-1a"),
				catalog.LabelShape: workload.OneOf("c5.large", "c6i.large", "m5.large"),
			}}
		}},
		{"nothing but large machines, which is more of the demand on a node than the policy wants", func(s *plan.Snapshot) {
			s.Pools[0].Requirements = workload.Requirements{catalog.LabelShape: workload.OneOf("m5.4xlarge")}
		}},
		{"a wish for a pool that is too small", func(s *plan.Snapshot) {
			small := s.Pools[0]
			small.Name, small.Limits = "small", &unit.Resources{CPU: unit.Cores(4)}
			s.Pools = append(s.Pools, small)
			s.Demand[0].Count = 40
			s.Demand[0].Preferred = []workload.Preference{{Weight: 1, Requirements: workload.Requirements{catalog.LabelPool: workload.OneOf("small")}}}
		}},
		{"twelve workloads that are alike, a heavy pool that is full and a light one", func(s *plan.Snapshot) {
			heavy := s.Pools[0]
			heavy.Name, heavy.Weight, heavy.Limits = "heavy", 10, &unit.Resources{CPU: unit.Cores(8)}
			s.Pools = append(s.Pools, heavy)
			one := s.Demand[0]
			one.Requests.CPU, one.Count = unit.Cores(1), 2
			s.Demand = nil
			for i := range 12 {
				one.Owner.Name = fmt.Sprint("alike-", i)
				s.Demand = append(s.Demand, one)
			}
		}},
		{"a pool with many teams", func(s *plan.Snapshot) {
			var teams []string
			for i := range 40 {
				teams = append(teams, fmt.Sprint("team-", i))
			}
			s.Pools[0].Requirements = workload.Requirements{"team": workload.OneOf(teams...)}
		}},
		{"machines that cost nothing", func(s *plan.Snapshot) {
			for i := range s.Offers {
				s.Offers[i].Price = 0
			}
		}},
		{"pods of groups that are not there", func(s *plan.Snapshot) {
			*s = *running(s, nodes.Fleet{Purchases: []nodes.Purchase{{
				Pool: s.Pools[0].Name, Offering: s.Offers[0], Count: 1, Allocatable: s.Offers[0].Shape.Allocatable(s.Kubelet),
			}}})
			s.Nodes[0].Pods = []plan.Bound{{Group: 9, Count: 1}, {Group: -1, Count: 2}, {Group: 0, Count: -3}}
		}},
	}
	for _, c := range cases {
		for _, p := range nodes.Policies() {
			t.Run(c.name+", "+p.Name, func(t *testing.T) {
				s := nodestest.Snapshot(nodestest.Microservices(10, 1, 1), nodestest.Market{Spot: true})
				c.change(s)
				f := nodes.Solve(s, p, nodes.Effort{Steps: 10})
				for _, q := range f.Pending {
					t.Errorf("%d pending: %s", q.Count, q.Text)
				}
				if f.Bound > f.Hourly() {
					t.Errorf("bound %v above %v", f.Bound, f.Hourly())
				}
			})
		}
	}
}

// TestSpreadCountsRunning holds that pods which run count for a spread, whether
// they carry it or not.
func TestSpreadCountsRunning(t *testing.T) {
	s := nodestest.Snapshot(nodestest.Microservices(20, 2, 1), nodestest.Market{})
	s.Demand[0].Count, s.Demand[1].Count = 1, 1
	s.Demand[1].Labels = s.Demand[0].Labels
	s.Demand[1].Spread = []workload.Spread{{TopologyKey: workload.LabelHostname, MaxSkew: 1, Required: true, Selector: nodestest.Selector(s.Demand[0].Labels)}}
	large := s.Offers[len(s.Offers)/2]
	buy := nodes.Purchase{Pool: s.Pools[0].Name, Offering: large, Count: 1, Allocatable: large.Shape.Allocatable(s.Kubelet)}
	full := buy
	full.Pods = []plan.Bound{{Group: 0, Count: 1}}
	s = running(s, nodes.Fleet{Purchases: []nodes.Purchase{full, buy}})
	f := nodes.Solve(s, nodes.Cheapest(), nodes.Effort{Steps: 5})
	for _, v := range check.Fleet(s, f) {
		t.Error(v)
	}
	if len(f.Placed) != 1 || f.Placed[0].Node != 1 {
		t.Errorf("placed %+v, want the empty node", f.Placed)
	}
}

// TestWorkloadOfSeveralGroups holds that the share of a workload on a node is
// that of all its groups.
func TestWorkloadOfSeveralGroups(t *testing.T) {
	s := nodestest.Snapshot(nodestest.Microservices(20, 2, 1), nodestest.Market{})
	s.Demand[1].Owner = s.Demand[0].Owner
	s.Demand[0].Count, s.Demand[1].Count = 1, 1
	if f := nodes.Solve(s, nodes.Balanced(), nodes.Effort{Steps: 5}); f.Nodes() != 2 {
		t.Errorf("%d nodes, want one for each pod", f.Nodes())
	}
}

// TestConsolidateSideBySide holds what consolidation must not do.
func TestConsolidateSideBySide(t *testing.T) {
	t.Run("pods without a place are another matter", func(t *testing.T) {
		s := wasteful()
		impossible := s.Demand[0]
		impossible.Requests.Extended = map[string]int64{"nvidia.com/gpu": 99}
		s.Demand = append(s.Demand, impossible)
		if a := nodes.Consolidate(s, nodes.Cheapest(), nodes.Effort{}); !a[0].Acts() {
			t.Errorf("kept: %s", a[0].Reason.Text)
		}
	})
	t.Run("a reservation is bought once", func(t *testing.T) {
		s := wasteful()
		second := s.Nodes[0]
		second.Name, second.Pods = "node-1", []plan.Bound{{Group: 0, Count: 1}}
		s.Nodes = append(s.Nodes, second)
		s.Demand[0].Count = 2
		s.Demand[0].HostPorts = []workload.HostPort{{Protocol: "TCP", Port: 80}}
		small := s.Offers[0]
		small.Limit = 1
		s.Offers = []catalog.Offering{small}
		bought := 0
		for _, a := range nodes.Consolidate(s, nodes.Cheapest(), nodes.Effort{}) {
			if step, ok := a.Effect.(nodes.Replace); ok {
				for _, p := range step.With {
					bought += p.Count
				}
			}
		}
		if bought != 1 {
			t.Errorf("bought %d times", bought)
		}
	})
	t.Run("budgets are about their reason", func(t *testing.T) {
		s := wasteful()
		s.Nodes[0].Pods, s.Demand[0].Count = nil, 0
		s.Pools[0].Disruption.Budgets = []workload.Budget{{Percent: -1, Active: true, Reasons: []string{"Empty"}}}
		if a := nodes.Consolidate(s, nodes.Cheapest(), nodes.Effort{}); a[0].Acts() {
			t.Error("an empty node goes against the budget for empty nodes")
		}
		s.Pools[0].Disruption.Budgets[0].Reasons = []string{"Underutilized"}
		if a := nodes.Consolidate(s, nodes.Cheapest(), nodes.Effort{}); !a[0].Acts() {
			t.Errorf("an empty node is kept by a budget for others: %s", a[0].Reason.Text)
		}
	})
}

// TestConsolidateStopsInTime holds that nodes are not looked at twice in a run,
// and no more of them than the effort allows.
func TestConsolidateStopsInTime(t *testing.T) {
	t.Run("a node that gets pods is left alone", func(t *testing.T) {
		s := wasteful()
		empty := s.Nodes[0]
		empty.Name, empty.Pods = "node-1", nil
		s.Nodes = append(s.Nodes, empty)
		s.Pools[0].Disruption.After = time.Hour
		for _, a := range nodes.Consolidate(s, nodes.Cheapest(), nodes.Effort{}) {
			if step, ok := a.Effect.(nodes.Replace); ok && len(step.Placed) > 0 && step.Nodes[0] == "node-0" {
				continue
			} else if ok && step.Moved > 0 && step.Nodes[0] == "node-1" {
				t.Errorf("pods move twice: %s", a.Reason.Text)
			}
		}
	})
	t.Run("effort bounds it", func(t *testing.T) {
		s := wasteful()
		for range 3 {
			s.Nodes = append(s.Nodes, s.Nodes[0])
		}
		acts := 0
		for _, a := range nodes.Consolidate(s, nodes.Cheapest(), nodes.Effort{Steps: 1}) {
			if a.Acts() {
				acts++
			}
		}
		if acts > 1 {
			t.Errorf("%d steps with an effort of one node", acts)
		}
	})
}

// TestLongRequirements holds that requirements which differ only in what a text
// would not list any more are not taken for one.
func TestLongRequirements(t *testing.T) {
	first := []string{"a1", "a2", "a3", "a4", "a5"}
	s := nodestest.Snapshot(nodestest.Microservices(20, 2, 1), nodestest.Market{})
	for g, shape := range []string{"c5.large", "m5.large"} {
		s.Demand[g].Alternatives = []workload.Requirements{{catalog.LabelShape: workload.OneOf(append(first, shape)...)}}
	}
	for name, f := range map[string]nodes.Fleet{"solver": nodes.Solve(s, nodes.Cheapest(), nodes.Effort{Steps: 5}), "Karpenter": peer.Karpenter(s, peer.KarpenterSettings{})} {
		for _, v := range check.Fleet(s, f) {
			t.Errorf("%s: %v", name, v)
		}
		if len(f.Pending) > 0 {
			t.Errorf("%s: %+v", name, f.Pending)
		}
	}
}
