package karpenter

import (
	"errors"
	"slices"
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

// pods makes demand of one group of pods with half a core and a GiB each.
func pods(n int, change func(*workload.Group)) *plan.Snapshot {
	g := workload.Group{
		Owner: workload.Ref{Kind: "Deployment", Namespace: "shop", Name: "web"}, Labels: map[string]string{"app": "web"},
		Count: n, Requests: unit.Resources{CPU: 500, Memory: unit.GiB, Pods: 1},
	}
	if change != nil {
		change(&g)
	}
	return nodestest.Snapshot([]workload.Group{g}, nodestest.Market{MaxVCPU: 16})
}

func one(t *testing.T, op workload.Operator, key string, values ...string) []workload.Requirements {
	t.Helper()
	r, err := workload.NewRequirement(op, values...)
	if err != nil {
		t.Fatal(err)
	}
	return []workload.Requirements{{key: r}}
}

func zones(f nodes.Fleet) []string {
	var out []string
	for _, p := range f.Purchases {
		out = append(out, p.Offering.Zone)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestConstraintsArrive holds that each constraint of a group reaches Karpenter:
// without it the answer would be another one.
func TestConstraintsArrive(t *testing.T) {
	self := nodestest.Selector(map[string]string{"app": "web"})
	taint := workload.Taint{Key: "team", Value: "a", Effect: workload.NoSchedule}
	for _, tt := range []struct {
		name   string
		s      *plan.Snapshot
		change func(*plan.Snapshot)
		// nodes are wanted, in so many zones, and so many pods without a place.
		nodes, zones, pending int
		shape                 string // of all nodes, if given
	}{
		{name: "nothing", s: pods(3, nil), nodes: 1, zones: 1, shape: "c6a.large"},
		{name: "anti-affinity by node", s: pods(3, func(g *workload.Group) {
			g.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: self}}
		}), nodes: 3, zones: 1},
		{name: "preferred anti-affinity by node", s: pods(3, func(g *workload.Group) {
			g.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: self, Weight: 1, AllNamespaces: true}}
		}), nodes: 3, zones: 1},
		{name: "anti-affinity by zone", s: pods(4, func(g *workload.Group) {
			g.Alternatives = one(t, workload.In, catalog.LabelZone, "us-east-1b")
			g.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelZone, Selector: self, Namespaces: []string{"shop"}}}
		}), nodes: 1, zones: 1, pending: 3},
		{name: "spread over zones", s: pods(3, func(g *workload.Group) {
			g.Spread = []workload.Spread{{TopologyKey: workload.LabelZone, MaxSkew: 1, Required: true, Selector: self}}
		}), nodes: 3, zones: 3},
		{name: "too few zones", s: pods(4, func(g *workload.Group) {
			g.Spread = []workload.Spread{{TopologyKey: workload.LabelZone, MaxSkew: 1, MinDomains: 4, Required: true, Selector: self}}
		}), nodes: 3, zones: 3, pending: 1},
		{name: "spread with a selector of nothing", s: pods(3, func(g *workload.Group) {
			g.Spread = []workload.Spread{{TopologyKey: workload.LabelHostname, MaxSkew: 1, Required: true}}
		}), nodes: 1, zones: 1},
		{name: "affinity to nobody", s: pods(3, func(g *workload.Group) {
			g.Affinity = []workload.PodTerm{{TopologyKey: workload.LabelZone, Selector: nodestest.Selector(map[string]string{"app": "db"})}}
		}), pending: 3},
		{name: "host port", s: pods(2, func(g *workload.Group) {
			g.HostPorts = []workload.HostPort{{Protocol: "TCP", Port: 80}}
		}), nodes: 2, zones: 1},
		{name: "node selector", s: pods(4, func(g *workload.Group) {
			g.Alternatives = one(t, workload.In, catalog.LabelShape, "r7a.large")
		}), nodes: 2, zones: 1, shape: "r7a.large"},
		{name: "either selector", s: pods(3, func(g *workload.Group) {
			g.Alternatives = append(one(t, workload.In, catalog.LabelShape, "x9.large"), one(t, workload.In, catalog.LabelShape, "m5.2xlarge")...)
		}), nodes: 1, zones: 1, shape: "m5.2xlarge"},
		{name: "any node will do", s: pods(3, func(g *workload.Group) {
			g.Alternatives = append(one(t, workload.In, catalog.LabelShape, "m5.2xlarge"), nil)
		}), nodes: 1, zones: 1, shape: "c6a.large"},
		{name: "more than 8 cores", s: pods(3, func(g *workload.Group) {
			g.Alternatives = one(t, workload.Gt, "karpenter.k8s.aws/instance-cpu", "8")
		}), nodes: 1, zones: 1, shape: "c6a.4xlarge"},
		{name: "no GPU label", s: pods(3, func(g *workload.Group) {
			g.Alternatives = one(t, workload.Exists, "karpenter.k8s.aws/instance-gpu-count")
		}), pending: 3},
		{name: "preferred", s: pods(3, func(g *workload.Group) {
			g.Preferred = []workload.Preference{{Weight: 10, Requirements: one(t, workload.In, catalog.LabelShape, "m7a.xlarge")[0]}}
		}), nodes: 1, zones: 1, shape: "m7a.xlarge"},
		{name: "taint", s: pods(3, nil), pending: 3, change: func(s *plan.Snapshot) { s.Pools[0].Taints = []workload.Taint{taint} }},
		{name: "toleration", s: pods(3, func(g *workload.Group) {
			g.Tolerations = []workload.Toleration{{Key: "team", Value: "a"}}
		}), nodes: 1, zones: 1, change: func(s *plan.Snapshot) { s.Pools[0].Taints = []workload.Taint{taint} }},
		{name: "limits", s: pods(40, nil), nodes: 2, zones: 1, pending: 2, change: func(s *plan.Snapshot) {
			s.Pools[0].Limits = &unit.Resources{CPU: unit.Cores(20)}
		}},
		{name: "minValues", s: pods(3, nil), pending: 3, change: func(s *plan.Snapshot) {
			r := workload.OneOf("c5", "c6a")
			r.MinValues = 3
			s.Pools[0].Requirements.Add("karpenter.k8s.aws/instance-family", r)
		}},
		{name: "heavier pool", s: pods(3, nil), nodes: 1, zones: 1, shape: "m7a.large", change: func(s *plan.Snapshot) {
			p := workload.Pool{Name: "first", Weight: 10, Requirements: one(t, workload.In, "karpenter.k8s.aws/instance-family", "m7a")[0]}
			s.Pools = append(s.Pools, p)
		}},
		{name: "daemons", s: pods(3, nil), nodes: 1, zones: 1, shape: "c6a.2xlarge", change: func(s *plan.Snapshot) {
			s.Daemons = []workload.Group{{Requests: unit.Resources{CPU: 3000, Memory: unit.GiB, Pods: 1}}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.change != nil {
				tt.change(tt.s)
			}
			a, err := Schedule(t.Context(), tt.s, Settings{})
			if err != nil {
				t.Fatal(err)
			}
			pending := 0
			for _, p := range a.Fleet.Pending {
				pending += p.Count
			}
			if a.Fleet.Nodes() != tt.nodes || len(zones(a.Fleet)) != tt.zones || pending != tt.pending {
				t.Errorf("%d nodes in %v and %d pods pending, want %d in %d zones and %d\n%+v",
					a.Fleet.Nodes(), zones(a.Fleet), pending, tt.nodes, tt.zones, tt.pending, a.Fleet)
			}
			for _, p := range a.Fleet.Purchases {
				if tt.shape != "" && p.Offering.Shape.Name != tt.shape {
					t.Errorf("%s, want %s", p.Offering.Shape.Name, tt.shape)
				}
			}
			for _, v := range check.Fleet(tt.s, a.Fleet) {
				t.Error(v)
			}
		})
	}
}

func TestNoTime(t *testing.T) {
	a, err := Schedule(t.Context(), pods(3, nil), Settings{Limit: time.Nanosecond})
	if err != nil || !a.TimedOut || len(a.Fleet.Pending) != 1 || a.Fleet.Pending[0].Count != 3 {
		t.Errorf("Schedule = %+v, %v, want 3 pods pending", a, err)
	}
}

func TestNodesAreRefused(t *testing.T) {
	s := pods(1, nil)
	s.Nodes = []plan.Node{{Name: "there"}}
	if _, err := Schedule(t.Context(), s, Settings{}); !errors.Is(err, ErrNodes) {
		t.Errorf("err = %v, want ErrNodes", err)
	}
}
