package peer_test

import (
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/nodes/peer"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

func TestPendingNamesTheConstraint(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(s *plan.Snapshot)
		want   string
	}{
		{"resource", func(s *plan.Snapshot) { s.Demand[0].Requests.CPU = 4_000_000 }, "requests 4000 of cpu, and the most"},
		{"label", func(s *plan.Snapshot) {
			s.Demand[0].Alternatives = []workload.Requirements{{"disk": workload.OneOf("fast")}}
		}, "disk must be "},
		{"taint", func(s *plan.Snapshot) {
			taints := []workload.Taint{{Key: "team", Value: "red", Effect: workload.NoSchedule}}
			for i := range s.Pools {
				s.Pools[i].Taints = taints
			}
			for i := range s.NodeGroups {
				s.NodeGroups[i].Taints = taints
			}
		}, "the taint team of "},
	} {
		for name, run := range strategies() {
			if name == "fargate" {
				continue // it has no machines to rule out
			}
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := nodestest.Snapshot(nodestest.Bench(3, 1), nodestest.Market{MaxVCPU: 16})
				s.NodeGroups = peer.DefaultNodeGroups(s.Offers)
				s.Demand = s.Demand[:1]
				tc.change(s)
				f := run(s)
				if len(f.Pending) != 1 || f.Pending[0].Code != nodes.NoOffering || !strings.Contains(f.Pending[0].Text, tc.want) {
					t.Errorf("%+v, want %q", f.Pending, tc.want)
				}
			})
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(*plan.Snapshot, func() bool) nodes.Fleet{
		"karpenter": func(s *plan.Snapshot, stop func() bool) nodes.Fleet {
			return peer.Karpenter(s, peer.KarpenterSettings{Stop: stop})
		},
		"cluster-autoscaler": func(s *plan.Snapshot, stop func() bool) nodes.Fleet {
			return peer.Autoscaler(s, peer.AutoscalerSettings{Stop: stop})
		},
		"ecs-asg": func(s *plan.Snapshot, stop func() bool) nodes.Fleet {
			return peer.ECS(s, peer.ECSSettings{Stop: stop})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := nodestest.Snapshot(nodestest.Services(5000, 60, 1), nodestest.Market{MaxVCPU: 16})
			asked, total := 0, 0
			f := run(s, func() bool { asked++; return asked > 1 })
			for _, p := range f.Purchases {
				for _, b := range p.Pods {
					total += p.Count * b.Count
				}
			}
			placed := total
			for _, p := range f.Pending {
				if total += p.Count; p.Code != peer.Stopped || p.Text == "" {
					t.Errorf("%+v", p)
				}
			}
			want := 0
			for i := range s.Demand {
				want += s.Demand[i].Count
			}
			if asked != 2 || total != want || placed == want {
				t.Errorf("asked %d times, %d pods placed, %d of %d accounted for", asked, placed, total, want)
			}
		})
	}
}
