package scheduler

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// effort is small: a plan must be right however little time it had.
const effort = 50

// TestPlans asks the scheduler about every pod of every plan. Policies take
// turns: they change which nodes are bought, not what the scheduler accepts.
func TestPlans(t *testing.T) {
	for i, tt := range snapshots(t) {
		t.Run(tt.name, func(t *testing.T) {
			p := nodes.Policies()[i%len(nodes.Policies())]
			f := solve(t, tt.s, p)
			for _, q := range f.Pending {
				t.Errorf("%s: there is a place for each pod, but %d of %s are pending: %s", p.Name, q.Count, tt.s.Demand[q.Group].Owner, q.Text)
			}
			said := check.Fleet(tt.s, f)
			for _, v := range said[:min(5, len(said))] {
				t.Errorf("%s: the checker says %s (1 of %d)", p.Name, v, len(said))
			}
			v := judge(t, tt.s, f, pinned, stall)
			t.Logf("%s: %d pods on %d new nodes, %d accepted", p.Name, v.pods, f.Nodes(), v.asPlanned)
			if v.asPlanned != v.pods {
				t.Errorf("%s: the scheduler refuses\n%s", p.Name, strings.Join(v.refused, "\n"))
			}
		})
	}
}

// TestFollows measures how far the scheduler follows a plan that it is told of,
// and one that it does not know. Both are figures; in the first case every pod
// must be bound, wherever.
func TestFollows(t *testing.T) {
	for _, tt := range snapshots(t) {
		if !slices.Contains([]string{"services", "zone-spread"}, tt.name) {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			f := solve(t, tt.s, nodes.Balanced())
			v := judge(t, tt.s, f, nominated, stall)
			t.Logf("nominated: %d of %d pods bound, %d as planned", v.bound, v.pods, v.asPlanned)
			if v.bound != v.pods {
				t.Errorf("the scheduler refuses\n%s", strings.Join(v.refused, "\n"))
			}
			v = judge(t, tt.s, f, free, settled)
			t.Logf("free: %d of %d pods bound, %d as planned", v.bound, v.pods, v.asPlanned)
		})
	}
}

// solve ends all tests when there is no end: a search that runs away takes the
// machine's memory with it.
func solve(t *testing.T, s *plan.Snapshot, p nodes.Policy) nodes.Fleet {
	t.Helper()
	runaway := time.AfterFunc(patience, func() { panic(t.Name() + ": no plan within " + patience.String()) })
	defer runaway.Stop()
	return nodes.Solve(s, p, nodes.Effort{Steps: effort})
}

// TestRefuses holds that the judge sees each fault, for the reason given: a plan
// that it accepts is worth nothing otherwise. The checker must see it as well.
func TestRefuses(t *testing.T) {
	two := []plan.Bound{{Group: 0, Count: 2}}
	for _, tt := range []struct {
		name   string
		change func(*workload.Group)
		// pods on each of the nodes, which are in zones a, b and so on.
		pods [][]plan.Bound
		want string
		rule check.Rule
	}{
		{"too much", func(g *workload.Group) { g.Requests.CPU = unit.Cores(3) }, [][]plan.Bound{two}, "Insufficient cpu", check.Fit},
		{"too many of a kind", func(g *workload.Group) { g.Requests.Extended = map[string]int64{"nvidia.com/gpu": 1} }, [][]plan.Bound{two}, "Insufficient nvidia.com/gpu", check.Fit},
		{"a port twice", func(g *workload.Group) { g.HostPorts = []workload.HostPort{{Protocol: "TCP", Port: 80}} }, [][]plan.Bound{two}, "free ports", check.Port},
		{"another zone", func(g *workload.Group) { g.Alternatives = inZones("us-east-1b") }, [][]plan.Bound{two}, "node affinity", check.Selector},
		{"too near", func(g *workload.Group) {
			g.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: app("web")}}
		}, [][]plan.Bound{two}, "anti-affinity", check.AntiAffinity},
		{"too far", func(g *workload.Group) {
			g.Affinity = []workload.PodTerm{{TopologyKey: workload.LabelZone, Selector: app("web")}}
		}, [][]plan.Bound{two, two}, "pod affinity", check.Affinity},
		{"uneven zones", func(g *workload.Group) { g.Spread = []workload.Spread{spreadOver(workload.LabelZone, 1, "web")} }, [][]plan.Bound{{{Group: 0, Count: 4}}, {{Group: 0, Count: 1}}}, "topology spread", check.TopologySpread},
		{"uneven nodes", func(g *workload.Group) { g.Spread = []workload.Spread{spreadOver(workload.LabelHostname, 1, "web")} }, [][]plan.Bound{{{Group: 0, Count: 3}}, {{Group: 0, Count: 1}}}, "topology spread", check.TopologySpread},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, f := byHand(tt.change, tt.pods)
			if said := check.Fleet(s, f); !slices.ContainsFunc(said, func(v check.Violation) bool { return v.Rule == tt.rule }) {
				t.Errorf("the checker says %v, want a violation of %s", said, tt.rule)
			}
			v := judge(t, s, f, pinned, settled)
			if v.bound == v.pods || !strings.Contains(strings.Join(v.refused, "\n"), tt.want) {
				t.Errorf("%d of %d pods are bound, want fewer because of %q; refused are %q", v.bound, v.pods, tt.want, v.refused)
			}
		})
	}
	t.Run("a taint", func(t *testing.T) {
		s, f := byHand(nil, [][]plan.Bound{two})
		s.Pools[0].Taints = []workload.Taint{{Key: "dedicated", Effect: workload.NoSchedule}}
		if v := judge(t, s, f, pinned, settled); v.bound > 0 || !strings.Contains(strings.Join(v.refused, "\n"), "taint") {
			t.Errorf("%d of %d pods are bound, want none because of the taint; refused are %q", v.bound, v.pods, v.refused)
		}
	})
}

// byHand buys one machine for each list of pods, in one zone after the other.
func byHand(change func(*workload.Group), pods [][]plan.Bound) (*plan.Snapshot, nodes.Fleet) {
	g := service("web", 0, change)
	var f nodes.Fleet
	s := nodestest.Snapshot(nil, nodestest.Market{MaxVCPU: 4})
	for i, bound := range pods {
		for _, c := range nodes.Candidates(s) {
			if c.Offering.Zone != nodestest.Zones()[i] || c.Offering.Shape.Name != "m5.xlarge" {
				continue
			}
			p := nodes.Purchase{Pool: c.Pool.Name, Offering: c.Offering, Count: 1, Pods: bound, Allocatable: c.Allocatable}
			for _, b := range bound {
				p.Requests = p.Requests.Plus(g.Requests.Times(int64(b.Count)))
				g.Count += b.Count
			}
			f.Purchases = append(f.Purchases, p)
		}
	}
	s.Demand = []workload.Group{g}
	return s, f
}
