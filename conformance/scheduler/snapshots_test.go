package scheduler

import (
	"testing"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// named is a snapshot with the subject that it is about.
type named struct {
	name string
	s    *plan.Snapshot
}

// market is small machines: a few hundred pods then need enough of them for
// constraints among nodes to matter.
func market() nodestest.Market { return nodestest.Market{MaxVCPU: 8} }

func snapshots(t *testing.T) []named {
	t.Helper()
	all := []named{
		{"microservices", nodestest.Snapshot(nodestest.Microservices(300, 60, 1), market())},
		{"big pods", nodestest.Snapshot(nodestest.BigPods(40, 10, 1), nodestest.Market{MaxVCPU: 16})},
		{"services", nodestest.Snapshot(nodestest.Services(200, 40, 1), market())},
		{"spot and Graviton", nodestest.Snapshot(nodestest.Microservices(100, 20, 2), nodestest.Market{MaxVCPU: 8, ARM: true, Spot: true})},
		{"mixed", nodestest.Snapshot(nodestest.Mixed(100, 1), market())},
	}
	for _, kind := range nodestest.Constraints() {
		all = append(all, named{string(kind), nodestest.Snapshot(nodestest.Only(kind, 60, 1), market())})
	}
	return append(all, special(t)...)
}

// special are the constraints that the generated demand does not have.
func special(t *testing.T) []named {
	t.Helper()
	return []named{
		{"taints", taints()},
		{"a tainted zone", taintedZone()},
		{"node affinity", nodeAffinities(t)},
		{"zones of volumes", volumes()},
		{"host ports", hostPorts()},
		{"daemons", daemons()},
		{"existing nodes", existingNodes()},
		{"neighbours", neighbours()},
		{"namespaces", namespacesApart()},
		{"spread over many", spreads()},
		{"extended resources", extended()},
		{"priorities", priorities()},
	}
}

func service(name string, n int, change func(*workload.Group)) workload.Group {
	g := workload.Group{
		Owner:  workload.Ref{Kind: "Deployment", Namespace: nodestest.Namespace, Name: name},
		Labels: map[string]string{"app": name}, Count: n,
		Requests: unit.Resources{CPU: 500, Memory: unit.GiB, Pods: 1},
	}
	if change != nil {
		change(&g)
	}
	return g
}

func app(name string) workload.Selector { return nodestest.Selector(map[string]string{"app": name}) }

func spreadOver(key string, skew int, name string) workload.Spread {
	return workload.Spread{TopologyKey: key, MaxSkew: skew, Required: true, Selector: app(name)}
}

func inZones(zones ...string) []workload.Requirements {
	return []workload.Requirements{{workload.LabelZone: workload.OneOf(zones...)}}
}

// taints: a pool for some, which costs no more than the other.
func taints() *plan.Snapshot {
	only := workload.Taint{Key: "dedicated", Value: "batch", Effect: workload.NoSchedule}
	soft := workload.Taint{Key: "rather-not", Effect: workload.PreferNoSchedule}
	s := nodestest.Snapshot([]workload.Group{
		service("web", 20, nil),
		service("batch", 20, func(g *workload.Group) {
			g.Tolerations = []workload.Toleration{{Key: "dedicated", Value: "batch", Effect: workload.NoSchedule}}
			g.Alternatives = []workload.Requirements{{"team": workload.OneOf("batch")}}
		}),
		service("anywhere", 20, func(g *workload.Group) { g.Tolerations = []workload.Toleration{{Exists: true}} }),
	}, market())
	tainted := nodestest.Pool(market())
	tainted.Name, tainted.Labels, tainted.Taints = "batch", map[string]string{"team": "batch"}, []workload.Taint{only, soft}
	tainted.StartupTaints = []workload.Taint{{Key: "starting", Effect: workload.NoExecute}}
	s.Pools = append(s.Pools, tainted)
	return s
}

// taintedZone has a zone into which only some may go, and others that spread over
// the zones. With the default policy the scheduler counts that zone for them.
func taintedZone() *plan.Snapshot {
	s := nodestest.Snapshot([]workload.Group{
		service("web", 12, func(g *workload.Group) {
			g.Spread = []workload.Spread{spreadOver(workload.LabelZone, 1, "web")}
			g.Spread[0].HonorTaints = true
		}),
		service("batch", 12, func(g *workload.Group) {
			g.Tolerations = []workload.Toleration{{Key: "dedicated", Exists: true}}
			g.Alternatives = inZones("us-east-1c")
		}),
	}, market())
	s.Pools[0].Requirements.Add(workload.LabelZone, workload.OneOf("us-east-1a", "us-east-1b"))
	tainted := nodestest.Pool(market())
	tainted.Name, tainted.Taints = "batch", []workload.Taint{{Key: "dedicated", Effect: workload.NoSchedule}}
	tainted.Requirements.Add(workload.LabelZone, workload.OneOf("us-east-1c"))
	s.Pools = append(s.Pools, tainted)
	return s
}

func nodeAffinities(t *testing.T) *plan.Snapshot {
	t.Helper()
	must := func(op workload.Operator, values ...string) workload.Requirement {
		r, err := workload.NewRequirement(op, values...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const cpu, family, category = "karpenter.k8s.aws/instance-cpu", "karpenter.k8s.aws/instance-family", "karpenter.k8s.aws/instance-category"
	with := func(alternatives ...workload.Requirements) func(*workload.Group) {
		return func(g *workload.Group) { g.Alternatives = alternatives }
	}
	return nodestest.Snapshot([]workload.Group{
		service("in", 10, with(workload.Requirements{family: must(workload.In, "m5", "r5")})),
		service("not-in", 10, with(workload.Requirements{category: must(workload.NotIn, "c", "m")})),
		service("above", 10, with(workload.Requirements{cpu: must(workload.Gt, "2")})),
		service("below", 10, with(workload.Requirements{cpu: must(workload.Lt, "4"), "no-such-label": must(workload.DoesNotExist)})),
		service("either", 10, with(
			workload.Requirements{family: must(workload.In, "none-such")},
			workload.Requirements{category: must(workload.In, "r"), workload.LabelZone: must(workload.In, "us-east-1b")})),
		service("wish", 10, func(g *workload.Group) {
			g.Preferred = []workload.Preference{{Weight: 100, Requirements: workload.Requirements{family: must(workload.In, "r7i")}}}
		}),
	}, market())
}

// volumes bind pods of one workload to different zones.
func volumes() *plan.Snapshot {
	var groups []workload.Group
	for i, zone := range nodestest.Zones() {
		groups = append(groups, service("db", 2+i, func(g *workload.Group) {
			g.Owner.Kind = "StatefulSet"
			g.Alternatives = inZones(zone)
			g.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: app("db")}}
		}))
	}
	return nodestest.Snapshot(append(groups, service("web", 30, nil)), market())
}

func hostPorts() *plan.Snapshot {
	port := func(ip, protocol string, n int32) func(*workload.Group) {
		return func(g *workload.Group) {
			g.Requests.CPU, g.Requests.Memory = 100, 128*unit.MiB
			g.HostPorts = []workload.HostPort{{IP: ip, Protocol: protocol, Port: n}}
		}
	}
	return nodestest.Snapshot([]workload.Group{
		service("all", 4, port("", "TCP", 8080)),
		service("one", 4, port("10.0.0.1", "TCP", 8080)),
		service("another", 4, port("10.0.0.2", "TCP", 8080)),
		service("udp", 4, port("", "UDP", 8080)),
		service("other", 4, port("0.0.0.0", "TCP", 8081)),
		service("web", 20, nil),
	}, market())
}

// daemons: one on all nodes, one on large ones, one on those that it tolerates,
// and one that takes a port.
func daemons() *plan.Snapshot {
	s := nodestest.Snapshot([]workload.Group{
		service("web", 60, func(g *workload.Group) { g.Requests.CPU = 900 }),
		service("edge", 6, func(g *workload.Group) {
			g.HostPorts = []workload.HostPort{{Protocol: "TCP", Port: 9100}}
			g.Alternatives = []workload.Requirements{{"karpenter.k8s.aws/instance-cpu": workload.OneOf("2")}}
		}),
	}, market())
	s.Daemons = nodestest.Daemons()
	s.Daemons = append(s.Daemons, service("large-only", 0, func(g *workload.Group) {
		g.Owner.Kind = "DaemonSet"
		g.Alternatives = []workload.Requirements{{"karpenter.k8s.aws/instance-cpu": workload.OneOf("4", "8")}}
	}), service("picky", 0, func(g *workload.Group) {
		g.Owner.Kind = "DaemonSet"
		g.Requests.CPU = 50
	}))
	tainted := nodestest.Pool(market())
	tainted.Name, tainted.Weight = "tainted", 10
	tainted.Taints = []workload.Taint{{Key: "dedicated", Effect: workload.NoSchedule}}
	s.Pools = append(s.Pools, tainted)
	for i := range s.Demand {
		s.Demand[i].Tolerations = []workload.Toleration{{Key: "dedicated", Exists: true}}
	}
	return s
}

// existingNodes have pods already, too many in one zone; one node is leaving.
func existingNodes() *plan.Snapshot {
	s := nodestest.Snapshot([]workload.Group{
		service("web", 20, func(g *workload.Group) { g.Spread = []workload.Spread{spreadOver(workload.LabelZone, 1, "web")} }),
		service("alone", 4, func(g *workload.Group) {
			g.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: app("alone")}}
		}),
		service("small", 20, func(g *workload.Group) { g.Requests = unit.Resources{CPU: 50, Memory: 64 * unit.MiB, Pods: 1} }),
	}, market())
	for i, name := range []string{"old-a", "old-b", "old-leaving"} {
		o := s.Offers[0]
		for _, offer := range s.Offers {
			if offer.Shape.Name == "m5.xlarge" && offer.Zone == nodestest.Zones()[i%2] {
				o = offer
			}
		}
		labels := o.Labels()
		labels[catalog.LabelPool], labels[workload.LabelHostname] = "default", name
		s.Nodes = append(s.Nodes, plan.Node{
			Name: name, Pool: "default", Offering: o, Labels: labels, Initialized: true, Leaving: i == 2,
			Allocatable: o.Shape.Allocatable(s.Kubelet), Reserved: unit.Resources{CPU: 150, Memory: 200 * unit.MiB, Pods: 2},
		})
	}
	s.Nodes[0].Pods = []plan.Bound{{Group: 0, Count: 1}, {Group: 1, Count: 1}}
	s.Nodes[1].Pods = []plan.Bound{{Group: 0, Count: 1}, {Group: 2, Count: 3}}
	return s
}

// neighbours want to be on the same node, or in the same zone, as others.
func neighbours() *plan.Snapshot {
	near := func(key, name string) func(*workload.Group) {
		return func(g *workload.Group) { g.Affinity = []workload.PodTerm{{TopologyKey: key, Selector: app(name)}} }
	}
	return nodestest.Snapshot([]workload.Group{
		service("cache", 6, func(g *workload.Group) {
			g.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: app("cache")}}
		}),
		service("web", 12, near(workload.LabelHostname, "cache")),
		service("club", 4, near(workload.LabelHostname, "club")),
		service("guild", 20, near(workload.LabelZone, "guild")),
		service("friend", 10, near(workload.LabelZone, "guild")),
		service("shy", 5, func(g *workload.Group) {
			g.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelZone, Selector: app("guild")}}
		}),
	}, market())
}

// namespacesApart refuse pods of others across namespaces, or only of their own.
func namespacesApart() *plan.Snapshot {
	away := func(ns string, term workload.PodTerm) func(*workload.Group) {
		return func(g *workload.Group) {
			g.Owner.Namespace, g.Labels = ns, map[string]string{"app": "tenant"}
			term.TopologyKey, term.Selector = workload.LabelHostname, app("tenant")
			g.AntiAffinity = []workload.PodTerm{term}
		}
	}
	return nodestest.Snapshot([]workload.Group{
		service("own", 4, away("red", workload.PodTerm{})),
		service("everywhere", 3, away("blue", workload.PodTerm{AllNamespaces: true})),
		service("named", 3, away("green", workload.PodTerm{Namespaces: []string{"red"}})),
		service("web", 20, nil),
	}, market())
}

func spreads() *plan.Snapshot {
	return nodestest.Snapshot([]workload.Group{
		service("both", 20, func(g *workload.Group) {
			g.Spread = []workload.Spread{spreadOver(workload.LabelZone, 1, "both"), spreadOver(workload.LabelHostname, 2, "both")}
		}),
		service("min", 7, func(g *workload.Group) {
			g.Spread = []workload.Spread{spreadOver(workload.LabelZone, 2, "min")}
			g.Spread[0].MinDomains = 3
		}),
		service("half", 9, func(g *workload.Group) {
			g.Alternatives = inZones("us-east-1a", "us-east-1b")
			g.Spread = []workload.Spread{spreadOver(workload.LabelZone, 1, "half")}
		}),
		service("soft", 9, func(g *workload.Group) {
			g.Spread = []workload.Spread{spreadOver(workload.LabelZone, 1, "soft")}
			g.Spread[0].Required = false
		}),
		service("by-type", 9, func(g *workload.Group) {
			g.Spread = []workload.Spread{spreadOver(catalog.LabelShape, 3, "by-type")}
		}),
		service("web", 20, nil),
	}, market())
}

// extended: a machine with GPUs, dear enough to be bought only where one is
// needed.
func extended() *plan.Snapshot {
	s := nodestest.Snapshot([]workload.Group{
		service("train", 6, func(g *workload.Group) { g.Requests.Extended = map[string]int64{"nvidia.com/gpu": 1} }),
		service("web", 20, nil),
	}, market())
	shape := *s.Offers[0].Shape
	shape.Name, shape.Family, shape.VCPU, shape.Memory = "g5.2xlarge", "g5", 8, 32*unit.GiB
	shape.GPU = catalog.Accelerators{Count: 4, Name: "a10g", Manufacturer: "nvidia", Memory: 24 * unit.GiB}
	shape.MaxENIs, shape.IPv4PerENI, shape.MaxPods = 4, 15, 58
	for _, zone := range nodestest.Zones() {
		s.Offers = append(s.Offers, catalog.Offering{Shape: &shape, Region: s.Region, Zone: zone, Capacity: catalog.OnDemand, Price: 2 * unit.USD})
	}
	return s
}

func priorities() *plan.Snapshot {
	var groups []workload.Group
	for i, p := range []int32{0, 1000, -5, 100} {
		groups = append(groups, service("level-"+string(rune('a'+i)), 15, func(g *workload.Group) { g.Priority = p }))
	}
	return nodestest.Snapshot(groups, market())
}
