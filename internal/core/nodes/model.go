package nodes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/nodes/pack"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// model is the packing problem of a snapshot, and the way back from its numbers
// to pods and offerings.
type model struct {
	*compiler
	problem pack.Problem
	// names of the dimensions; joints come after the resources.
	names []string
	lots  []lot
	kinds []kind
	// domains are the candidates in each domain, by label and value.
	domains map[string]pack.Set
	// byPrice are the candidates, cheapest first.
	byPrice []int
	// tiers is up to which pool weight each group may go, see tier.
	tiers []int
	// limited are pools with limits, and spot pools that are capped.
	limited []limit
}

// lot is what one item of the problem stands for: pieces that cannot be told
// apart when packing.
type lot struct {
	pieces  []piece
	count   int
	allowed pack.Set // candidates
	// accepted are those that take it whatever its size: items that differ only
	// in size have the same.
	accepted pack.Set
	groups   []int
}

// kind is what one bin of the problem stands for: candidates that hold the same
// pods at the same price, the first one standing for all.
type kind struct{ candidates []int }

// limit bounds what is bought: an amount for each candidate that it is about.
type limit struct {
	most   int64
	amount func(*Candidate) int64
}

// newModel builds the problem.
func newModel(c *compiler, tiers []int, limits []limit) *model {
	m := &model{compiler: c, tiers: tiers, limited: limits, domains: map[string]pack.Set{}, byPrice: make([]int, len(c.candidates))}
	for i := range m.byPrice {
		m.byPrice[i] = i
	}
	slices.SortStableFunc(m.byPrice, func(a, b int) int {
		return cmp.Compare(c.candidates[a].Offering.Price, c.candidates[b].Offering.Price)
	})
	m.names = m.resources()
	m.gather()
	m.items()
	m.bins()
	m.owned()
	for _, l := range limits {
		m.problem.Limits = append(m.problem.Limits, l.most)
	}
	return m
}

// resources are the names of what somebody asks for.
func (c *compiler) resources() []string {
	names := map[string]bool{}
	for g := range c.s.Demand {
		if c.need[g] == 0 {
			continue
		}
		r := c.s.Demand[g].Requests
		if r.Disk > 0 {
			names["ephemeral-storage"] = true
		}
		for name := range r.Extended {
			names[name] = true
		}
	}
	return append([]string{"cpu", "memory", "pods"}, slices.Sorted(maps.Keys(names))...)
}

// size of something in the dimensions of the problem, joints left at 0.
func (m *model) size(r unit.Resources) []int64 {
	out := make([]int64, len(m.names)+len(m.hosts.joints))
	for d, name := range m.names {
		out[d] = max(0, r.Get(name))
	}
	return out
}

func (m *model) pieceSize(p piece) []int64 {
	var sum unit.Resources
	for _, b := range p.unit {
		sum = sum.Plus(m.s.Demand[b.Group].Requests.Times(int64(b.Count)))
	}
	out := m.size(sum)
	for j, joint := range m.hosts.joints {
		for _, b := range p.unit {
			if joint.groups[b.Group] {
				out[len(m.names)+j] += int64(b.Count)
			}
		}
	}
	return out
}

// gather puts pieces that cannot be told apart into lots.
func (m *model) gather() {
	at := map[string]int{}
	for g := range m.pieces {
		for _, p := range m.pieces[g] {
			allowed, accepted := m.allowedTo(p, m.allowed), m.allowedTo(p, m.admitted)
			groups := groupsOf(p)
			m.tier(p, allowed, accepted)
			if empty(allowed) && len(m.stays) == 0 {
				m.refuse(p)
				continue
			}
			key := m.lotKey(p, allowed, groups)
			n, known := at[key]
			if !known {
				n = len(m.lots)
				at[key] = n
				m.lots = append(m.lots, lot{allowed: allowed, accepted: accepted, groups: groups})
			}
			l := &m.lots[n]
			l.pieces = append(l.pieces, p)
			l.count += p.count
		}
	}
}

func groupsOf(p piece) []int {
	out := make([]int, len(p.unit))
	for i, b := range p.unit {
		out[i] = b.Group
	}
	return out
}

func empty(s pack.Set) bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}

// refuse records a piece that no candidate takes.
func (m *model) refuse(p piece) {
	for _, b := range p.unit {
		pending := m.impossible(b.Group, p.count*b.Count)
		if len(p.unit) > 1 || b.Count > 1 {
			pending.Text = "pods that must share a node by their affinity fit on no offering together"
		}
		m.pending = append(m.pending, pending)
	}
}

// lotKey is equal for pieces that cannot be told apart. A bound on the pods of
// one group on a node keeps groups apart; without one they may be mixed.
func (m *model) lotKey(p piece, allowed pack.Set, groups []int) string {
	var b strings.Builder
	fmt.Fprint(&b, m.pieceSize(p), allowed, p.domain)
	for _, g := range groups {
		if m.hosts.most[g] > 0 || len(m.stays) > 0 || len(p.unit) > 1 {
			fmt.Fprint(&b, " g", g)
		}
		fmt.Fprint(&b, m.hosts.apart[g])
	}
	return b.String()
}

// allowedTo are the candidates that take the piece: all its groups, in its
// domain, with room for a whole unit.
func (m *model) allowedTo(p piece, sets []pack.Set) pack.Set {
	out := slices.Clone(sets[p.unit[0].Group])
	var sum unit.Resources
	for _, b := range p.unit {
		for w, bits := range sets[b.Group] {
			out[w] &= bits
		}
		sum = sum.Plus(m.s.Demand[b.Group].Requests.Times(int64(b.Count)))
	}
	for key, v := range p.domain {
		for w, bits := range m.inDomain(key, v) {
			out[w] &= bits
		}
	}
	if len(p.unit) > 1 || p.unit[0].Count > 1 {
		for i := range m.candidates {
			if out.Has(i) && !sum.Fits(m.free[i]) {
				out[i/64] &^= 1 << (i % 64)
			}
		}
	}
	return out
}

// inDomain are the candidates whose label has a value; worked out once for each.
func (m *model) inDomain(key, value string) pack.Set {
	name := key + "=" + value
	if set, known := m.domains[name]; known {
		return set
	}
	set := pack.NewSet(len(m.candidates))
	for i := range m.candidates {
		if m.candidates[i].Labels[key] == value {
			set.Add(i)
		}
	}
	m.domains[name] = set
	return set
}

// weighted says whether pools differ in weight.
func (m *model) weighted() bool {
	return slices.ContainsFunc(m.s.Pools, func(p workload.Pool) bool { return p.Weight != m.s.Pools[0].Weight })
}

// tier leaves only the candidates of the heaviest pools that take the piece: as
// many different weights as its tier says, one to begin with.
func (m *model) tier(p piece, allowed, accepted pack.Set) {
	if !m.weighted() {
		return
	}
	tiers := 1
	for _, b := range p.unit {
		tiers = max(tiers, m.tiers[b.Group]+1)
	}
	// Candidates are in the order of their pools' weight.
	weight, seen := 0, 0
	for i := range m.candidates {
		w := m.candidates[i].Pool.Weight
		if allowed.Has(i) && (seen == 0 || w != weight) {
			weight = w
			seen++
		}
		if seen > tiers {
			allowed[i/64] &^= 1 << (i % 64)
			accepted[i/64] &^= 1 << (i % 64)
		}
	}
}

func (m *model) items() {
	members := make([][]int, len(m.s.Demand)) // lots of each group
	for n := range m.lots {
		for _, g := range m.lots[n].groups {
			members[g] = append(members[g], n)
		}
	}
	for n := range m.lots {
		l := &m.lots[n]
		it := pack.Item{Size: m.pieceSize(l.pieces[0]), Count: l.count}
		for _, b := range l.pieces[0].unit {
			if most := m.hosts.most[b.Group]; most > 0 {
				// A unit larger than the bound still needs a place: a wish of the policy,
				// which is all that such a bound can be, gives way.
				each := max(1, most/b.Count)
				if it.PerBin == 0 || each < it.PerBin {
					it.PerBin = each
				}
			}
			for _, o := range m.hosts.apart[b.Group] {
				for _, other := range members[o] {
					if other != n {
						it.Apart = append(it.Apart, other)
					}
				}
			}
		}
		slices.Sort(it.Apart)
		it.Apart = slices.Compact(it.Apart)
		m.problem.Items = append(m.problem.Items, it)
	}
}

// bins makes one bin of all candidates that hold the same at the same price.
func (m *model) bins() {
	accepts := make([]pack.Set, len(m.candidates))
	for i := range accepts {
		accepts[i] = pack.NewSet(len(m.lots))
		for n := range m.lots {
			if m.lots[n].accepted.Has(i) {
				accepts[i].Add(n)
			}
		}
	}
	at := map[string]int{}
	for i := range m.candidates {
		if empty(accepts[i]) {
			continue
		}
		cand := &m.candidates[i]
		b := pack.Bin{Size: m.binSize(m.free[i]), Price: int64(m.p.EffectivePrice(cand.Offering)), Cost: int64(cand.Offering.Price), Accepts: accepts[i]}
		for l := range m.limited {
			if n := m.limited[l].amount(cand); n > 0 {
				b.Uses = append(b.Uses, pack.Use{Limit: l, Amount: n})
			}
		}
		key := fmt.Sprint(b)
		n, known := at[key]
		if !known {
			n = len(m.kinds)
			at[key] = n
			m.kinds = append(m.kinds, kind{})
			m.problem.Bins = append(m.problem.Bins, b)
		}
		m.kinds[n].candidates = append(m.kinds[n].candidates, i)
	}
}

func (m *model) binSize(free unit.Resources) []int64 {
	out := m.size(free)
	for j, joint := range m.hosts.joints {
		out[len(m.names)+j] = int64(joint.most)
	}
	return out
}

// owned makes bins of the nodes that stay, less what runs there.
func (m *model) owned() {
	for i := range m.stays {
		st := &m.stays[i]
		o := pack.Owned{Size: m.binSize(st.free), Accepts: pack.NewSet(len(m.lots))}
		for j := range m.hosts.joints {
			at := len(m.names) + j
			o.Size[at] = max(0, o.Size[at]-int64(m.hosts.joints[j].running(st)))
		}
		for n := range m.lots {
			if !m.welcome(n, st) {
				continue
			}
			o.Accepts.Add(n)
			if most, bounded := m.mostOn(n, st); bounded {
				o.Caps = append(o.Caps, pack.Share{Item: n, Count: most})
			}
		}
		m.problem.Owned = append(m.problem.Owned, o)
	}
}

// mostOn is how many units of a lot a node that stays takes, by the bounds on
// single groups.
func (m *model) mostOn(n int, st *stay) (most int, bounded bool) {
	for _, b := range m.lots[n].pieces[0].unit {
		for i := range m.hosts.singles[b.Group] {
			j := &m.hosts.singles[b.Group][i]
			left := max(0, j.most-j.running(st)) / b.Count
			if !bounded || left < most {
				most, bounded = left, true
			}
		}
	}
	return most, bounded
}

// welcome says whether a lot may go onto a node that stays.
func (m *model) welcome(n int, st *stay) bool {
	p := m.lots[n].pieces[0]
	for key, v := range p.domain {
		if key == workload.LabelHostname && m.hostname(st) != v || key != workload.LabelHostname && st.labels[key] != v {
			return false
		}
	}
	for _, b := range p.unit {
		if !m.allowedOn(b.Group, st) {
			return false
		}
		for _, o := range m.hosts.apart[b.Group] {
			if st.bound[o] > 0 {
				return false
			}
		}
		for g := range st.bound {
			if workload.PortsConflict(m.s.Demand[b.Group].HostPorts, m.s.Demand[g].HostPorts) {
				return false
			}
		}
	}
	return true
}
