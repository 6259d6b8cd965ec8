package control_test

import (
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// park is a second decider, as small as one can be: it lets workloads without
// traffic sleep until their forecast wakes them. It is here to hold that the
// vocabulary serves others than nodes as it is.
type park struct {
	Workload workload.Ref
	Replicas int
}

func (park) Verb() string { return "park" }

const (
	idle  plan.Code = "Idle"
	awake plan.Code = "TrafficExpected"
	blind plan.Code = "NoSignal"
)

// decidePark is pure: the same snapshot gives the same actions.
func decidePark(s *plan.Snapshot, price func(*workload.Group) unit.NanoUSD) []plan.Action {
	var out []plan.Action
	for i := range s.Demand {
		g := &s.Demand[i]
		saves := price(g).Times(int64(g.Count))
		a := plan.Action{Decider: "park", Target: g.Owner, Effect: plan.Keep{}}
		switch requests, soon, known := traffic(s, g.Owner); {
		case !known:
			a.Reason = plan.Reason{Code: blind, Text: "nothing is known about its traffic"}
		case requests+soon > 0:
			a.Reason = plan.Reason{
				Code: awake, Text: "it has traffic, or will within the hour",
				Rejected: []plan.Alternative{{What: "park it", Code: awake, Why: "requests would wait for a start", Hourly: -saves}},
			}
		default:
			a.Effect = park{Workload: g.Owner}
			a.Reason = plan.Reason{Code: idle, Text: "it has no traffic and none is forecast", Hourly: -saves}
		}
		out = append(out, a)
	}
	return out
}

func traffic(s *plan.Snapshot, target workload.Ref) (now, soon float64, known bool) {
	for _, sig := range s.Signals {
		if sig.Target != target || sig.Name != "requestsPerSecond" {
			continue
		}
		now, known = sig.Value, true
		for _, p := range sig.Forecast {
			if p.At.Before(s.Now.Add(time.Hour)) {
				soon = max(soon, p.High)
			}
		}
	}
	return now, soon, known
}

// TestSecondDecider runs the small decider, lets its wish become the input of
// nodes as control will, and holds that the two together save what both say.
func TestSecondDecider(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	groups := nodestest.Microservices(200, 3, 1)
	s := nodestest.Snapshot(groups, nodestest.Market{})
	s.Now = now
	s.Signals = []plan.Signal{
		{Target: groups[0].Owner, Name: "requestsPerSecond", At: now},
		{
			Target: groups[1].Owner, Name: "requestsPerSecond", At: now,
			Forecast: []plan.Point{{At: now.Add(30 * time.Minute), Value: 5, High: 9}},
		},
	}
	actions := decidePark(s, func(*workload.Group) unit.NanoUSD { return unit.USD / 100 })

	wantCodes := []plan.Code{idle, awake, blind}
	for i, a := range actions {
		if a.Reason.Code != wantCodes[i] || a.Acts() != (i == 0) {
			t.Errorf("action %d: %s %s, acts %v; want %s", i, a.Effect.Verb(), a.Reason.Code, a.Acts(), wantCodes[i])
		}
	}
	if want := -(unit.USD / 100).Times(int64(groups[0].Count)); plan.Hourly(actions) != want {
		t.Errorf("sum is %v, want %v", plan.Hourly(actions), want)
	}

	before := nodes.Solve(s, nodes.Cheapest(), nodes.Effort{Steps: 50})
	later := *s
	later.Demand = nil
	for i, a := range actions {
		g := s.Demand[i]
		if p, ok := a.Effect.(park); ok {
			g.Count = p.Replicas
		}
		later.Demand = append(later.Demand, g)
	}
	after := nodes.Solve(&later, nodes.Cheapest(), nodes.Effort{Steps: 50})
	if after.Hourly() >= before.Hourly() {
		t.Errorf("parked demand costs %v per hour, unparked %v", after.Hourly(), before.Hourly())
	}
	if s.Demand[0].Count != groups[0].Count {
		t.Error("the snapshot was changed")
	}
}

// TestKeep holds that doing nothing is told from doing something.
func TestKeep(t *testing.T) {
	if (plan.Action{Effect: plan.Keep{}}).Acts() {
		t.Error("keep acts")
	}
	if !(plan.Action{Effect: park{}}).Acts() {
		t.Error("park does not act")
	}
}
