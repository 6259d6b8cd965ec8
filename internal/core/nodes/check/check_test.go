package check_test

import (
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// scene is a snapshot with a fleet; cases change one thing about it.
type scene struct {
	t *testing.T
	s plan.Snapshot
	f nodes.Fleet
}

// newScene has two groups, web and db, each with 6 pods of a core; an offer of
// m6i.2xlarge in each zone; a node in zone a that exists; and a fleet that puts
// one pod of each onto that node, two onto a new node in each of zones b and c,
// and keeps one pending.
func newScene(t *testing.T) *scene {
	t.Helper()
	sc := &scene{t: t, s: *nodestest.Snapshot(nil, nodestest.Market{})}
	for _, name := range []string{"web", "db"} {
		sc.s.Demand = append(sc.s.Demand, workload.Group{
			Owner:  workload.Ref{Kind: "Deployment", Namespace: "shop", Name: name},
			Labels: map[string]string{"app": name}, Count: 6,
			Requests: unit.Resources{CPU: 1000, Memory: unit.GiB, Pods: 1},
		})
	}
	sc.s.Daemons = nodestest.Daemons()
	a := sc.offer("m6i.2xlarge", "us-east-1a")
	labels := a.Labels()
	labels[catalog.LabelPool] = "default"
	sc.s.Nodes = []plan.Node{{
		Name: "old", Pool: "default", Offering: a, Labels: labels, Initialized: true,
		Allocatable: a.Shape.Allocatable(sc.s.Kubelet), Reserved: unit.Resources{CPU: 150, Memory: 192 * unit.MiB, Pods: 2},
	}}
	sc.f.Placed = []nodes.Placed{{Node: 0, Pods: []plan.Bound{{Group: 0, Count: 1}, {Group: 1, Count: 1}}}}
	for _, zone := range []string{"us-east-1b", "us-east-1c"} {
		sc.f.Purchases = append(sc.f.Purchases, sc.purchase(zone, plan.Bound{Group: 0, Count: 2}, plan.Bound{Group: 1, Count: 2}))
	}
	for g := range 2 {
		sc.f.Pending = append(sc.f.Pending, nodes.Pending{Group: g, Count: 1, Code: nodes.PoolLimit, Text: "For the test."})
	}
	return sc
}

func (sc *scene) offer(shape, zone string) catalog.Offering {
	sc.t.Helper()
	for _, o := range sc.s.Offers {
		if o.Shape.Name == shape && o.Zone == zone {
			return o
		}
	}
	sc.t.Fatalf("no offer of %s in %s", shape, zone)
	return catalog.Offering{}
}

func (sc *scene) purchase(zone string, pods ...plan.Bound) nodes.Purchase {
	o := sc.offer("m6i.2xlarge", zone)
	return nodes.Purchase{
		Pool: "default", Offering: o, Count: 1, Pods: pods, Allocatable: o.Shape.Allocatable(sc.s.Kubelet),
		Daemons: unit.Resources{CPU: 150, Memory: 192 * unit.MiB, Pods: 2}, Requests: sc.requests(pods),
	}
}

func (sc *scene) requests(pods []plan.Bound) unit.Resources {
	var sum unit.Resources
	for _, b := range pods {
		sum = sum.Plus(sc.s.Demand[b.Group].Requests.Times(int64(b.Count)))
	}
	return sum
}

// fill replaces the fleet by new nodes, one for each "zone: web db" given.
func (sc *scene) fill(rows ...fillRow) {
	sc.f = nodes.Fleet{}
	left := []int{6, 6}
	for _, r := range rows {
		var pods []plan.Bound
		for g, n := range []int{r.web, r.db} {
			if n > 0 {
				pods = append(pods, plan.Bound{Group: g, Count: n})
				left[g] -= n * max(r.copies, 1)
			}
		}
		p := sc.purchase("us-east-1"+r.zone, pods...)
		p.Count = max(r.copies, 1)
		sc.f.Purchases = append(sc.f.Purchases, p)
	}
	for g, n := range left {
		sc.s.Demand[g].Count = 6 - n
	}
}

type fillRow struct {
	zone            string
	web, db, copies int
}

func TestFleet(t *testing.T) {
	t.Parallel()
	for _, tc := range cases() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sc := newScene(t)
			tc.change(sc)
			var got []string
			for _, v := range check.Fleet(&sc.s, sc.f) {
				got = append(got, v.String())
			}
			if tc.want == "" && len(got) > 0 {
				t.Fatalf("violations of a good fleet:\n%s", strings.Join(got, "\n"))
			}
			if tc.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], string(tc.want)+": ")) {
				t.Fatalf("want one violation of %s, got:\n%s", tc.want, strings.Join(got, "\n"))
			}
		})
	}
}

type testCase struct {
	name   string
	change func(*scene)
	want   check.Rule // "" when the fleet is good
}

func cases() []testCase {
	all := accountCases()
	all = append(all, nodeCases()...)
	all = append(all, purchaseCases()...)
	all = append(all, affinityCases()...)
	return append(all, spreadCases()...)
}

func accountCases() []testCase {
	return []testCase{
		{"good", func(*scene) {}, ""},
		{"copies count", func(sc *scene) { sc.fill(fillRow{"a", 1, 2, 3}) }, ""},
		{"a pod is missing", func(sc *scene) { sc.s.Demand[0].Count++ }, check.Accounting},
		{"a pod is there twice", func(sc *scene) { sc.s.Demand[1].Count-- }, check.Accounting},
		{"bound and placed", func(sc *scene) {
			sc.s.Nodes[0].Pods = []plan.Bound{{Group: 0, Count: 1}}
		}, check.Accounting},
		{"group out of range", func(sc *scene) {
			sc.f.Placed[0].Pods = append(sc.f.Placed[0].Pods, plan.Bound{Group: 2, Count: 1})
		}, check.Accounting},
		{"node out of range", func(sc *scene) {
			sc.f.Placed = append(sc.f.Placed, nodes.Placed{Node: 1})
		}, check.Accounting},
		{"pending without a reason", func(sc *scene) { sc.f.Pending[0].Text = "" }, check.Accounting},
		{"no pods", func(sc *scene) {
			sc.f.Placed[0].Pods = append(sc.f.Placed[0].Pods, plan.Bound{Group: 1})
		}, check.Accounting},
		{"leaving node is used", func(sc *scene) {
			sc.s.Nodes[0].Leaving = true
			sc.s.Demand[0].Count, sc.s.Demand[1].Count = 5, 5
		}, check.Leaving},
		{"pods on a leaving node move", func(sc *scene) {
			sc.s.Nodes[0].Leaving = true
			sc.s.Nodes[0].Pods = []plan.Bound{{Group: 0, Count: 1}}
			sc.f.Placed = nil
			sc.f.Pending[0].Count, sc.f.Pending[1].Count = 2, 2
		}, ""},
		{"bound equal to the price", func(sc *scene) { sc.f.Bound = sc.f.Hourly() }, ""},
		{"bound above the price", func(sc *scene) { sc.f.Bound = sc.f.Hourly() + 1 }, check.Bound},
	}
}

func nodeCases() []testCase {
	port := func(ip, protocol string) []workload.HostPort {
		return []workload.HostPort{{IP: ip, Protocol: protocol, Port: 8080}}
	}
	only := func(key, value string) []workload.Requirements {
		return []workload.Requirements{{key: workload.OneOf(value)}}
	}
	return []testCase{
		{"too much processor on a node that exists", func(sc *scene) {
			sc.s.Nodes[0].Reserved.CPU = 6500
		}, check.Fit},
		{"bound pods alone may be too much", func(sc *scene) {
			sc.s.Nodes[0].Pods = []plan.Bound{{Group: 0, Count: 1}, {Group: 1, Count: 1}}
			sc.s.Nodes[0].Reserved.CPU = 6500
			sc.f.Placed = nil
		}, ""},
		{"daemons do not fit beside", func(sc *scene) {
			sc.s.Demand[0].Requests.CPU = 3950
			sc.fill(fillRow{"a", 2, 0, 1})
		}, check.Fit},
		{"too many pods", func(sc *scene) { sc.s.Nodes[0].Allocatable.Pods = 3 }, check.Fit},
		{"extended resource is missing", func(sc *scene) {
			sc.s.Demand[0].Requests.Extended = map[string]int64{"nvidia.com/gpu": 1}
			sc.fill(fillRow{"a", 1, 0, 1})
		}, check.Fit},
		{"node selector", func(sc *scene) {
			sc.s.Demand[0].Alternatives = only(catalog.LabelZone, "us-east-1b")
			sc.f.Purchases = sc.f.Purchases[:1]
			sc.s.Demand[0].Count, sc.s.Demand[1].Count = 4, 4
		}, check.Selector},
		{"one of two alternatives", func(sc *scene) {
			sc.s.Demand[0].Alternatives = append(only(catalog.LabelArch, "arm64"), only(catalog.LabelArch, "amd64")...)
		}, ""},
		{"bound pods may break a selector", func(sc *scene) {
			sc.s.Demand[0].Alternatives = only(catalog.LabelZone, "us-east-1a")
			sc.s.Nodes[0].Labels[catalog.LabelZone] = "us-east-1f"
			sc.s.Nodes[0].Pods = []plan.Bound{{Group: 0, Count: 6}}
			sc.f = nodes.Fleet{}
			sc.s.Demand[1].Count = 0
		}, ""},
		{"a new node has no known name", func(sc *scene) {
			sc.s.Demand[0].Alternatives = only(workload.LabelHostname, "old")
			sc.fill(fillRow{"a", 1, 0, 1})
		}, check.Selector},
		{"taint of a node", func(sc *scene) {
			sc.s.Nodes[0].Taints = []workload.Taint{{Key: "team", Value: "x", Effect: workload.NoSchedule}}
			sc.s.Demand[1].Tolerations = []workload.Toleration{{Key: "team", Exists: true}}
		}, check.Taint},
		{"preferred taint", func(sc *scene) {
			sc.s.Nodes[0].Taints = []workload.Taint{{Key: "team", Effect: workload.PreferNoSchedule}}
		}, ""},
		{"taint of a pool", func(sc *scene) {
			sc.s.Pools[0].Taints = []workload.Taint{{Key: "gpu", Effect: workload.NoExecute}}
			sc.fill(fillRow{"a", 1, 0, 1})
		}, check.Taint},
		{"startup taint", func(sc *scene) {
			sc.s.Pools[0].StartupTaints = []workload.Taint{{Key: "cni", Effect: workload.NoSchedule}}
		}, ""},
		{"same port twice", func(sc *scene) {
			sc.s.Demand[0].HostPorts = port("", "TCP")
			sc.fill(fillRow{"a", 2, 0, 1})
		}, check.Port},
		{"all addresses and one", func(sc *scene) {
			sc.s.Demand[0].HostPorts, sc.s.Demand[1].HostPorts = port("0.0.0.0", ""), port("10.0.0.1", "TCP")
			sc.fill(fillRow{"a", 1, 1, 1})
		}, check.Port},
		{"two addresses", func(sc *scene) {
			sc.s.Demand[0].HostPorts, sc.s.Demand[1].HostPorts = port("10.0.0.2", "TCP"), port("10.0.0.1", "TCP")
			sc.fill(fillRow{"a", 1, 1, 2})
		}, ""},
		{"two protocols", func(sc *scene) {
			sc.s.Demand[0].HostPorts, sc.s.Demand[1].HostPorts = port("", "UDP"), port("", "TCP")
			sc.fill(fillRow{"a", 1, 1, 2})
		}, ""},
		{"port of a DaemonSet", func(sc *scene) {
			sc.s.Demand[0].HostPorts, sc.s.Daemons[0].HostPorts = port("", "TCP"), port("", "TCP")
			sc.fill(fillRow{"a", 1, 0, 1})
		}, check.Port},
	}
}

func purchaseCases() []testCase {
	return []testCase{
		{"not for sale", func(sc *scene) { sc.f.Purchases[0].Offering.Capacity = catalog.Reserved }, check.Offer},
		{"unknown zone", func(sc *scene) { sc.f.Purchases[0].Offering.Zone = "us-east-1z" }, check.Offer},
		{"wrong price", func(sc *scene) { sc.f.Purchases[0].Offering.Price-- }, check.Offer},
		{"no nodes", func(sc *scene) {
			sc.f.Purchases[0].Count = 0
			sc.s.Demand[0].Count, sc.s.Demand[1].Count = 4, 4
		}, check.Offer},
		{"limit of an offer", func(sc *scene) {
			sc.limit(1)
			sc.fill(fillRow{"a", 1, 1, 1}, fillRow{"a", 1, 2, 1})
		}, check.Offer},
		{"limit of an offer is kept", func(sc *scene) {
			sc.limit(3)
			sc.fill(fillRow{"a", 1, 1, 1}, fillRow{"a", 1, 2, 2}, fillRow{"b", 1, 0, 3})
		}, ""},
		{"unknown pool", func(sc *scene) {
			sc.fill(fillRow{"a", 1, 1, 1})
			sc.f.Purchases[0].Pool = "nowhere"
		}, check.PoolRule},
		{"pool refuses", func(sc *scene) {
			sc.s.Pools[0].Requirements.Add(catalog.LabelZone, workload.OneOf("us-east-1a", "us-east-1b"))
		}, check.PoolRule},
		{"the type that a pool asks for does not rub off", func(sc *scene) {
			sc.s.Pools[0].Requirements.Add(catalog.LabelShape, workload.OneOf("m5.large"))
			sc.f.Purchases = sc.f.Purchases[:1]
			sc.s.Demand[0].Count, sc.s.Demand[1].Count = 4, 4
		}, check.PoolRule},
		{"a graphics card that a pool asks for does not rub off", func(sc *scene) {
			sc.s.Pools[0].Requirements.Add("karpenter.k8s.aws/instance-gpu-name", workload.OneOf("l4"))
			sc.f.Purchases = sc.f.Purchases[:1]
			sc.s.Demand[0].Count, sc.s.Demand[1].Count = 4, 4
		}, check.PoolRule},
		{"a label of its own does", func(sc *scene) {
			sc.s.Pools[0].Requirements.Add("team", workload.OneOf("shop"))
			sc.s.Pools[0].Labels = map[string]string{"tier": "2"}
			sc.s.Demand[0].Alternatives = []workload.Requirements{{"team": workload.OneOf("shop"), "tier": workload.OneOf("2")}}
			sc.s.Nodes[0].Labels["team"], sc.s.Nodes[0].Labels["tier"] = "shop", "2"
		}, ""},
		{"limit of a pool, nodes that exist included", func(sc *scene) {
			sc.s.Pools[0].Limits = &unit.Resources{CPU: 23000}
		}, check.PoolLimit},
		{"limit of a pool is kept", func(sc *scene) {
			sc.s.Pools[0].Limits = &unit.Resources{CPU: 24000}
		}, ""},
		{"node group is full", func(sc *scene) {
			sc.fill(fillRow{"a", 1, 1, 3})
			sc.nodeGroup(2)
		}, check.PoolLimit},
		{"node group", func(sc *scene) {
			sc.fill(fillRow{"a", 1, 1, 3})
			sc.nodeGroup(3)
		}, ""},
		{"node group of another type", func(sc *scene) {
			sc.fill(fillRow{"a", 1, 1, 3})
			sc.nodeGroup(3)
			sc.s.NodeGroups[0].Shapes = []string{"m5.large"}
		}, check.PoolRule},
		{"too few values", func(sc *scene) {
			sc.minValues(2)
			sc.fill(fillRow{"a", 1, 1, 3})
		}, check.MinValues},
		{"enough values", func(sc *scene) {
			sc.minValues(2)
			sc.fill(fillRow{"a", 1, 1, 3})
			sc.f.Purchases[0].Others = []catalog.Offering{sc.offer("m5.2xlarge", "us-east-1a")}
		}, ""},
		{"alternative is too small", func(sc *scene) {
			sc.f.Purchases[0].Others = []catalog.Offering{sc.offer("m5.xlarge", "us-east-1b")}
		}, check.Others},
		{"alternative in another zone", func(sc *scene) {
			sc.f.Purchases[0].Others = []catalog.Offering{sc.offer("m5.2xlarge", "us-east-1a")}
		}, ""},
		{"alternative in another zone that matters", func(sc *scene) {
			sc.spread(0, workload.LabelZone, "web", 9)
			sc.f.Purchases[0].Others = []catalog.Offering{sc.offer("m5.2xlarge", "us-east-1a")}
		}, check.Others},
		{"alternative of another type, where the type matters", func(sc *scene) {
			sc.s.Demand[0].Alternatives = []workload.Requirements{{catalog.LabelShape: workload.OneOf("m6i.2xlarge")}}
			sc.f.Purchases[0].Others = []catalog.Offering{sc.offer("m5.2xlarge", "us-east-1b")}
		}, check.Others},
		{"requests are wrong", func(sc *scene) { sc.f.Purchases[0].Requests.CPU++ }, check.Figures},
		{"daemons are wrong", func(sc *scene) { sc.f.Purchases[0].Daemons.Memory = 0 }, check.Figures},
		{"allocatable is wrong", func(sc *scene) { sc.f.Purchases[0].Allocatable.Pods++ }, check.Figures},
	}
}

func (sc *scene) limit(n int) {
	for i := range sc.s.Offers {
		if o := &sc.s.Offers[i]; o.Shape.Name == "m6i.2xlarge" && o.Zone == "us-east-1a" {
			o.Limit = n
		}
	}
}

func (sc *scene) nodeGroup(limit int) {
	sc.s.NodeGroups = []workload.NodeGroup{{Name: "workers", Shapes: []string{"m6i.2xlarge"}, Max: limit}}
	sc.f.Purchases[0].Pool = "workers"
}

func (sc *scene) minValues(n int) {
	some, _ := workload.NewRequirement(workload.Exists)
	some.MinValues = n
	sc.s.Pools[0].Requirements.Add("karpenter.k8s.aws/instance-family", some)
}

func (sc *scene) spread(group int, key, app string, skew int) {
	g := &sc.s.Demand[group]
	g.Spread = append(g.Spread, workload.Spread{
		TopologyKey: key, MaxSkew: skew, MinDomains: 1, Required: true,
		Selector: nodestest.Selector(map[string]string{"app": app}),
	})
}
