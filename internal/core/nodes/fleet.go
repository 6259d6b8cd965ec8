package nodes

import (
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Fleet is an answer: what to buy, and where every pod goes. Every strategy
// answers with one.
type Fleet struct {
	// Purchases are new nodes; alike ones together.
	Purchases []Purchase
	// Placed are pods that go onto nodes that exist, beside those bound there.
	Placed []Placed
	// Pending are pods for which there is no place, with the reason.
	Pending []Pending
	// Bound is a proven lower bound of what the new nodes of any fleet cost per
	// hour that obeys the same policy, deals pods to the same topology domains and
	// leaves the same pods pending; 0 when none was proven.
	Bound unit.NanoUSD
}

// Purchase is a number of new nodes that are alike.
type Purchase struct {
	Pool     string
	Offering catalog.Offering
	// Others would do as well, cheapest first: what a request for a fleet may
	// name besides. They hold the same pods and meet the same constraints.
	Others []catalog.Offering
	Count  int
	// Labels of each of the nodes, so far as they are known: those of the offering
	// and of the pool, with one value where the pool leaves several.
	Labels map[string]string
	// Pods on each of the nodes; Group is an index into Snapshot.Demand.
	Pods []plan.Bound
	// Daemons is what DaemonSets take of each, Requests what the pods take, and
	// Allocatable what the kubelet leaves for both.
	Daemons, Requests, Allocatable unit.Resources
}

// Placed are pods that go onto a node that exists.
type Placed struct {
	Node int // index into Snapshot.Nodes
	Pods []plan.Bound
}

// Pending are pods of one group without a place.
type Pending struct {
	Group int
	Count int
	Code  plan.Code
	// Text names the constraint that ruled out the last offer, as one sentence.
	Text string
}

// The codes of pending pods.
const (
	// NoOffering: a requirement, taint or amount rules out every offering.
	NoOffering plan.Code = "NoOffering"
	// NoDomain: the zones or nodes allowed by topology constraints are used up.
	NoDomain plan.Code = "NoDomain"
	// PoolLimit: the limits of the pools leave no room.
	PoolLimit plan.Code = "PoolLimit"
)

// Hourly is the price of the new nodes per hour.
func (f Fleet) Hourly() unit.NanoUSD {
	var sum unit.NanoUSD
	for _, p := range f.Purchases {
		sum = sum.Plus(p.Offering.Price.Times(int64(p.Count)))
	}
	return sum
}

// Nodes counts the new nodes.
func (f Fleet) Nodes() int {
	n := 0
	for _, p := range f.Purchases {
		n += p.Count
	}
	return n
}
