package peer_test

import (
	"reflect"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/nodes/peer"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

func groupsOf(shapes ...string) []workload.NodeGroup {
	var out []workload.NodeGroup
	for i, s := range shapes {
		out = append(out, workload.NodeGroup{Name: s, Shapes: []string{s}, Zones: []string{"us-east-1a"}, Priority: i})
	}
	return out
}

func TestExpanders(t *testing.T) {
	t.Parallel()
	groups := groupsOf("m5.large", "c5.4xlarge", "r5.2xlarge", "c5.xlarge")
	groups[1].Max = 1 // so that the smaller ones place more pods
	for _, tc := range []struct {
		expander peer.Expander
		want     map[string]int
	}{
		{peer.LeastWaste, map[string]int{"c5.4xlarge": 1, "c5.xlarge": 5}},
		{peer.MostPods, map[string]int{"c5.4xlarge": 0}},
		{peer.Price, map[string]int{"m5.large": 30}},
		{peer.Priority, map[string]int{"c5.xlarge": 10}},
	} {
		t.Run(string(tc.expander), func(t *testing.T) {
			t.Parallel()
			s := snapshot(web(30))
			s.NodeGroups = groups
			f := peer.Autoscaler(s, peer.AutoscalerSettings{Expander: tc.expander})
			if len(f.Pending) > 0 {
				t.Errorf("pending: %+v", f.Pending)
			}
			got := bought(f, catalog.LabelShape)
			for shape, n := range tc.want {
				if got[shape] != n {
					t.Errorf("%v, want %v", got, tc.want)
				}
			}
		})
	}
}

func TestAutoscaler(t *testing.T) {
	t.Parallel()
	zone := catalog.LabelZone
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, s *plan.Snapshot)
		set    peer.AutoscalerSettings
		key    string
		want   map[string]int
		code   plan.Code
		left   int
	}{
		{
			name: "one group in each loop", key: catalog.LabelShape, want: map[string]int{"c5.large": 10},
			change: func(_ *testing.T, s *plan.Snapshot) { s.NodeGroups = groupsOf("c5.large") },
		},
		{
			name: "a loop adds a limited number of nodes", key: catalog.LabelShape, want: map[string]int{"c5.large": 10},
			change: func(_ *testing.T, s *plan.Snapshot) { s.NodeGroups = groupsOf("c5.large") },
			set:    peer.AutoscalerSettings{MaxPerLoop: 3},
		},
		{
			name: "a group is full", key: catalog.LabelShape, want: map[string]int{"c5.large": 4}, code: nodes.PoolLimit, left: 6,
			change: func(_ *testing.T, s *plan.Snapshot) {
				s.NodeGroups = groupsOf("c5.large")
				s.NodeGroups[0].Max = 4
			},
		},
		{
			name: "nodes that exist count for the maximum, and take pods first", key: catalog.LabelShape, want: map[string]int{"c5.large": 3}, code: nodes.PoolLimit, left: 6,
			change: func(t *testing.T, s *plan.Snapshot) {
				t.Helper()
				s.NodeGroups = groupsOf("c5.large")
				s.NodeGroups[0].Max = 4
				n := node(t, s, "old", "c5.large")
				n.Pool = "c5.large"
				s.Nodes = []plan.Node{n}
			},
		},
		{
			name: "a pod that fits on no group", key: zone, want: map[string]int{}, code: nodes.NoOffering, left: 10,
			change: func(_ *testing.T, s *plan.Snapshot) {
				s.NodeGroups = groupsOf("c5.large")
				s.Demand[0].Requests.CPU = 2000
			},
		},
		{
			name: "zones are domains from the start", key: zone, want: map[string]int{"us-east-1a": 4, "us-east-1b": 3, "us-east-1c": 3},
			change: func(_ *testing.T, s *plan.Snapshot) {
				s.NodeGroups = groupsOf("c5.large")
				s.NodeGroups[0].Zones = nil
				s.Demand[0].Spread = []workload.Spread{{TopologyKey: zone, MaxSkew: 1, Required: true, Selector: nodestest.Selector(s.Demand[0].Labels)}}
			},
		},
		{
			name: "anti-affinity by zone", key: catalog.LabelShape, want: map[string]int{"c5.large": 3}, code: nodes.NoDomain, left: 7,
			change: func(_ *testing.T, s *plan.Snapshot) {
				s.NodeGroups = groupsOf("c5.large")
				s.NodeGroups[0].Zones = nil
				s.Demand[0].AntiAffinity = []workload.PodTerm{{TopologyKey: zone, Selector: nodestest.Selector(s.Demand[0].Labels)}}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := snapshot(web(10))
			tc.change(t, s)
			f := peer.Autoscaler(s, tc.set)
			got, n := bought(f, tc.key), 0
			for value, want := range tc.want {
				n += want
				if tc.key != zone && got[value] != want {
					t.Errorf("got %v, want %v", got, tc.want)
				}
			}
			if f.Nodes() != n {
				t.Errorf("%d nodes, want %d: %v", f.Nodes(), n, got)
			}
			left(t, f, tc.code, tc.left)
		})
	}
}

// left checks what is pending of the first group.
func left(t *testing.T, f nodes.Fleet, code plan.Code, n int) {
	t.Helper()
	switch {
	case n == 0 && len(f.Pending) > 0:
		t.Errorf("pending: %+v", f.Pending)
	case n > 0 && (len(f.Pending) != 1 || f.Pending[0].Code != code || f.Pending[0].Count != n):
		t.Errorf("pending: %+v, want %d of %s", f.Pending, n, code)
	}
}

func TestFargate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(g *workload.Group)
		size   string
		price  string
		pods   int
	}{
		// 1 core, and 1 GiB + 256 MiB rounded up to 2 GiB: 0.04048 + 2 × 0.004445.
		{"rounded up", func(*workload.Group) {}, "fargate-1-2Gi", "0.04937", 3},
		{"the smallest", func(g *workload.Group) { g.Requests = unit.Resources{CPU: 10, Memory: 10 * unit.MiB, Pods: 1} }, "fargate-250m-512Mi", "0.0123425", 3},
		{"more memory needs more cores", func(g *workload.Group) { g.Requests.Memory = 20 * unit.GiB }, "fargate-4-21Gi", "0.255265", 3},
		{"graphics", func(g *workload.Group) { g.Requests.Extended = map[string]int64{"nvidia.com/gpu": 1} }, "", "", 0},
		{"host port", func(g *workload.Group) { g.HostPorts = []workload.HostPort{{Port: 80}} }, "", "", 0},
		{"too large", func(g *workload.Group) { g.Requests.CPU = 17000 }, "", "", 0},
		{"Graviton", func(g *workload.Group) { g.Alternatives = []workload.Requirements{in(catalog.LabelArch, "arm64")} }, "", "", 0},
		{"a zone each", func(g *workload.Group) {
			g.AntiAffinity = []workload.PodTerm{{TopologyKey: catalog.LabelZone, Selector: nodestest.Selector(g.Labels)}}
		}, "fargate-1-2Gi", "0.04937", 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := web(3)
			tc.change(&g)
			s := snapshot(g)
			s.Daemons = nodestest.Daemons()
			f := peer.Fargate(s, fargatePrices())
			if f.Nodes() != tc.pods {
				t.Fatalf("%d nodes, want %d", f.Nodes(), tc.pods)
			}
			left(t, f, peer.NotOnFargate, 3-tc.pods)
			for _, p := range f.Purchases {
				if p.Offering.Shape.Name != tc.size || p.Offering.Price.String() != tc.price {
					t.Errorf("%s at %s, want %s at %s", p.Offering.Shape.Name, p.Offering.Price, tc.size, tc.price)
				}
			}
		})
	}
}

func TestECS(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		target int
		limit  int
		want   int
		left   int
	}{
		{"all of it is needed", 0, 0, 10, 0},
		{"a fifth stands by", 80, 0, 13, 0},
		{"one in a hundred", 1, 0, 1000, 0},
		{"the group is full", 50, 8, 8, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := snapshot(web(10))
			s.NodeGroups = groupsOf("c5.large")
			s.NodeGroups[0].Max = tc.limit
			f := peer.ECS(s, peer.ECSSettings{TargetCapacity: tc.target})
			if f.Nodes() != tc.want {
				t.Errorf("%d nodes, want %d", f.Nodes(), tc.want)
			}
			left(t, f, nodes.PoolLimit, tc.left)
		})
	}
}

func TestECSUsesTheFirstGroupThatHoldsAPod(t *testing.T) {
	t.Parallel()
	big := web(2)
	big.Requests.CPU = 3000
	s := snapshot(web(2), big)
	s.NodeGroups = groupsOf("c5.large", "m5.xlarge", "c5.xlarge")
	got := bought(peer.ECS(s, peer.ECSSettings{}), catalog.LabelShape)
	if want := map[string]int{"c5.large": 2, "m5.xlarge": 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCurrent(t *testing.T) {
	t.Parallel()
	s := snapshot(web(10))
	s.Nodes = []plan.Node{node(t, s, "a", "c5.xlarge"), node(t, s, "b", "c5.2xlarge", plan.Bound{Group: 0, Count: 2})}
	s.Nodes[0].Reserved = unit.Resources{CPU: 200}
	f := peer.Current(s)
	if len(f.Purchases) > 0 || total(f.Placed[0].Pods) != 3 || total(f.Placed[1].Pods) != 5 {
		t.Errorf("fleet: %+v", f)
	}
	left(t, peer.Current(s), "", 0)

	s.Demand[0].Count = 20
	left(t, peer.Current(s), peer.NoRoom, 10)
}
