package peer_test

import (
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/nodes/peer"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

type demandCase struct {
	name   string
	demand []workload.Group
	market nodestest.Market
}

func demands() []demandCase {
	small := nodestest.Market{MaxVCPU: 16}
	all := []demandCase{
		{"bench", nodestest.Bench(2000, 1), small},
		{"bench, any size", nodestest.Bench(2000, 1), nodestest.Market{}},
		{"microservices", nodestest.Microservices(2000, 150, 1), small},
		{"microservices on spot and Graviton", nodestest.Microservices(2000, 150, 1), nodestest.Market{ARM: true, Spot: true}},
		{"big pods", nodestest.BigPods(500, 40, 1), small},
		{"services with constraints", nodestest.Services(1500, 60, 1), small},
		{"five mixes", nodestest.Mixed(1000, 1), small},
	}
	for _, kind := range nodestest.Constraints() {
		all = append(all, demandCase{string(kind), nodestest.Only(kind, 300, 1), small})
	}
	return all
}

func strategies() map[string]func(*plan.Snapshot) nodes.Fleet {
	return map[string]func(*plan.Snapshot) nodes.Fleet{
		"karpenter":          func(s *plan.Snapshot) nodes.Fleet { return peer.Karpenter(s, peer.KarpenterSettings{}) },
		"cluster-autoscaler": func(s *plan.Snapshot) nodes.Fleet { return peer.Autoscaler(s, peer.AutoscalerSettings{}) },
		"ecs-asg":            func(s *plan.Snapshot) nodes.Fleet { return peer.ECS(s, peer.ECSSettings{}) },
		"fargate":            func(s *plan.Snapshot) nodes.Fleet { return peer.Fargate(s, fargatePrices()) },
	}
}

func TestFeasible(t *testing.T) {
	t.Parallel()
	for _, d := range demands() {
		for name, run := range strategies() {
			t.Run(name+"/"+d.name, func(t *testing.T) {
				t.Parallel()
				s := nodestest.Snapshot(d.demand, d.market)
				s.NodeGroups = peer.DefaultNodeGroups(s.Offers)
				s.Daemons = nodestest.Daemons()
				start := time.Now()
				f := run(s)
				t.Logf("%d nodes, %s dollars, %d pending, %s", f.Nodes(), f.Hourly().Cents(), len(f.Pending), time.Since(start))
				found := check.Fleet(s, f)
				for i, v := range found {
					if i == 5 {
						t.Errorf("and %d more", len(found)-i)
						break
					}
					t.Error(v)
				}
				if len(f.Pending) > 0 {
					t.Errorf("pending: %+v", f.Pending[0])
				}
			})
		}
	}
}

func fargatePrices() catalog.Services {
	return catalog.Services{Prices: []catalog.ServicePrice{
		{Service: catalog.FargateVCPU, Price: 40_480_000}, {Service: catalog.FargateMemory, Price: 4_445_000}, {Service: catalog.FargateStorage, Price: 111_000},
	}}
}
