package peer_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/nodes/peer"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// web are pods of a core and 1 GiB.
func web(n int) workload.Group {
	return workload.Group{
		Owner:  workload.Ref{Kind: "Deployment", Namespace: "shop", Name: "web"},
		Labels: map[string]string{"app": "web"}, Count: n,
		Requests: unit.Resources{CPU: 1000, Memory: unit.GiB, Pods: 1},
	}
}

func snapshot(groups ...workload.Group) *plan.Snapshot {
	return nodestest.Snapshot(groups, nodestest.Market{MaxVCPU: 16})
}

func in(key string, values ...string) workload.Requirements {
	return workload.Requirements{key: workload.OneOf(values...)}
}

// node is one that exists, in zone a, without pods.
func node(t *testing.T, s *plan.Snapshot, name, shape string, pods ...plan.Bound) plan.Node {
	t.Helper()
	at := slices.IndexFunc(s.Offers, func(o catalog.Offering) bool { return o.Shape.Name == shape && o.Capacity == catalog.OnDemand })
	if at < 0 {
		t.Fatalf("no offer of %s", shape)
	}
	o := s.Offers[at]
	labels := o.Labels()
	labels[catalog.LabelPool], labels[workload.LabelHostname] = "default", name
	return plan.Node{
		Name: name, Pool: "default", Offering: o, Labels: labels, Allocatable: o.Shape.Allocatable(s.Kubelet),
		Pods: pods, Initialized: true,
	}
}

// bought counts new nodes by a label.
func bought(f nodes.Fleet, key string) map[string]int {
	out := map[string]int{}
	for _, p := range f.Purchases {
		out[p.Offering.Labels()[key]] += p.Count
	}
	return out
}

func TestKarpenter(t *testing.T) {
	t.Parallel()
	shape, zone := catalog.LabelShape, catalog.LabelZone
	for _, tc := range []struct {
		name  string
		s     func(t *testing.T) *plan.Snapshot
		key   string
		want  map[string]int
		check func(t *testing.T, f nodes.Fleet)
	}{
		{
			name: "a claim grows until the largest type is full, then price decides",
			s:    func(*testing.T) *plan.Snapshot { return snapshot(web(30)) },
			key:  shape, want: map[string]int{"c6a.4xlarge": 2},
			check: func(t *testing.T, f nodes.Fleet) {
				t.Helper()
				if len(f.Purchases) != 1 || total(f.Purchases[0].Pods) != 15 {
					t.Errorf("purchases: %+v", f.Purchases)
				}
			},
		},
		{
			name: "nodes that exist come first",
			s: func(t *testing.T) *plan.Snapshot {
				t.Helper()
				s := snapshot(web(9))
				s.Nodes = []plan.Node{node(t, s, "old", "m5.2xlarge", plan.Bound{Group: 0, Count: 2})}
				return s
			},
			key: shape, want: map[string]int{"c6a.xlarge": 1},
			check: func(t *testing.T, f nodes.Fleet) {
				t.Helper()
				if len(f.Placed) != 1 || total(f.Placed[0].Pods) != 5 {
					t.Errorf("placed: %+v", f.Placed)
				}
			},
		},
		{
			name: "pods of nodes that leave move",
			s: func(t *testing.T) *plan.Snapshot {
				t.Helper()
				s := snapshot(web(2))
				n := node(t, s, "old", "m5.2xlarge", plan.Bound{Group: 0, Count: 2})
				n.Leaving = true
				s.Nodes = []plan.Node{n}
				return s
			},
			key: shape, want: map[string]int{"c6a.xlarge": 1},
		},
		{
			name: "the heaviest pool that takes a pod",
			s: func(*testing.T) *plan.Snapshot {
				s := snapshot(web(1))
				s.Pools = []workload.Pool{
					{Name: "light", Requirements: in(shape, "c5.large", "m5.large")},
					{Name: "heavy", Weight: 10, Requirements: in(shape, "r5.4xlarge")},
					{Name: "tainted", Weight: 20, Taints: []workload.Taint{{Key: "x", Effect: workload.NoSchedule}}},
				}
				return s
			},
			key: shape, want: map[string]int{"r5.4xlarge": 1},
		},
		{
			name: "the limit of a pool counts the largest type that a claim could become",
			s: func(*testing.T) *plan.Snapshot {
				s := snapshot(web(40))
				s.Pools[0].Limits = &unit.Resources{CPU: 20000}
				return s
			},
			key: catalog.LabelArch, want: map[string]int{"amd64": 2},
			check: func(t *testing.T, f nodes.Fleet) {
				t.Helper()
				if len(f.Pending) != 1 || f.Pending[0].Code != nodes.PoolLimit || f.Pending[0].Count != 40-15-3 {
					t.Errorf("pending: %+v", f.Pending)
				}
			},
		},
		{
			name: "a preference is a requirement as long as it can be met",
			s: func(*testing.T) *plan.Snapshot {
				g := web(1)
				g.Preferred = []workload.Preference{{Weight: 1, Requirements: in(shape, "c5.large")}, {Weight: 9, Requirements: in(shape, "r5.xlarge")}}
				return snapshot(g)
			},
			key: shape, want: map[string]int{"r5.xlarge": 1},
		},
		{
			name: "a preference is dropped when it cannot be met",
			s: func(*testing.T) *plan.Snapshot {
				g := web(1)
				g.Preferred = []workload.Preference{{Weight: 9, Requirements: in(shape, "x1.large")}}
				return snapshot(g)
			},
			key: shape, want: map[string]int{"c6a.large": 1},
		},
		{
			name: "the first alternative that can be met",
			s: func(*testing.T) *plan.Snapshot {
				g := web(1)
				g.Alternatives = []workload.Requirements{in(shape, "x1.large"), in(zone, "us-east-1c")}
				return snapshot(g)
			},
			key: zone, want: map[string]int{"us-east-1c": 1},
		},
		{
			name: "a wish for spreading counts as a constraint while it can",
			s: func(*testing.T) *plan.Snapshot {
				g := web(3)
				g.Spread = []workload.Spread{{TopologyKey: zone, MaxSkew: 1, Selector: nodestest.Selector(g.Labels)}}
				return snapshot(g)
			},
			key: zone, want: map[string]int{"us-east-1a": 1, "us-east-1b": 1, "us-east-1c": 1},
		},
		{
			name: "minValues",
			s: func(*testing.T) *plan.Snapshot {
				s := snapshot(web(1))
				few, _ := workload.NewRequirement(workload.Exists)
				few.MinValues = 9
				s.Pools[0].Requirements.Add("karpenter.k8s.aws/instance-family", few)
				return s
			},
			key: catalog.LabelArch, want: map[string]int{"amd64": 1},
			check: func(t *testing.T, f nodes.Fleet) {
				t.Helper()
				families := map[string]bool{f.Purchases[0].Offering.Shape.Family: true}
				for _, o := range f.Purchases[0].Others {
					families[o.Shape.Family] = true
				}
				if len(families) < 9 {
					t.Errorf("families: %v", families)
				}
			},
		},
		{
			name: "minValues that nothing can meet",
			s: func(*testing.T) *plan.Snapshot {
				s := snapshot(web(1))
				few, _ := workload.NewRequirement(workload.Exists)
				few.MinValues = 99
				s.Pools[0].Requirements.Add("karpenter.k8s.aws/instance-family", few)
				return s
			},
			key: catalog.LabelArch, want: map[string]int{},
			check: func(t *testing.T, f nodes.Fleet) {
				t.Helper()
				if len(f.Pending) != 1 || f.Pending[0].Code != nodes.NoOffering {
					t.Errorf("pending: %+v", f.Pending)
				}
			},
		},
		{
			name: "pods that take the same port",
			s: func(*testing.T) *plan.Snapshot {
				g := web(3)
				g.HostPorts = []workload.HostPort{{Protocol: "TCP", Port: 80}}
				return snapshot(g)
			},
			key: shape, want: map[string]int{"c6a.large": 3},
		},
		{
			name: "neighbours that come later in the queue",
			s: func(*testing.T) *plan.Snapshot {
				big, small := web(2), web(1)
				big.Requests.CPU = 2000
				small.Owner.Name, small.Labels = "db", map[string]string{"app": "db"}
				small.Alternatives = []workload.Requirements{in(zone, "us-east-1b")}
				big.Affinity = []workload.PodTerm{{TopologyKey: zone, Selector: nodestest.Selector(small.Labels)}}
				return snapshot(big, small)
			},
			key: zone, want: map[string]int{"us-east-1b": 1},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := peer.Karpenter(tc.s(t), peer.KarpenterSettings{})
			got := bought(f, tc.key)
			for value, n := range tc.want {
				if got[value] != n {
					t.Errorf("%s: %d nodes, want %d; all: %v", value, got[value], n, got)
				}
			}
			if tc.check != nil {
				tc.check(t, f)
			}
		})
	}
}

func total(pods []plan.Bound) int {
	n := 0
	for _, b := range pods {
		n += b.Count
	}
	return n
}

func TestKarpenterIsDeterministic(t *testing.T) {
	t.Parallel()
	s := nodestest.Snapshot(nodestest.Mixed(400, 3), nodestest.Market{})
	for seed := range uint64(3) {
		a, b := peer.Karpenter(s, peer.KarpenterSettings{Seed: seed}), peer.Karpenter(s, peer.KarpenterSettings{Seed: seed})
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d gives two answers", seed)
		}
	}
}
