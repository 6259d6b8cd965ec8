package peer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// fleet is what a run decided, with the cheapest offering for each claim.
func (k *karpenter) fleet() nodes.Fleet {
	var f nodes.Fleet
	for _, e := range k.standing {
		if len(e.added) > 0 {
			f.Placed = append(f.Placed, nodes.Placed{Node: e.index, Pods: e.added})
		}
	}
	slices.SortFunc(f.Placed, func(a, b nodes.Placed) int { return a.Node - b.Node })
	claims := slices.Clone(k.claims)
	slices.SortFunc(claims, func(a, b *claim) int { return a.host - b.host })
	var bought []nodes.Purchase
	for _, c := range claims {
		p, ok := k.launch(c)
		if ok {
			bought = append(bought, p)
			continue
		}
		for _, b := range c.pods {
			k.pending[b.Group].count += b.Count
			k.pending[b.Group].code = nodes.NoOffering
		}
	}
	f.Purchases = mergePurchases(bought)
	for g, p := range k.pending {
		if p.count > 0 {
			text := ""
			if p.code == nodes.NoOffering {
				text = impossible(&k.s.Demand[g], k.market.sellers())
			}
			f.Pending = append(f.Pending, pendingOf(g, p.count, p.code, text))
		}
	}
	return f
}

// pendingOf says what the code means where no text says more.
func pendingOf(group, n int, code plan.Code, text string) nodes.Pending {
	if text == "" {
		text = map[plan.Code]string{
			nodes.NoDomain:  "Topology constraints leave no zone or node.",
			nodes.PoolLimit: "The limits of the pools leave no room.",
			Stopped:         "The run was stopped before these pods had a place.",
		}[code]
	}
	return nodes.Pending{Group: group, Count: n, Code: code, Text: text}
}

// launch picks the offering of a claim: the cheapest of the cheapest types, as
// many as a request names. The others in its zone could be had as well.
func (k *karpenter) launch(c *claim) (nodes.Purchase, bool) {
	kept, ok := k.truncate(c)
	if !ok {
		return nodes.Purchase{}, false
	}
	types := c.at.pool.types
	best := k.cheapest(c, kept[0], nil)
	for _, t := range kept[1:] {
		if o := k.cheapest(c, t, nil); o.Price < best.Price {
			best = o
		}
	}
	p := nodes.Purchase{
		Pool: c.at.pool.pool.Name, Offering: best.Offering, Count: 1,
		Pods: slices.Clone(c.pods), Requests: c.requests,
		Daemons:     daemonsOn(k.s, best.labels, c.at.pool.pool.Taints),
		Allocatable: best.Shape.Allocatable(k.s.Kubelet),
	}
	slices.SortFunc(p.Pods, func(a, b plan.Bound) int { return a.Group - b.Group })
	for _, t := range kept {
		if types[t].shape == best.Shape {
			continue
		}
		if o := k.cheapest(c, t, &best.Offering); o.Shape != nil {
			p.Others = append(p.Others, o.Offering)
		}
	}
	slices.SortStableFunc(p.Others, func(a, b catalog.Offering) int { return cmp.Compare(a.Price, b.Price) })
	return p, true
}

// truncate keeps the cheapest types, as many as a request names.
func (k *karpenter) truncate(c *claim) ([]int32, bool) {
	kept := slices.Clone(c.types)
	types := c.at.pool.types
	price := map[int32]unit.NanoUSD{}
	for _, t := range kept {
		price[t] = k.cheapest(c, t, nil).Price
	}
	slices.SortStableFunc(kept, func(a, b int32) int {
		return cmp.Or(cmp.Compare(price[a], price[b]), strings.Compare(types[a].shape.Name, types[b].shape.Name))
	})
	kept = kept[:min(len(kept), k.set.MaxTypes)]
	return kept, c.at.flexible(kept)
}

// cheapest is the offering of a type with the least price that the claim
// allows, in the zone and of the capacity type of another one if given.
func (k *karpenter) cheapest(c *claim, t int32, like *catalog.Offering) offer {
	var best offer
	for _, o := range c.at.pool.types[t].offers {
		if like != nil && (o.Zone != like.Zone || o.Capacity != like.Capacity) {
			continue
		}
		if (best.Shape == nil || o.Price < best.Price) && c.at.reqs.Allow(o.labels) {
			best = o
		}
	}
	return best
}

// daemonsOn is what DaemonSets take of a node.
func daemonsOn(s *plan.Snapshot, labels map[string]string, taints []workload.Taint) unit.Resources {
	var out unit.Resources
	for i := range s.Daemons {
		if d := &s.Daemons[i]; admits(d, labels, taints) {
			out = out.Plus(d.Requests)
		}
	}
	return out
}

// mergePurchases counts nodes that are alike together, in order of first
// appearance.
func mergePurchases(all []nodes.Purchase) []nodes.Purchase {
	var out []nodes.Purchase
	at := map[string]int{}
	for _, p := range all {
		var key strings.Builder
		fmt.Fprintf(&key, "%s %s %s %s %v", p.Pool, p.Offering.Shape.Name, p.Offering.Zone, p.Offering.Capacity, p.Pods)
		for _, o := range p.Others {
			key.WriteString(" " + o.Shape.Name)
		}
		if i, ok := at[key.String()]; ok {
			out[i].Count += p.Count
			continue
		}
		at[key.String()] = len(out)
		out = append(out, p)
	}
	return out
}
