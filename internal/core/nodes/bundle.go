package nodes

import (
	"slices"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// gatherSelves makes one unit of each group that must share a node with itself:
// the scheduler lets the first pod go anywhere, and the others must follow it.
// Where such pods run already, the rest goes to them. It comes before topologies
// are dealt, for such a unit cannot be dealt in parts.
func (c *compiler) gatherSelves() {
	for g := range c.s.Demand {
		near := c.companions(g)
		if c.need[g] == 0 || len(near) == 0 || !chooses(near, []plan.Bound{{Group: g, Count: 1}}) {
			continue
		}
		n := c.need[g]
		if most := c.hosts.most[g]; most > 0 && n > most {
			c.pending = append(c.pending, Pending{
				Group: g, Count: n - most, Code: NoDomain,
				Text: "pod affinity wants all pods on one node, where spread or anti-affinity allows no more of them",
			})
			n = most
		}
		if c.running(near) {
			c.pieces[g] = nil
			c.join(g, near, n)
			continue
		}
		if fit := c.roomiest(g, n); fit > 0 && fit < n {
			c.pending = append(c.pending, Pending{
				Group: g, Count: n - fit, Code: NoDomain,
				Text: "pod affinity wants all pods on one node, and no offering holds more of them",
			})
			n = fit
		}
		c.pieces[g] = []piece{{unit: []plan.Bound{{Group: g, Count: n}}, count: 1}}
	}
}

// roomiest is how many pods of a group fit on the candidate with the most room
// for them, at most n.
func (c *compiler) roomiest(g, n int) int {
	most := 0
	for i := range c.candidates {
		if c.allowed[g].Has(i) && most < n {
			most = max(most, fitting(c.s.Demand[g].Requests, c.free[i], n))
		}
	}
	return most
}

// running says whether pods that all selections choose run somewhere.
func (c *compiler) running(near [][]bool) bool {
	return slices.ContainsFunc(c.stays, func(st stay) bool { return chooses(near, st.pods()) })
}

func (st *stay) pods() []plan.Bound {
	var out []plan.Bound
	for g, n := range st.bound {
		out = append(out, plan.Bound{Group: g, Count: n})
	}
	return out
}

// join ties pods of a group to nodes on which the pods run that they need, as
// many as fit there. The rest has no place.
func (c *compiler) join(g int, near [][]bool, n int) {
	for i := range c.stays {
		st := &c.stays[i]
		if n == 0 || !chooses(near, st.pods()) || !c.allowedOn(g, st) {
			continue
		}
		fit := fitting(c.s.Demand[g].Requests, st.free, n)
		if most := c.hosts.most[g]; most > 0 {
			fit = min(fit, max(0, most-st.bound[g]))
		}
		if fit > 0 {
			one := []plan.Bound{{Group: g, Count: 1}}
			c.pieces[g] = append(c.pieces[g], piece{unit: one, count: fit, domain: map[string]string{workload.LabelHostname: c.hostname(st)}})
			n -= fit
		}
	}
	if n > 0 {
		c.pending = append(c.pending, Pending{
			Group: g, Count: n, Code: NoDomain,
			Text: "pod affinity on " + workload.LabelHostname + " ties it to nodes that have no room left",
		})
	}
}

// hostname is what topology constraints know a node by.
func (c *compiler) hostname(st *stay) string {
	if name := st.labels[workload.LabelHostname]; name != "" {
		return name
	}
	return c.s.Nodes[st.at].Name
}

// fitting is how many pods fit, at most n.
func fitting(requests, free unit.Resources, n int) int {
	low, high := 0, n
	for low < high {
		if mid := (low + high + 1) / 2; requests.Times(int64(mid)).Fits(free) {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}

// bundle ties pods that must share a node with pods of other groups to these, so
// that they are packed as one. They are dealt evenly.
func (c *compiler) bundle() {
	var followers []int
	for g := range c.s.Demand {
		if near := c.companions(g); len(c.pieces[g]) > 0 && len(near) > 0 && !chooses(near, []plan.Bound{{Group: g, Count: 1}}) {
			followers = append(followers, g)
		}
	}
	// Those whose company has a place go first; a round without progress ends it.
	for len(followers) > 0 {
		var still []int
		for _, g := range followers {
			if !c.follow(g, followers) {
				still = append(still, g)
			}
		}
		if len(still) == len(followers) {
			break
		}
		followers = still
	}
	for _, g := range followers {
		n := pods(c.pieces[g])
		c.pieces[g] = nil
		c.pending = append(c.pending, Pending{
			Group: g, Count: n, Code: NoDomain,
			Text: "pod affinity on " + workload.LabelHostname + " needs pods that are not in the demand, or that wait for these themselves",
		})
	}
}

func pods(pieces []piece) int {
	n := 0
	for _, p := range pieces {
		for _, b := range p.unit {
			n += p.count * b.Count
		}
	}
	return n
}

// companions are the selections of the group's required affinity to a node.
func (c *compiler) companions(g int) [][]bool {
	var out [][]bool
	group := &c.s.Demand[g]
	for _, t := range group.Affinity {
		if t.Weight != 0 || t.TopologyKey != workload.LabelHostname {
			continue
		}
		out = append(out, c.selection(group, t).groups)
	}
	return out
}

// chooses says whether each selection chooses one of the pods.
func chooses(near [][]bool, pods []plan.Bound) bool {
	for _, selects := range near {
		if !slices.ContainsFunc(pods, func(b plan.Bound) bool { return b.Count > 0 && selects[b.Group] }) {
			return false
		}
	}
	return true
}

// follow makes the bundles of one group; false when its company is not settled.
func (c *compiler) follow(g int, unsettled []int) bool {
	near := c.companions(g)
	for o := range c.s.Demand {
		if o == g || slices.Contains(unsettled, o) || !chooses(near, []plan.Bound{{Group: o, Count: 1}}) || len(c.pieces[o]) == 0 {
			continue
		}
		n := pods(c.pieces[g])
		if most := c.hosts.most[g]; most > 0 {
			units := 0
			for _, p := range c.pieces[o] {
				units += p.count
			}
			if n > most*units {
				c.pending = append(c.pending, Pending{
					Group: g, Count: n - most*units, Code: NoDomain,
					Text: "pod affinity wants more of its pods on a node than spread or anti-affinity allows",
				})
				n = most * units
			}
		}
		c.pieces[o] = attach(c.pieces[o], g, n)
		c.pieces[g] = nil
		return true
	}
	if !c.running(near) {
		return false
	}
	n := pods(c.pieces[g])
	c.pieces[g] = nil
	c.join(g, near, n)
	return true
}

// attach deals n pods of group g evenly to the units of the pieces.
func attach(pieces []piece, g, n int) []piece {
	units := 0
	for _, p := range pieces {
		units += p.count
	}
	var out []piece
	for _, p := range pieces {
		// What falls to this piece: its share of what is left of units and pods.
		mine := n * p.count / units
		n, units = n-mine, units-p.count
		each, more := mine/p.count, mine%p.count
		for _, part := range []struct{ units, pods int }{{more, each + 1}, {p.count - more, each}} {
			if part.units == 0 {
				continue
			}
			unit := slices.Clone(p.unit)
			if part.pods > 0 {
				unit = append(unit, plan.Bound{Group: g, Count: part.pods})
			}
			out = append(out, piece{unit: unit, count: part.units, domain: p.domain})
		}
	}
	return out
}
