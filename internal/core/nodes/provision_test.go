package nodes_test

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

// TestProvision holds that actions sum to the price of the fleet, and that pods
// without a place are spoken of.
func TestProvision(t *testing.T) {
	groups := nodestest.Microservices(200, 10, 1)
	groups[3].Requests.CPU = unit.Cores(1000)
	s := nodestest.Snapshot(groups, nodestest.Market{})
	effort := nodes.Effort{Steps: 20}
	actions := nodes.Provision(s, nodes.Balanced(), effort)
	if sum, want := plan.Hourly(actions), nodes.Solve(s, nodes.Balanced(), effort).Hourly(); sum != want {
		t.Errorf("actions sum to %v per hour, the fleet costs %v", sum, want)
	}
	last := actions[len(actions)-1]
	if last.Acts() || last.Target != groups[3].Owner || !strings.Contains(last.Reason.Text, "1000 of cpu") {
		t.Errorf("got %s %s: %s; want the impossible group and what it asks for", last.Effect.Verb(), last.Target, last.Reason.Text)
	}
}

// TestPendingReasons holds that the constraint which ruled out the last offering
// is the one that is named.
func TestPendingReasons(t *testing.T) {
	require := func(key string, values ...string) []workload.Requirements {
		return []workload.Requirements{{key: workload.OneOf(values...)}}
	}
	cases := []struct {
		name   string
		change func(s *plan.Snapshot)
		code   plan.Code
		text   string
	}{
		{"no offers", func(s *plan.Snapshot) { s.Offers = nil }, nodes.NoOffering, "no offering is available"},
		{"no pools", func(s *plan.Snapshot) { s.Pools = nil }, nodes.NoOffering, "no node pool"},
		{"pool takes nothing", func(s *plan.Snapshot) {
			s.Pools[0].Requirements = workload.Requirements{catalog.LabelArch: workload.OneOf("riscv64")}
		}, nodes.NoOffering, "requirements of any node pool"},
		{"taint", func(s *plan.Snapshot) {
			s.Pools[0].Taints = []workload.Taint{{Key: "gpu", Effect: workload.NoSchedule}}
		}, nodes.NoOffering, "taint gpu"},
		{"selector", func(s *plan.Snapshot) { s.Demand[0].Alternatives = require(catalog.LabelZone, "eu-west-1a") }, nodes.NoOffering, catalog.LabelZone},
		{"memory", func(s *plan.Snapshot) { s.Demand[0].Requests.Memory = 90 * unit.TiB }, nodes.NoOffering, "memory"},
		{"gpu", func(s *plan.Snapshot) { s.Demand[0].Requests.Extended = map[string]int64{"nvidia.com/gpu": 1} }, nodes.NoOffering, "nvidia.com/gpu"},
		{"pool limit", func(s *plan.Snapshot) { s.Pools[0].Limits = &unit.Resources{CPU: unit.Cores(1)} }, nodes.PoolLimit, "limits"},
		{"used up", func(s *plan.Snapshot) {
			s.Offers = s.Offers[:1]
			s.Offers[0].Limit = 1
			s.Demand[0].Count = 100_000
		}, nodes.PoolLimit, "used up"},
		{"one per zone", func(s *plan.Snapshot) {
			s.Demand[0].Count = 5
			s.Demand[0].AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelZone, Selector: nodestest.Selector(s.Demand[0].Labels)}}
		}, nodes.NoDomain, "anti-affinity"},
		{"cyclic affinity", func(s *plan.Snapshot) {
			s.Demand = nodestest.Microservices(20, 2, 1)
			for g := range 2 {
				s.Demand[g].Affinity = []workload.PodTerm{{TopologyKey: workload.LabelZone, Selector: nodestest.Selector(s.Demand[1-g].Labels)}}
			}
		}, nodes.NoDomain, "wait for these"},
		{"affinity to nobody", func(s *plan.Snapshot) {
			s.Demand[0].Affinity = []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: nodestest.Selector(map[string]string{"app": "nobody"})}}
		}, nodes.NoDomain, "not in the demand"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := nodestest.Snapshot(nodestest.Microservices(10, 1, 1), nodestest.Market{})
			c.change(s)
			f := nodes.Solve(s, nodes.Cheapest(), nodes.Effort{Steps: 5})
			for _, v := range check.Fleet(s, f) {
				t.Error(v)
			}
			if len(f.Pending) == 0 || f.Pending[0].Code != c.code || !strings.Contains(f.Pending[0].Text, c.text) {
				t.Errorf("got %+v, want %s with %q", f.Pending, c.code, c.text)
			}
		})
	}
}

// TestPolicies holds that each rule of a policy does what it says.
func TestPolicies(t *testing.T) {
	s := nodestest.Snapshot(nodestest.Microservices(2000, 40, 1), nodestest.Market{Spot: true})
	f := nodes.Solve(s, nodes.Balanced(), nodes.Effort{Steps: 60})
	for _, v := range check.Fleet(s, f) {
		t.Error(v)
	}
	type pool struct{ shape, zone string }
	spent := map[pool]unit.NanoUSD{}
	most := map[int]int{}
	for _, p := range f.Purchases {
		if p.Offering.Capacity != catalog.Spot {
			t.Errorf("%s is bought on demand although spot is cheaper", p.Offering.Shape.Name)
		}
		spent[pool{p.Offering.Shape.Name, p.Offering.Zone}] += p.Offering.Price.Times(int64(p.Count))
		for _, b := range p.Pods {
			most[b.Group] = max(most[b.Group], b.Count)
		}
	}
	for p, sum := range spent {
		// One node more than the share is what whole nodes allow.
		if share := sum.Dollars() / f.Hourly().Dollars(); share > 0.35 {
			t.Errorf("%.0f %% of the money goes to %v", 100*share, p)
		}
	}
	for g, n := range most {
		if all := s.Demand[g].Count; all >= 2 && n > max(1, all/2) {
			t.Errorf("%d of %d pods of group %d share a node", n, all, g)
		}
	}
}

// TestNeighbours holds that groups that refuse each other leave each other room.
func TestNeighbours(t *testing.T) {
	for _, swap := range []bool{false, true} {
		groups := nodestest.Microservices(20, 2, 1)
		guild, shy := &groups[0], &groups[1]
		if swap {
			guild, shy = shy, guild
		}
		guild.Count, shy.Count = 2, 3
		guild.Affinity = []workload.PodTerm{{TopologyKey: workload.LabelZone, Selector: nodestest.Selector(guild.Labels)}}
		shy.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelZone, Selector: nodestest.Selector(guild.Labels)}}
		for _, p := range nodes.Policies() {
			s := nodestest.Snapshot(groups, nodestest.Market{})
			f := nodes.Solve(s, p, nodes.Effort{Steps: 5})
			for _, v := range check.Fleet(s, f) {
				t.Errorf("%s: %v", p.Name, v)
			}
			if len(f.Pending) > 0 {
				t.Errorf("%s, swapped %v: %+v", p.Name, swap, f.Pending)
			}
		}
	}
}

// TestHostPorts holds that ports on different addresses are different ports.
func TestHostPorts(t *testing.T) {
	groups := nodestest.Microservices(20, 3, 1)
	for g, ip := range []string{"10.0.0.1", "10.0.0.2", ""} {
		groups[g].Count = 4
		groups[g].HostPorts = []workload.HostPort{{IP: ip, Protocol: "TCP", Port: 80}}
	}
	for n, want := range map[int]int{2: 4, 3: 8} {
		s := nodestest.Snapshot(groups[:n], nodestest.Market{})
		f := nodes.Solve(s, nodes.Cheapest(), nodes.Effort{Steps: 50})
		for _, v := range check.Fleet(s, f) {
			t.Error(v)
		}
		if f.Nodes() != want {
			t.Errorf("%d groups take %d nodes, want %d", n, f.Nodes(), want)
		}
	}
}
