package karpenter

import (
	"errors"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/karpenter/pkg/controllers/provisioning/scheduling"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Unplaced is the code of pods that Karpenter found no place for.
const Unplaced plan.Code = "Unplaced"

var errNoOffering = errors.New("karpenter: a node without an offering")

func (b *batch) fleet(s *plan.Snapshot, results scheduling.Results) (nodes.Fleet, error) {
	var f nodes.Fleet
	left := map[int]int{}
	for g := range s.Demand {
		left[g] = s.Demand[g].Count
	}
	daemons := map[string]unit.Resources{}
	for _, c := range nodes.Candidates(s) {
		daemons[c.Pool.Name+"/"+c.Offering.Shape.Name] = c.Daemons
	}
	for _, claim := range results.NewNodeClaims {
		p, err := b.purchase(claim)
		if err != nil {
			return f, err
		}
		for _, bound := range p.Pods {
			left[bound.Group] -= bound.Count
			p.Requests = p.Requests.Plus(s.Demand[bound.Group].Requests.Times(int64(bound.Count)))
		}
		p.Allocatable = p.Offering.Shape.Allocatable(s.Kubelet)
		p.Daemons = daemons[p.Pool+"/"+p.Offering.Shape.Name]
		f.Purchases = append(f.Purchases, p)
	}
	reasons := map[int]error{}
	for pod, err := range results.PodErrors {
		reasons[b.groups[string(pod.UID)]] = err
	}
	for g := range s.Demand {
		if left[g] > 0 {
			p := nodes.Pending{Group: g, Count: left[g], Code: Unplaced, Text: "time was up before its turn"}
			if reasons[g] != nil {
				p.Text = reasons[g].Error()
			}
			f.Pending = append(f.Pending, p)
		}
	}
	return f, nil
}

// purchase takes the cheapest offering of those left open for a node.
func (b *batch) purchase(claim *scheduling.NodeClaim) (nodes.Purchase, error) {
	p := nodes.Purchase{Pool: claim.NodePoolName, Count: 1, Pods: b.bound(claim.Pods)}
	found := false
	for _, it := range claim.InstanceTypeOptions {
		for _, o := range it.Offerings.Available().Compatible(claim.Requirements) {
			offering := b.offers[o]
			if !found || offering.Price < p.Offering.Price {
				p.Offering, found = offering, true
			}
		}
	}
	if !found {
		return p, errNoOffering
	}
	return p, nil
}

func (b *batch) bound(pods []*corev1.Pod) []plan.Bound {
	counts := map[int]int{}
	for _, pod := range pods {
		counts[b.groups[string(pod.UID)]]++
	}
	var bound []plan.Bound
	for _, g := range slices.Sorted(maps.Keys(counts)) {
		bound = append(bound, plan.Bound{Group: g, Count: counts[g]})
	}
	return bound
}
