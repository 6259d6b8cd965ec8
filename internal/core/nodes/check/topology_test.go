package check_test

import (
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

func term(key, app string) []workload.PodTerm {
	return []workload.PodTerm{{TopologyKey: key, Selector: nodestest.Selector(map[string]string{"app": app})}}
}

func affinityCases() []testCase {
	host, zone := workload.LabelHostname, workload.LabelZone
	return []testCase{
		{"anti-affinity by host", func(sc *scene) {
			sc.s.Demand[0].AntiAffinity = term(host, "web")
			sc.fill(fillRow{"a", 2, 0, 1})
		}, check.AntiAffinity},
		{"anti-affinity by host, copies are apart", func(sc *scene) {
			sc.s.Demand[0].AntiAffinity = term(host, "web")
			sc.fill(fillRow{"a", 1, 2, 3})
		}, ""},
		{"anti-affinity by zone, copies are together", func(sc *scene) {
			sc.s.Demand[0].AntiAffinity = term(zone, "web")
			sc.fill(fillRow{"a", 1, 0, 2})
		}, check.AntiAffinity},
		{"anti-affinity against others", func(sc *scene) {
			sc.s.Demand[1].AntiAffinity = term(zone, "web")
			sc.fill(fillRow{"a", 1, 0, 1}, fillRow{"a", 0, 1, 1})
		}, check.AntiAffinity},
		{"anti-affinity against others in other zones", func(sc *scene) {
			sc.s.Demand[1].AntiAffinity = term(zone, "web")
			sc.fill(fillRow{"a", 1, 0, 2}, fillRow{"b", 0, 2, 2})
		}, ""},
		{"anti-affinity of a bound pod against a new one", func(sc *scene) {
			sc.s.Demand[0].AntiAffinity = term(host, "db")
			sc.s.Nodes[0].Pods = []plan.Bound{{Group: 0, Count: 1}}
			sc.f = nodes.Fleet{Placed: []nodes.Placed{{Node: 0, Pods: []plan.Bound{{Group: 1, Count: 1}}}}}
			sc.s.Demand[0].Count, sc.s.Demand[1].Count = 1, 1
		}, check.AntiAffinity},
		{"anti-affinity between bound pods", func(sc *scene) {
			sc.s.Demand[0].AntiAffinity = term(host, "web")
			sc.s.Nodes[0].Pods = []plan.Bound{{Group: 0, Count: 2}}
			sc.f = nodes.Fleet{Placed: []nodes.Placed{{Node: 0, Pods: []plan.Bound{{Group: 1, Count: 1}}}}}
			sc.s.Demand[0].Count, sc.s.Demand[1].Count = 2, 1
		}, ""},
		{"anti-affinity in another namespace", func(sc *scene) {
			sc.s.Demand[0].AntiAffinity = term(host, "db")
			sc.s.Demand[1].Owner.Namespace = "other"
		}, ""},
		{"anti-affinity in a named namespace", func(sc *scene) {
			sc.s.Demand[0].AntiAffinity = term(host, "db")
			sc.s.Demand[0].AntiAffinity[0].Namespaces = []string{"other"}
			sc.s.Demand[1].Owner.Namespace = "other"
			sc.fill(fillRow{"a", 1, 1, 1})
		}, check.AntiAffinity},
		{"preferred anti-affinity", func(sc *scene) {
			sc.s.Demand[0].AntiAffinity = term(host, "web")
			sc.s.Demand[0].AntiAffinity[0].Weight = 1
		}, ""},
		{"affinity to others", func(sc *scene) {
			sc.s.Demand[0].Affinity = term(host, "db")
			sc.fill(fillRow{"a", 2, 1, 2})
		}, ""},
		{"affinity to others on another node", func(sc *scene) {
			sc.s.Demand[0].Affinity = term(host, "db")
			sc.fill(fillRow{"a", 2, 0, 1}, fillRow{"a", 0, 2, 1})
		}, check.Affinity},
		{"affinity to itself, in one zone", func(sc *scene) {
			sc.s.Demand[0].Affinity = term(zone, "web")
			sc.fill(fillRow{"a", 2, 0, 3})
		}, ""},
		{"affinity to itself, in two zones", func(sc *scene) {
			sc.s.Demand[0].Affinity = term(zone, "web")
			sc.fill(fillRow{"a", 2, 0, 1}, fillRow{"b", 1, 0, 1})
		}, check.Affinity},
		{"affinity to itself, where others are already", func(sc *scene) {
			sc.s.Demand[1].Labels["app"] = "web"
			sc.s.Demand[0].Affinity = term(zone, "web")
			sc.fill(fillRow{"b", 1, 1, 1}, fillRow{"a", 2, 0, 1})
		}, ""},
		{"affinity in a circle", func(sc *scene) {
			sc.s.Demand[0].Affinity, sc.s.Demand[1].Affinity = term(zone, "db"), term(zone, "web")
			sc.fill(fillRow{"a", 1, 0, 1}, fillRow{"a", 0, 0, 1})
		}, check.Affinity},
		{"affinity in two topologies", func(sc *scene) {
			sc.s.Demand[0].Affinity = append(term(zone, "db"), term(catalog.LabelShape, "db")...)
			sc.fill(fillRow{"a", 2, 0, 1}, fillRow{"a", 0, 1, 1})
		}, ""},
	}
}

func spreadCases() []testCase {
	host, zone := workload.LabelHostname, workload.LabelZone
	web := func(key string, skew int, rows ...fillRow) func(*scene) {
		return func(sc *scene) {
			sc.s.Nodes = nil
			sc.spread(0, key, "web", skew)
			sc.fill(rows...)
		}
	}
	return []testCase{
		{"even zones", web(zone, 1, fillRow{"a", 2, 0, 1}, fillRow{"b", 1, 0, 1}, fillRow{"c", 1, 0, 1}), ""},
		{"one zone too full", web(zone, 1, fillRow{"a", 3, 0, 1}, fillRow{"b", 1, 0, 1}, fillRow{"c", 1, 0, 1}), check.TopologySpread},
		{"skew of two", web(zone, 2, fillRow{"a", 3, 0, 1}, fillRow{"b", 1, 0, 1}, fillRow{"c", 1, 0, 1}), ""},
		{"a zone with a node and no pod", web(zone, 1, fillRow{"a", 2, 0, 1}, fillRow{"b", 1, 0, 1}, fillRow{"c", 0, 1, 1}), check.TopologySpread},
		{"one zone alone", web(zone, 1, fillRow{"a", 2, 0, 3}), ""},
		{"even nodes", web(host, 1, fillRow{"a", 1, 0, 4}, fillRow{"b", 2, 0, 1}), ""},
		{"uneven nodes", web(host, 1, fillRow{"a", 1, 0, 3}, fillRow{"b", 3, 0, 1}), check.TopologySpread},
		{"a node without a pod", web(host, 1, fillRow{"a", 1, 0, 2}, fillRow{"b", 0, 1, 1}), ""},
		{"by instance type", web(catalog.LabelShape, 1, fillRow{"a", 3, 0, 2}), ""},
		{"a key that nodes lack", web("rack", 1, fillRow{"a", 1, 0, 1}), check.TopologySpread},
		{"too few domains", func(sc *scene) {
			web(zone, 1, fillRow{"a", 2, 0, 1}, fillRow{"b", 2, 0, 1})(sc)
			sc.s.Demand[0].Spread[0].MinDomains = 3
		}, check.TopologySpread},
		{"a zone that the affinity rules out", func(sc *scene) {
			web(zone, 1, fillRow{"a", 2, 0, 1}, fillRow{"b", 2, 0, 1}, fillRow{"c", 0, 1, 1})(sc)
			sc.s.Demand[0].Alternatives = []workload.Requirements{{zone: workload.OneOf("us-east-1a", "us-east-1b")}}
		}, ""},
		{"a zone that the affinity rules out, but is counted", func(sc *scene) {
			web(zone, 1, fillRow{"a", 2, 0, 1}, fillRow{"b", 2, 0, 1}, fillRow{"c", 0, 1, 1})(sc)
			sc.s.Demand[0].Alternatives = []workload.Requirements{{zone: workload.OneOf("us-east-1a", "us-east-1b")}}
			sc.s.Demand[0].Spread[0].IgnoreAffinity = true
		}, check.TopologySpread},
		{"a tainted node is a domain", func(sc *scene) { tainted(sc, false) }, check.TopologySpread},
		{"a tainted node is no domain", func(sc *scene) { tainted(sc, true) }, ""},
		{"bound pods were uneven before", func(sc *scene) {
			sc.spread(0, zone, "web", 1)
			sc.s.Nodes[0].Pods = []plan.Bound{{Group: 0, Count: 5}}
			sc.f.Placed, sc.f.Pending = nil, nil
			sc.s.Demand[0].Count, sc.s.Demand[1].Count = 9, 4
		}, ""},
		{"bound pods were uneven, and a new one joins them", func(sc *scene) {
			sc.spread(0, zone, "web", 1)
			sc.s.Nodes[0].Pods = []plan.Bound{{Group: 0, Count: 5}}
			sc.f.Pending = nil
			sc.s.Demand[0].Count, sc.s.Demand[1].Count = 10, 5
		}, check.TopologySpread},
		{"later pods of others make it uneven", func(sc *scene) {
			sc.s.Demand[1].Labels["app"] = "web"
			web(zone, 1, fillRow{"a", 1, 4, 1}, fillRow{"b", 1, 0, 1}, fillRow{"c", 1, 0, 1})(sc)
		}, ""},
		{"pods of others have to come first", func(sc *scene) {
			sc.s.Demand[1].Labels["app"] = "web"
			web(zone, 1, fillRow{"a", 4, 0, 1}, fillRow{"b", 0, 3, 1}, fillRow{"c", 0, 3, 1})(sc)
		}, ""},
		{"pods of others are too few", func(sc *scene) {
			sc.s.Demand[1].Labels["app"] = "web"
			web(zone, 1, fillRow{"a", 4, 0, 1}, fillRow{"b", 0, 3, 1}, fillRow{"c", 0, 2, 1})(sc)
		}, check.TopologySpread},
		{"each constraint is kept in the end, but no order keeps both", func(sc *scene) {
			sc.spread(0, host, "web", 1)
			web(zone, 1, fillRow{"a", 2, 0, 1}, fillRow{"b", 1, 0, 3})(sc)
		}, check.TopologySpread},
		{"ScheduleAnyway", func(sc *scene) {
			web(zone, 1, fillRow{"a", 6, 0, 1}, fillRow{"b", 0, 1, 1})(sc)
			sc.s.Demand[0].Spread[0].Required = false
		}, ""},
	}
}

// tainted puts four web pods into zones a and b, and a tainted node into c.
func tainted(sc *scene, honour bool) {
	sc.spread(0, workload.LabelZone, "web", 1)
	sc.s.Demand[0].Spread[0].HonorTaints = honour
	sc.s.Nodes[0].Labels[catalog.LabelZone] = "us-east-1c"
	sc.s.Nodes[0].Taints = []workload.Taint{{Key: "team", Effect: workload.NoSchedule}}
	sc.fill(fillRow{"a", 2, 0, 1}, fillRow{"b", 2, 0, 1})
}

// TestFast holds that a fleet of 100,000 pods with the constraints of Karpenter's
// benchmark is checked in the time of a test.
func TestFast(t *testing.T) {
	t.Parallel()
	s := nodestest.Snapshot(nodestest.Only(nodestest.ZoneSpread, 50_000, 1), nodestest.Market{})
	s.Demand = append(s.Demand, nodestest.Only(nodestest.Generic, 50_000, 1)...)
	f := onePodPerNode(s)
	start := time.Now()
	found := check.Fleet(s, f)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	} else {
		t.Logf("%d nodes in %s", f.Nodes(), took)
	}
	if len(found) > 0 {
		t.Errorf("%d violations, first: %s", len(found), found[0])
	}
}

// onePodPerNode buys a node for each pod, in each zone in turn.
func onePodPerNode(s *plan.Snapshot) nodes.Fleet {
	var f nodes.Fleet
	turn := 0
	for g := range s.Demand {
		n := [3]int{}
		for range s.Demand[g].Count {
			n[turn%3]++
			turn++
		}
		for z, count := range n {
			o := s.Offers[3*2+z] // c5.2xlarge
			if count > 0 {
				f.Purchases = append(f.Purchases, nodes.Purchase{
					Pool: "default", Offering: o, Count: count, Pods: []plan.Bound{{Group: g, Count: 1}},
					Requests: s.Demand[g].Requests, Allocatable: o.Shape.Allocatable(s.Kubelet),
				})
			}
		}
	}
	return f
}
