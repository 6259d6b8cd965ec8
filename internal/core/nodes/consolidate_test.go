package nodes_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// running is a cluster in which a fleet has been bought and runs.
func running(s *plan.Snapshot, f nodes.Fleet) *plan.Snapshot {
	out := *s
	out.Now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	out.Nodes = nil
	for _, p := range f.Purchases {
		for range p.Count {
			labels := p.Offering.Labels()
			labels[catalog.LabelPool] = p.Pool
			out.Nodes = append(out.Nodes, plan.Node{
				Name: fmt.Sprintf("node-%d", len(out.Nodes)), Pool: p.Pool, Offering: p.Offering, Labels: labels,
				Allocatable: p.Allocatable, Reserved: p.Daemons, Pods: append([]plan.Bound{}, p.Pods...), Initialized: true,
			})
		}
	}
	return &out
}

// shrink takes every second pod off, as at night.
func shrink(s *plan.Snapshot) {
	s.Demand = append([]workload.Group{}, s.Demand...)
	for n := range s.Nodes {
		for b := range s.Nodes[n].Pods {
			bound := &s.Nodes[n].Pods[b]
			gone := bound.Count / 2
			bound.Count -= gone
			s.Demand[bound.Group].Count -= gone
		}
	}
}

// after is the cluster when all steps are done.
func after(s *plan.Snapshot, actions []plan.Action) *plan.Snapshot {
	out := *s
	out.Nodes = append([]plan.Node{}, s.Nodes...)
	for _, a := range actions {
		step, ok := a.Effect.(nodes.Replace)
		if !ok {
			continue
		}
		for _, name := range step.Nodes {
			for n := range out.Nodes {
				if out.Nodes[n].Name == name {
					out.Nodes[n].Leaving, out.Nodes[n].Pods = true, nil
				}
			}
		}
		for _, p := range step.Placed {
			out.Nodes[p.Node].Pods = append(append([]plan.Bound{}, out.Nodes[p.Node].Pods...), p.Pods...)
		}
		for _, n := range running(s, nodes.Fleet{Purchases: step.With}).Nodes {
			n.Name = fmt.Sprintf("new-%d", len(out.Nodes))
			out.Nodes = append(out.Nodes, n)
		}
	}
	return &out
}

func hourly(s *plan.Snapshot) unit.NanoUSD {
	var sum unit.NanoUSD
	for _, n := range s.Nodes {
		if !n.Leaving {
			sum += n.Offering.Price
		}
	}
	return sum
}

// TestConsolidate holds for several demands that the steps are possible, that
// they save what they say, and that every node is either gone or explained.
func TestConsolidate(t *testing.T) {
	demands := []struct {
		name   string
		groups []workload.Group
	}{
		{"microservices", nodestest.Microservices(800, 40, 2)},
		{"services with constraints", nodestest.Services(600, 30, 2)},
		{"big pods", nodestest.BigPods(80, 20, 2)},
	}
	for _, d := range demands {
		t.Run(d.name, func(t *testing.T) {
			fresh := nodestest.Snapshot(d.groups, nodestest.Market{MaxVCPU: 16})
			fresh.Pools[0].Disruption.Budgets = []workload.Budget{{Percent: 100, Active: true}}
			s := running(fresh, nodes.Solve(fresh, nodes.Cheapest(), nodes.Effort{Steps: 30}))
			shrink(s)
			actions := nodes.Consolidate(s, nodes.Cheapest(), nodes.Effort{})
			then := after(s, actions)
			for _, v := range check.Fleet(then, nodes.Fleet{}) {
				t.Error(v)
			}
			var said unit.NanoUSD
			kept, gone := 0, 0
			for i, a := range actions {
				if !a.Acts() {
					kept++
					if a.Reason.Code == "" || a.Reason.Text == "" {
						t.Errorf("%s is kept without a reason", a.Target.Name)
					}
					continue
				}
				gone += len(a.Effect.(nodes.Replace).Nodes)
				said += a.Reason.Hourly
				if a.Reason.Hourly >= 0 {
					t.Errorf("step %d saves nothing: %v", i, a.Reason.Hourly)
				}
			}
			if kept+gone != len(s.Nodes) {
				t.Errorf("%d nodes kept and %d gone of %d", kept, gone, len(s.Nodes))
			}
			if saved := hourly(then) - hourly(s); saved != said {
				t.Errorf("the steps say %v per hour, and change %v", said, saved)
			}
			t.Logf("%d nodes at %v, %d of them gone in %d steps: %v", len(s.Nodes), hourly(s), gone, len(actions)-kept, hourly(then))
			for range 3 { // a node that got pods settles before it is looked at again
				then = after(then, nodes.Consolidate(then, nodes.Cheapest(), nodes.Effort{}))
			}
			// As good as buying anew, within what steps that pay by themselves can do.
			anew := nodes.Solve(&plan.Snapshot{Region: s.Region, Demand: s.Demand, Pools: s.Pools, Offers: s.Offers}, nodes.Cheapest(), nodes.Effort{Steps: 30})
			if ratio := hourly(then).Dollars() / anew.Hourly().Dollars(); ratio > 1.08 {
				t.Errorf("costs %.2f times what the same pods cost when all is bought anew", ratio)
			}
		})
	}
}

// TestKeepReasons holds that nodes are kept for the right reason, one at a time.
func TestKeepReasons(t *testing.T) {
	cases := []struct {
		name   string
		change func(s *plan.Snapshot)
		want   plan.Code
	}{
		{"node annotated", func(s *plan.Snapshot) { s.Nodes[0].DoNotDisrupt = true }, nodes.DoNotDisrupt},
		{"pod annotated", func(s *plan.Snapshot) { s.Demand[0].DoNotDisrupt = true }, nodes.DoNotDisrupt},
		{"pod budget", func(s *plan.Snapshot) {
			s.PodBudgets = []workload.PodBudget{{Ref: workload.Ref{Namespace: nodestest.Namespace, Name: "pdb"}, Selector: workload.Selector{Everything: true}}}
		}, nodes.PodBudgetUsed},
		{"pool budget", func(s *plan.Snapshot) {
			s.Pools[0].Disruption.Budgets = []workload.Budget{{Nodes: 0, Percent: -1, Active: true}}
		}, nodes.PoolBudgetUsed},
		{"too young", func(s *plan.Snapshot) {
			s.Pools[0].Disruption.After = time.Hour
			s.Nodes[0].Changed = s.Now.Add(-time.Minute)
		}, nodes.NotSettled},
		{"never", func(s *plan.Snapshot) { s.Pools[0].Disruption.After = -1 }, nodes.NotSettled},
		{"still starting", func(s *plan.Snapshot) { s.Nodes[0].Initialized = false }, nodes.NotSettled},
		{"leaving", func(s *plan.Snapshot) { s.Nodes[0].Leaving = true }, nodes.NotSettled},
		{"no pool", func(s *plan.Snapshot) { s.Nodes[0].Pool = "" }, nodes.Unmanaged},
		{"empty only", func(s *plan.Snapshot) { s.Pools[0].Disruption.WhenEmptyOnly = true }, nodes.WhenEmptyOnly},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := wasteful()
			c.change(s)
			for _, a := range nodes.Consolidate(s, nodes.Cheapest(), nodes.Effort{}) {
				if a.Target.Name != "node-0" {
					continue
				}
				if a.Acts() || a.Reason.Code != c.want {
					t.Errorf("%s %s: %s; want it kept for %s", a.Effect.Verb(), a.Reason.Code, a.Reason.Text, c.want)
				}
				return
			}
			t.Error("nothing is said about the node")
		})
	}
}

// wasteful is a cluster of one large node with one small pod.
func wasteful() *plan.Snapshot {
	s := nodestest.Snapshot(nodestest.Microservices(1, 1, 1), nodestest.Market{})
	large := s.Offers[0]
	for _, o := range s.Offers {
		if o.Price > large.Price {
			large = o
		}
	}
	s = running(s, nodes.Fleet{Purchases: []nodes.Purchase{{
		Pool: s.Pools[0].Name, Offering: large, Count: 1, Pods: []plan.Bound{{Group: 0, Count: 1}}, Allocatable: large.Shape.Allocatable(s.Kubelet),
	}}})
	s.Pools[0].Disruption.Budgets = []workload.Budget{{Percent: 100, Active: true}}
	return s
}

// TestReplaceWasteful holds that the same node goes when nothing speaks for it,
// and that a move which does not pay is not made.
func TestReplaceWasteful(t *testing.T) {
	s := wasteful()
	actions := nodes.Consolidate(s, nodes.Cheapest(), nodes.Effort{})
	if len(actions) != 1 || actions[0].Effect.Verb() != "replace" || actions[0].Reason.Code != nodes.Cheaper {
		t.Fatalf("got %+v, want one replacement", actions)
	}
	dear := nodes.Cheapest()
	dear.MovePrice, dear.PaybackHours = 1000*unit.USD, 1
	actions = nodes.Consolidate(s, dear, nodes.Effort{})
	if len(actions) != 1 || actions[0].Acts() || actions[0].Reason.Code != nodes.SavesTooLittle {
		t.Fatalf("got %+v, want it kept because the move does not pay", actions)
	}
}
