package peer_test

import (
	"slices"
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

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// old makes a cluster of nodes that nothing happened to for an hour, of which
// all may be disrupted.
func old(t *testing.T, groups []workload.Group, of ...plan.Node) *plan.Snapshot {
	t.Helper()
	s := snapshot(groups...)
	s.Now = noon()
	s.Pools[0].Disruption.Budgets = []workload.Budget{{Percent: 100, Active: true}}
	for _, n := range of {
		n.Created, n.Changed = noon().Add(-time.Hour), noon().Add(-time.Hour)
		s.Nodes = append(s.Nodes, n)
	}
	return s
}

func pods(n int) plan.Bound { return plan.Bound{Group: 0, Count: n} }

func TestConsolidate(t *testing.T) {
	t.Parallel()
	base := snapshot()
	large := func(name string, n int) plan.Node { return node(t, base, name, "c6a.large", pods(n)) }
	for _, tc := range []struct {
		name   string
		nodes  []plan.Node
		change func(s *plan.Snapshot)
		want   []int
		buys   string
	}{
		{"nothing to gain", []plan.Node{large("a", 1)}, nil, nil, ""},
		{"an empty node goes first", []plan.Node{large("a", 1), node(t, base, "b", "r5.4xlarge")}, nil, []int{1}, ""},
		{"a node whose pods fit elsewhere", []plan.Node{node(t, base, "a", "c6a.xlarge", pods(2)), large("b", 1)}, nil, []int{1}, ""},
		{"an expensive one becomes a cheap one", []plan.Node{node(t, base, "a", "r5.4xlarge", pods(1))}, nil, []int{0}, "c6a.large"},
		{"several become one", []plan.Node{node(t, base, "a", "r5.large", pods(1)), node(t, base, "b", "r5.large", pods(1)), node(t, base, "c", "r5.large", pods(1))}, nil, []int{0, 1, 2}, "c6a.xlarge"},
		{"one never becomes two", []plan.Node{node(t, base, "a", "m5.4xlarge", pods(15))}, nil, []int{0}, "c6a.4xlarge"},
		{"a pod that may not be disrupted", []plan.Node{node(t, base, "a", "r5.4xlarge", pods(1))}, func(s *plan.Snapshot) { s.Demand[0].DoNotDisrupt = true }, nil, ""},
		{"a budget of the pods", []plan.Node{node(t, base, "a", "r5.4xlarge", pods(1))}, func(s *plan.Snapshot) {
			s.PodBudgets = []workload.PodBudget{{Ref: workload.Ref{Namespace: "shop"}, Selector: nodestest.Selector(s.Demand[0].Labels)}}
		}, nil, ""},
		{"a budget of the pool", []plan.Node{large("a", 1), node(t, base, "b", "r5.4xlarge")}, func(s *plan.Snapshot) {
			s.Pools[0].Disruption.Budgets = []workload.Budget{{Percent: -1, Nodes: 0, Active: true}}
		}, nil, ""},
		{"a budget for another reason", []plan.Node{large("a", 1), node(t, base, "b", "r5.4xlarge")}, func(s *plan.Snapshot) {
			s.Pools[0].Disruption.Budgets = []workload.Budget{{Percent: -1, Reasons: []string{"Drifted"}, Active: true}}
		}, []int{1}, ""},
		{"too early", []plan.Node{node(t, base, "a", "r5.4xlarge", pods(1))}, func(s *plan.Snapshot) { s.Pools[0].Disruption.After = 2 * time.Hour }, nil, ""},
		{"never", []plan.Node{node(t, base, "a", "r5.4xlarge")}, func(s *plan.Snapshot) { s.Pools[0].Disruption.After = -1 }, nil, ""},
		{"only when empty", []plan.Node{node(t, base, "a", "r5.4xlarge", pods(1))}, func(s *plan.Snapshot) { s.Pools[0].Disruption.WhenEmptyOnly = true }, nil, ""},
		{"a node of nobody", []plan.Node{node(t, base, "a", "r5.4xlarge")}, func(s *plan.Snapshot) { s.Nodes[0].Pool = "" }, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			for _, o := range tc.nodes {
				n += total(o.Pods)
			}
			s := old(t, []workload.Group{web(n)}, tc.nodes...)
			if tc.change != nil {
				tc.change(s)
			}
			cmd := peer.Consolidate(s, peer.KarpenterSettings{})
			if !slices.Equal(cmd.Delete, tc.want) {
				t.Fatalf("deletes %v, want %v", cmd.Delete, tc.want)
			}
			buys := ""
			if len(cmd.Replace) > 0 {
				buys = cmd.Replace[0].Offering.Shape.Name
			}
			if buys != tc.buys {
				t.Errorf("buys %q, want %q", buys, tc.buys)
			}
			if !cmd.Empty() && cmd.Hourly >= 0 {
				t.Errorf("it costs %s more", cmd.Hourly)
			}
			feasible(t, peer.Apply(s, cmd))
		})
	}
}

// feasible checks a cluster as if its pods had just been placed.
func feasible(t *testing.T, s *plan.Snapshot) {
	t.Helper()
	fresh := *s
	fresh.Nodes = slices.Clone(s.Nodes)
	var f nodes.Fleet
	for i := range fresh.Nodes {
		f.Placed = append(f.Placed, nodes.Placed{Node: i, Pods: fresh.Nodes[i].Pods})
		fresh.Nodes[i].Pods = nil
	}
	for _, v := range check.Fleet(&fresh, f) {
		t.Error(v)
	}
}

func TestSpotToSpot(t *testing.T) {
	t.Parallel()
	market := nodestest.Market{Spot: true, ARM: true}
	for _, tc := range []struct {
		name   string
		set    peer.KarpenterSettings
		shapes []string
		want   bool
	}{
		{"off by default", peer.KarpenterSettings{}, nil, false},
		{"on", peer.KarpenterSettings{SpotToSpot: true}, nil, true},
		{"fewer than 15 cheaper types", peer.KarpenterSettings{SpotToSpot: true}, []string{"r5.4xlarge", "c5.large", "m5.large"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := nodestest.Snapshot([]workload.Group{web(1)}, market)
			s.Now = noon()
			if tc.shapes != nil {
				s.Pools[0].Requirements = in(catalog.LabelShape, tc.shapes...)
			}
			n := node(t, s, "a", "r5.4xlarge", pods(1))
			for _, o := range s.Offers {
				if o.Shape == n.Offering.Shape && o.Capacity == catalog.Spot && o.Zone == n.Offering.Zone {
					n.Offering = o
				}
			}
			n.Labels[catalog.LabelCapacity] = string(catalog.Spot)
			s.Nodes = []plan.Node{n}
			cmd := peer.Consolidate(s, peer.KarpenterSettings{SpotToSpot: tc.set.SpotToSpot})
			if cmd.Empty() == tc.want {
				t.Errorf("command: %+v", cmd)
			}
		})
	}
}

// TestConsolidationEnds holds that rounds of consolidation make a cluster
// cheaper each time, keep every pod, and come to an end.
func TestConsolidationEnds(t *testing.T) {
	t.Parallel()
	s := nodestest.Snapshot(nodestest.Services(200, 20, 1), nodestest.Market{MaxVCPU: 16})
	s.Now = noon()
	s.Pools[0].Disruption.Budgets = []workload.Budget{{Percent: 100, Active: true}}
	s = peer.Settle(s, peer.ECS(s, peer.ECSSettings{TargetCapacity: 70}))
	for i := range s.Nodes {
		s.Nodes[i].Pool = "default"
	}
	hourly := func() (sum unit.NanoUSD) {
		for _, n := range s.Nodes {
			sum = sum.Plus(n.Offering.Price)
		}
		return sum
	}
	for round := range 200 {
		cmd := peer.Consolidate(s, peer.KarpenterSettings{})
		if cmd.Empty() {
			t.Logf("%d rounds, %s dollars", round, hourly().Cents())
			return
		}
		before := hourly()
		s = peer.Apply(s, cmd)
		if hourly() != before.Plus(cmd.Hourly) || cmd.Hourly >= 0 {
			t.Fatalf("round %d: %s, then %s, said %s", round, before, hourly(), cmd.Hourly)
		}
		feasible(t, s)
	}
	t.Error("it does not end")
}

func TestScaleDown(t *testing.T) {
	t.Parallel()
	base := snapshot()
	grouped := func(name string, n int) plan.Node {
		o := node(t, base, name, "c5.2xlarge", pods(n))
		o.Pool = "workers"
		return o
	}
	for _, tc := range []struct {
		name   string
		pods   []int
		change func(s *plan.Snapshot)
		want   []int
	}{
		{"all are used", []int{5, 4, 6}, nil, nil},
		{"below half, and the pods fit elsewhere", []int{5, 2, 6}, nil, []int{1}},
		{"the pods fit nowhere", []int{6, 3, 6}, nil, nil},
		{"empty ones go together, one with pods beside", []int{0, 0, 2, 5}, nil, []int{0, 1, 2}},
		{"one drain at a time", []int{1, 1, 5, 5}, nil, []int{0}},
		{"something was added", []int{5, 2, 6}, func(s *plan.Snapshot) { s.Nodes[0].Created = noon().Add(-9 * time.Minute) }, nil},
		{"not long enough", []int{5, 2, 6}, func(s *plan.Snapshot) { s.Nodes[1].Changed = noon().Add(-9 * time.Minute) }, nil},
		{"the least number", []int{5, 2, 6}, func(s *plan.Snapshot) { s.NodeGroups[0].Min = 3 }, nil},
		{"a pinned node", []int{5, 2, 6}, func(s *plan.Snapshot) { s.Nodes[1].DoNotDisrupt = true }, nil},
		{"another threshold", []int{6, 5, 2}, func(s *plan.Snapshot) { s.Nodes[2].Pool = "" }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var all []plan.Node
			n := 0
			for i, k := range tc.pods {
				all = append(all, grouped(string(rune('a'+i)), k))
				n += k
			}
			s := old(t, []workload.Group{web(n)}, all...)
			s.NodeGroups = []workload.NodeGroup{{Name: "workers", Shapes: []string{"c5.2xlarge"}}}
			if tc.change != nil {
				tc.change(s)
			}
			cmd := peer.ScaleDown(s, peer.ScaleDownSettings{})
			if !slices.Equal(cmd.Delete, tc.want) {
				t.Fatalf("deletes %v, want %v", cmd.Delete, tc.want)
			}
			feasible(t, peer.Apply(s, cmd))
		})
	}
}
