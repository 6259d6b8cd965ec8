package nodes_test

import (
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/check"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// TestSolve solves every kind of demand under every policy, and has the
// independent checker look at each answer.
func TestSolve(t *testing.T) {
	demands := []struct {
		name   string
		groups []workload.Group
	}{
		{"bench", nodestest.Bench(3000, 1)},
		{"microservices", nodestest.Microservices(3000, 150, 1)},
		{"big pods", nodestest.BigPods(300, 40, 1)},
		{"services", nodestest.Services(2000, 100, 1)},
		{"mixed", nodestest.Mixed(500, 1)},
		{"only zone spread", nodestest.Only(nodestest.ZoneSpread, 300, 1)},
		{"only host spread", nodestest.Only(nodestest.HostnameSpread, 300, 1)},
		{"only zone affinity", nodestest.Only(nodestest.ZoneAffinity, 300, 1)},
		{"only host anti-affinity", nodestest.Only(nodestest.HostnameAntiAffinity, 100, 1)},
	}
	for _, d := range demands {
		for _, p := range nodes.Policies() {
			t.Run(d.name+" "+p.Name, func(t *testing.T) {
				s := nodestest.Snapshot(d.groups, nodestest.Market{})
				begin := time.Now()
				f := nodes.Solve(s, p, nodes.Effort{Steps: 100})
				t.Logf("%d groups %d nodes %d pending, $%v, bound $%v %v", len(d.groups), f.Nodes(), len(f.Pending), f.Hourly().Cents(), f.Bound.Cents(), time.Since(begin))
				for i, v := range check.Fleet(s, f) {
					if i > 5 {
						break
					}
					t.Error(v)
				}
				for _, q := range f.Pending[:min(3, len(f.Pending))] {
					t.Log(q)
				}
			})
		}
	}
}
