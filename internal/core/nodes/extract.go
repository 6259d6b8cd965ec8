package nodes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/nodes/pack"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// maxOthers is how many offerings a purchase names besides its own: AWS takes 60
// in one request for a fleet.
const maxOthers = 59

// fleet turns the numbers back into nodes and pods.
func (m *model) fleet(answer pack.Solution) Fleet {
	f := Fleet{Pending: m.pending, Bound: unit.NanoUSD(answer.CostBound)}
	d := drawer{model: m, next: make([]int, len(m.lots)), used: make([]int, len(m.lots))}
	for i, shares := range answer.Owned {
		if len(shares) > 0 {
			f.Placed = append(f.Placed, Placed{Node: m.stays[i].at, Pods: d.draw(shares)})
		}
	}
	at := map[string]int{}
	turn := map[int]int{}
	for _, load := range answer.Loads {
		zones := m.zonesOf(load.Bin)
		others := m.others(load)
		for range load.Times {
			i := zones[turn[load.Bin]%len(zones)]
			turn[load.Bin]++
			pods := d.draw(load.Shares)
			key := fmt.Sprint(i, pods)
			n, known := at[key]
			if !known {
				n = len(f.Purchases)
				at[key] = n
				f.Purchases = append(f.Purchases, m.purchase(i, pods, others))
			}
			f.Purchases[n].Count++
		}
	}
	for n, left := range answer.Left {
		if left > 0 {
			f.Pending = append(f.Pending, m.leftover(&d, n, left)...)
		}
	}
	f.Pending = mergePending(f.Pending)
	return f
}

func (m *model) purchase(i int, pods []plan.Bound, others []int) Purchase {
	cand := &m.candidates[i]
	p := Purchase{Pool: cand.Pool.Name, Offering: cand.Offering, Labels: cand.Labels, Pods: pods, Daemons: cand.Daemons, Allocatable: cand.Allocatable}
	for _, o := range others {
		if o != i && len(p.Others) < maxOthers {
			p.Others = append(p.Others, m.candidates[o].Offering)
		}
	}
	for _, b := range pods {
		p.Requests = p.Requests.Plus(m.s.Demand[b.Group].Requests.Times(int64(b.Count)))
	}
	return p
}

// others are the candidates of the same pool that could hold a load, by price.
// Only the cheapest of each shape in each way to buy is named for every zone.
func (m *model) others(load pack.Load) []int {
	first := &m.candidates[m.kinds[load.Bin].candidates[0]]
	need := make([]int64, len(m.names))
	for _, s := range load.Shares {
		for d := range need {
			need[d] += m.problem.Items[s.Item].Size[d] * int64(s.Count)
		}
	}
	all := hasMinValues(first.Pool)
	var out []int
	for _, i := range m.byPrice {
		if len(out) > maxOthers && !all {
			break
		}
		if m.candidates[i].Pool == first.Pool && m.couldHold(i, load.Shares, need) && m.sameDomains(i, first, load.Shares) {
			out = append(out, i)
		}
	}
	return m.flexible(first, out)
}

func hasMinValues(p *workload.Pool) bool {
	for _, r := range p.Requirements {
		if r.MinValues > 0 {
			return true
		}
	}
	return false
}

// flexible keeps the cheapest, and beyond them those that add values which the
// pool wants to stay possible.
func (m *model) flexible(first *Candidate, all []int) []int {
	out := slices.Clone(all[:min(len(all), maxOthers)])
	for _, key := range slices.Sorted(maps.Keys(first.Pool.Requirements)) {
		r := first.Pool.Requirements[key]
		if r.MinValues == 0 {
			continue
		}
		seen := map[string]bool{}
		for _, i := range out {
			seen[m.candidates[i].Labels[key]] = true
		}
		for _, i := range all {
			if v := m.candidates[i].Labels[key]; len(seen) < r.MinValues && !seen[v] {
				seen[v] = true
				out = slices.Insert(out, 0, i)
			}
		}
	}
	out = out[:min(len(out), maxOthers+1)]
	slices.SortStableFunc(out, func(a, b int) int {
		return cmp.Compare(m.candidates[a].Offering.Price, m.candidates[b].Offering.Price)
	})
	return out
}

func (m *model) couldHold(i int, shares []pack.Share, need []int64) bool {
	for d, name := range m.names {
		if need[d] > m.free[i].Get(name) {
			return false
		}
	}
	for _, s := range shares {
		if !m.lots[s.Item].allowed.Has(i) {
			return false
		}
	}
	return true
}

// sameDomains says whether a candidate lies where the first one does, as far as
// constraints look at the pods: they were dealt with the others where they are.
func (m *model) sameDomains(i int, first *Candidate, shares []pack.Share) bool {
	for key, watched := range m.watched {
		if m.candidates[i].Labels[key] == first.Labels[key] {
			continue
		}
		for _, s := range shares {
			for _, g := range m.lots[s.Item].groups {
				if watched[g] {
					return false
				}
			}
			for _, p := range m.lots[s.Item].pieces {
				if watched[p.unit[0].Group] {
					return false
				}
			}
		}
	}
	return true
}

// drawer takes units out of lots, one after the other.
type drawer struct {
	*model
	next, used []int // piece of each lot, and units of it that are gone
}

func (d *drawer) draw(shares []pack.Share) []plan.Bound {
	count := map[int]int{}
	for _, s := range shares {
		for left := s.Count; left > 0; {
			p := &d.lots[s.Item].pieces[d.next[s.Item]]
			n := min(left, p.count-d.used[s.Item])
			for _, b := range p.unit {
				count[b.Group] += n * b.Count
			}
			left -= n
			if d.used[s.Item] += n; d.used[s.Item] == p.count {
				d.next[s.Item]++
				d.used[s.Item] = 0
			}
		}
	}
	out := make([]plan.Bound, 0, len(count))
	for g, n := range count {
		out = append(out, plan.Bound{Group: g, Count: n})
	}
	slices.SortFunc(out, func(a, b plan.Bound) int { return a.Group - b.Group })
	return out
}

// leftover says why units of a lot have no place although offerings take them.
func (m *model) leftover(d *drawer, n, left int) []Pending {
	var out []Pending
	for _, b := range d.draw([]pack.Share{{Item: n, Count: left}}) {
		if empty(m.lots[n].allowed) {
			out = append(out, m.impossible(b.Group, b.Count))
			continue
		}
		p := Pending{Group: b.Group, Count: b.Count, Code: PoolLimit, Text: "the limits of the node pools leave no room"}
		if m.onlyLimitedOffers(n) {
			p.Text = "all offerings that would do are used up"
		}
		out = append(out, p)
	}
	return out
}

func (m *model) onlyLimitedOffers(n int) bool {
	for i := range m.candidates {
		if m.lots[n].allowed.Has(i) && (m.candidates[i].Offering.Limit == 0 || m.candidates[i].Pool.Limits != nil) {
			return false
		}
	}
	return true
}

// mergePending sums what has the same reason.
func mergePending(all []Pending) []Pending {
	var out []Pending
	for _, p := range all {
		i := slices.IndexFunc(out, func(o Pending) bool { return o.Group == p.Group && o.Text == p.Text })
		if i < 0 {
			out = append(out, p)
			continue
		}
		out[i].Count += p.Count
	}
	slices.SortStableFunc(out, func(a, b Pending) int { return a.Group - b.Group })
	return out
}
