package main

import (
	"fmt"
	"math"
	"testing"

	"github.com/tatami-platform/tatami/bench/nodes/karpenter"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/nodes/peer"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// smallCases are small versions of what is measured, and each kind of constraint
// by itself.
func smallCases(t *testing.T) map[string]*plan.Snapshot {
	t.Helper()
	out := map[string]*plan.Snapshot{}
	for _, size := range []int{small, 0} {
		list, err := offers(size)
		if err != nil {
			t.Fatal(err)
		}
		for name, groups := range map[string][]workload.Group{
			"bench": nodestest.Bench(300, seed),
			"micro": nodestest.Microservices(300, 50, seed),
			"big":   bigPods(60),
		} {
			s := nodestest.Snapshot(groups, nodestest.Market{})
			s.Offers = list
			out[fmt.Sprintf("%s-%d", name, size)] = s
		}
	}
	for _, kind := range nodestest.Constraints() {
		out[string(kind)] = nodestest.Snapshot(nodestest.Only(kind, 150, seed), nodestest.Market{})
	}
	out["services"] = nodestest.Snapshot(nodestest.Services(200, 40, seed), nodestest.Market{MaxVCPU: small})
	out["mixed"] = nodestest.Snapshot(nodestest.Mixed(100, seed), nodestest.Market{})
	return out
}

// sample is the mean of some prices, and the standard error of that.
type sample struct{ mean, err float64 }

func sampled(n int, price func(run int) float64) sample {
	var sum, squares float64
	for run := range n {
		p := price(run)
		sum += p
		squares += p * p
	}
	mean := sum / float64(n)
	return sample{mean, math.Sqrt(max(squares/float64(n)-mean*mean, 0) / float64(n-1))}
}

// TestModelAgrees holds that our model of Karpenter costs within 2 % of what the
// real one does, or that chance may explain the rest: with spread over nodes,
// prices of one demand differ by some percent from run to run.
func TestModelAgrees(t *testing.T) {
	for name, s := range smallCases(t) {
		t.Run(name, func(t *testing.T) {
			first := karpenterPrice(t, s, 0)
			if p := karpenterPrice(t, s, 1); p == first && modelPrice(s, 0) == first {
				return // nothing is left to chance
			}
			const runs = 8
			real := sampled(runs, func(run int) float64 { return karpenterPrice(t, s, run) })
			model := sampled(4*runs, func(run int) float64 { return modelPrice(s, run) })
			off, chance := model.mean/real.mean-1, 3*math.Hypot(real.err, model.err)/real.mean
			t.Logf("real %.3f, model %.3f: %+.2f %%, by chance %.2f %%", real.mean, model.mean, 100*off, 100*chance)
			if math.Abs(off) > maxModelError+chance {
				t.Errorf("the model is off by %+.2f %%; chance explains %.2f %%", 100*off, 100*chance)
			}
		})
	}
}

func karpenterPrice(t *testing.T, s *plan.Snapshot, run int) float64 {
	t.Helper()
	a, err := karpenter.Schedule(t.Context(), s, karpenter.Settings{Seed: uint64(run)})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Fleet.Pending) > 0 {
		t.Fatalf("pending: %+v", a.Fleet.Pending)
	}
	return a.Fleet.Hourly().Dollars()
}

func modelPrice(s *plan.Snapshot, run int) float64 {
	return peer.Karpenter(s, peer.KarpenterSettings{Seed: uint64(run)}).Hourly().Dollars()
}

// TestKarpenterAcceptsOurFleets holds that Karpenter's own rules allow every pod
// on the node that we mean for it.
func TestKarpenterAcceptsOurFleets(t *testing.T) {
	for name, s := range smallCases(t) {
		t.Run(name, func(t *testing.T) {
			for _, p := range nodes.Policies() {
				f := nodes.Solve(s, p, nodes.Effort{Steps: 100})
				for _, v := range check.Fleet(s, f) {
					t.Errorf("%s: %s", p.Name, v)
				}
				refused, err := karpenter.Refused(t.Context(), s, f)
				if err != nil {
					t.Fatal(err)
				}
				if len(refused) > 0 {
					t.Errorf("%s: %d pods are refused, the first: %s", p.Name, len(refused), refused[0])
				}
			}
		})
	}
}
