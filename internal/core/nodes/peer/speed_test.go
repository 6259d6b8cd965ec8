package peer_test

import (
	"testing"

	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
)

func BenchmarkStrategies(b *testing.B) {
	for name, run := range strategies() {
		for _, d := range []demandCase{
			{"bench-10k", nodestest.Bench(10_000, 1), nodestest.Market{MaxVCPU: 16}},
			{"micro-10k-any", nodestest.Microservices(10_000, 150, 1), nodestest.Market{ARM: true, Spot: true}},
			{"services-10k", nodestest.Services(10_000, 150, 1), nodestest.Market{MaxVCPU: 16}},
			{"mixed-5k", nodestest.Mixed(5_000, 1), nodestest.Market{MaxVCPU: 16}},
		} {
			b.Run(name+"/"+d.name, func(b *testing.B) {
				s := nodestest.Snapshot(d.demand, d.market)
				for b.Loop() {
					b.ReportMetric(run(s).Hourly().Dollars(), "$/h")
				}
			})
		}
	}
}
