package peer_test

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/nodes/peer"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// randomSnapshot has some hundred pods with any constraint, and a few nodes.
func randomSnapshot(r *rand.Rand) *plan.Snapshot {
	groups := nodestest.Services(100+r.IntN(200), 5+r.IntN(30), r.Uint64())
	for i := range groups {
		g := &groups[i]
		switch r.IntN(8) {
		case 0:
			g.Alternatives = []workload.Requirements{in(workload.LabelZone, nodestest.Zones()[r.IntN(3)])}
		case 1:
			g.HostPorts = []workload.HostPort{{Port: int32(8000 + r.IntN(2))}}
		case 2:
			g.Priority = int32(r.IntN(1000))
		case 3:
			g.AntiAffinity = []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: nodestest.Selector(groups[r.IntN(len(groups))].Labels)}}
		case 4:
			g.Tolerations = []workload.Toleration{{Key: "team", Exists: true}}
		}
	}
	s := nodestest.Snapshot(groups, nodestest.Market{MaxVCPU: 8 << r.IntN(3), Spot: r.IntN(2) == 0})
	s.NodeGroups = peer.DefaultNodeGroups(s.Offers)
	if r.IntN(2) == 0 {
		s.Daemons = nodestest.Daemons()
	}
	if r.IntN(3) == 0 {
		s.Pools[0].Limits = &unit.Resources{CPU: unit.MilliCPU(8000 * (1 + r.IntN(8)))}
	}
	if r.IntN(3) == 0 {
		first := peer.ECS(s, peer.ECSSettings{TargetCapacity: 50 + r.IntN(50)})
		s = peer.Settle(s, first)
		for g := range s.Demand {
			s.Demand[g].Count += r.IntN(10)
		}
		for i := range s.Nodes {
			s.Nodes[i].Leaving = r.IntN(5) == 0
		}
	}
	return s
}

// TestRandomDemand holds for each strategy that what it buys is possible, costs
// at least what the resources cost in the cheapest machines, and is the same each
// time.
func TestRandomDemand(t *testing.T) {
	t.Parallel()
	all := strategies()
	all["current"] = peer.Current
	for seed := range uint64(12) {
		s := randomSnapshot(rand.New(rand.NewPCG(seed, 9)))
		for name, run := range all {
			f := run(s)
			for _, v := range check.Fleet(s, f) {
				t.Errorf("seed %d, %s: %s", seed, name, v)
			}
			if name != "fargate" && f.Hourly() < fluid(s, requested(f)) {
				t.Errorf("seed %d, %s: %s is below the fluid bound", seed, name, f.Hourly())
			}
			if !reflect.DeepEqual(f, run(s)) {
				t.Errorf("seed %d, %s: two answers", seed, name)
			}
		}
	}
}

// requested is what pods on new nodes ask for.
func requested(f nodes.Fleet) (sum unit.Resources) {
	for _, p := range f.Purchases {
		sum = sum.Plus(p.Requests.Times(int64(p.Count)))
	}
	return sum
}

// fluid is a lower bound of the price of machines that hold an amount: of each
// resource alone, at the best price that any machine has for it.
func fluid(s *plan.Snapshot, need unit.Resources) unit.NanoUSD {
	cpu, memory := unit.MaxUSD, unit.MaxUSD
	for _, o := range s.Offers {
		a := o.Shape.Allocatable(s.Kubelet)
		cpu = min(cpu, o.Price.MulDiv(int64(need.CPU), int64(a.CPU)))
		memory = min(memory, o.Price.MulDiv(int64(need.Memory), int64(a.Memory)))
	}
	return max(cpu, memory)
}
