package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// kind is what a case is for; each has targets of its own.
type kind string

const (
	quality kind = "quality" // cost and time without constraints
	mixed   kind = "mixed"   // Karpenter's benchmark pods, with constraints
	large   kind = "large"   // too many pods to let Karpenter try
)

// small is the largest machine, in cores, of the cases that do not take all.
const small = 16

// benchCase is demand and the machines that may be bought for it.
type benchCase struct {
	name    string
	kind    kind
	maxVCPU int // 0 is any size
	pods    int
	demand  func(pods int) []workload.Group
}

const seed = 1

func cases() []benchCase {
	bench30 := func(n int) []workload.Group { return nodestest.Bench(n, seed) }
	micro := func(n int) []workload.Group { return nodestest.Microservices(n, 150, seed) }
	mix := func(n int) []workload.Group { return nodestest.Mixed(n, seed) }
	var out []benchCase
	for _, c := range []benchCase{
		{name: "bench", kind: quality, pods: 10_000, demand: bench30},
		{name: "micro", kind: quality, pods: 10_000, demand: micro},
		{name: "big", kind: quality, pods: 1_000, demand: bigPods},
		{name: "micro", kind: large, pods: 100_000, demand: micro},
		{name: "mixed", kind: mixed, pods: 1_000, demand: mix},
		{name: "mixed", kind: mixed, pods: 5_000, demand: mix},
		{name: "mixed", kind: mixed, pods: 10_000, demand: mix},
	} {
		if c.kind != mixed {
			limited := c
			limited.maxVCPU = small
			out = append(out, limited.named())
		}
		out = append(out, c.named())
	}
	return out
}

// bigPods are 40 shapes of 2 to 15 cores and 4 to 110 GiB, independently of each
// other: each fits on some machine of 16 vCPU, few fit together on one.
func bigPods(n int) []workload.Group {
	const shapes = 40
	r := rand.New(rand.NewPCG(seed, seed))
	groups := make([]workload.Group, shapes)
	for i := range groups {
		name := fmt.Sprintf("big-%02d", i)
		groups[i] = workload.Group{
			Owner:  workload.Ref{Kind: "Deployment", Namespace: nodestest.Namespace, Name: name},
			Labels: map[string]string{"app": name},
			Count:  (n + i) / shapes,
			Requests: unit.Resources{
				CPU: unit.MilliCPU(2_000 + 500*r.IntN(27)), Memory: unit.Bytes(4+r.IntN(107)) * unit.GiB, Pods: 1,
			},
		}
	}
	return groups
}

// named adds the number of pods and the size of machines, e.g. "big-1k-16".
func (c benchCase) named() benchCase {
	size := "any"
	if c.maxVCPU > 0 {
		size = fmt.Sprint(c.maxVCPU)
	}
	c.name = fmt.Sprintf("%s-%dk-%s", c.name, c.pods/1000, size)
	return c
}

// snapshot of the case; quick takes a tenth of the pods.
func (c benchCase) snapshot(quick bool) (*plan.Snapshot, error) {
	n := c.pods
	if quick {
		n /= 10
	}
	s := nodestest.Snapshot(c.demand(n), nodestest.Market{})
	var err error
	s.Offers, err = offers(c.maxVCPU)
	return s, err
}

// offers are all x86 machines of the categories c, m and r from generation 3
// that are not bare metal, on demand, at the list prices of us-east-1 in three of
// its zones, as most clusters have.
func offers(maxVCPU int) ([]catalog.Offering, error) {
	q := catalog.Query{
		Region: "us-east-1", Zones: nodestest.Zones(), Capacities: []catalog.CapacityType{catalog.OnDemand},
		Filter: catalog.Attributes{
			Allowed: []string{"c[3-9]*", "m[3-9]*", "r[3-9]*"}, Archs: []catalog.Arch{catalog.AMD64}, BareMetal: catalog.Excluded,
		},
	}
	if maxVCPU > 0 {
		q.Filter.VCPUs = &catalog.Range{Max: float64(maxVCPU)}
	}
	return catalog.Builtin().Offerings(q)
}
