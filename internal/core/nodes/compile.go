package nodes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/nodes/pack"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// piece is a number of units that are alike: mostly single pods, sometimes pods
// of several groups that must share a node.
type piece struct {
	unit  []plan.Bound // what one unit is made of
	count int
	// domain holds the labels that topology constraints chose, e.g. the zone; nil
	// is anywhere.
	domain map[string]string
}

// compiler turns a snapshot into pieces that need a place, and what is known
// about each group, before anything is packed.
type compiler struct {
	s          *plan.Snapshot
	p          Policy
	candidates []Candidate
	free       []unit.Resources // of each candidate
	// need is how many pods of each group have no place yet.
	need []int
	// admitted are the candidates that each group may run on by constraints about
	// nodes alone; allowed those of them that are large enough for a pod.
	admitted, allowed []pack.Set
	// watched says of each topology which groups its constraints look at.
	watched map[string][]bool
	// stays are the nodes that exist and stay, with what is free on them.
	stays  []stay
	pieces [][]piece // of each group
	hosts  hosts
	// givenUp are the groups whose wishes stand in the way of a place.
	givenUp map[int]bool
	// selections that were worked out, by key.
	selections map[string][]bool
	pending    []Pending
}

// stay is a node that exists, as it is used.
type stay struct {
	at     int // index into Snapshot.Nodes
	labels map[string]string
	free   unit.Resources
	bound  map[int]int // group -> pods
}

// purchasable are the candidates that policy and pools allow to be bought.
func purchasable(s *plan.Snapshot, p Policy) []Candidate {
	c := &compiler{s: s, p: p, candidates: Candidates(s)}
	c.keepFlexible()
	return c.candidates
}

// compile works out everything but the packing.
// Wishes of the groups in givenUp are forgotten.
func compile(s *plan.Snapshot, p Policy, candidates []Candidate, givenUp map[int]bool) *compiler {
	c := &compiler{s: s, p: p, candidates: candidates, givenUp: givenUp, watched: map[string][]bool{}, selections: map[string][]bool{}}
	c.free = make([]unit.Resources, len(c.candidates))
	for i := range c.candidates {
		c.free[i] = c.candidates[i].Free()
	}
	c.observe()
	c.allow()
	c.limitNodeSize()
	c.pieces = make([][]piece, len(s.Demand))
	for g, n := range c.need {
		if n > 0 {
			c.pieces[g] = []piece{{unit: []plan.Bound{{Group: g, Count: 1}}, count: n}}
		}
	}
	c.hosts = c.hostRules()
	c.gatherSelves()
	for _, key := range c.topologyKeys() {
		c.deal(key)
	}
	c.bundle()
	c.blastRadius(&c.hosts)
	return c
}

// observe counts what is bound where, and what is missing.
func (c *compiler) observe() {
	bound := make([]int, len(c.s.Demand))
	for i := range c.s.Nodes {
		n := &c.s.Nodes[i]
		if n.Leaving {
			continue
		}
		st := stay{at: i, labels: n.Labels, bound: map[int]int{}, free: n.Allocatable.Minus(n.Reserved)}
		for _, b := range n.Pods {
			if b.Group < 0 || b.Group >= len(bound) || b.Count <= 0 {
				continue // not of this demand
			}
			bound[b.Group] += b.Count
			st.bound[b.Group] += b.Count
			st.free = st.free.Minus(c.s.Demand[b.Group].Requests.Times(int64(b.Count)))
		}
		c.stays = append(c.stays, st)
	}
	c.need = make([]int, len(c.s.Demand))
	for g := range c.s.Demand {
		c.need[g] = max(0, c.s.Demand[g].Count-bound[g])
	}
}

// allow works out which candidates each group may run on. Groups with the same
// constraints share the work.
func (c *compiler) allow() {
	c.admitted, c.allowed = make([]pack.Set, len(c.s.Demand)), make([]pack.Set, len(c.s.Demand))
	same, sized := map[string]pack.Set{}, map[string]pack.Set{}
	for g := range c.s.Demand {
		if c.need[g] == 0 {
			continue
		}
		group := &c.s.Demand[g]
		sign := signature(group)
		base, known := same[sign]
		if !known {
			base = c.admits(group)
			same[sign] = base
		}
		sign += fmt.Sprint(group.Requests)
		fits, known := sized[sign]
		if !known {
			fits = pack.NewSet(len(c.candidates))
			for i := range c.candidates {
				if base.Has(i) && group.Requests.Fits(c.free[i]) {
					fits.Add(i)
				}
			}
			sized[sign] = fits
		}
		c.admitted[g], c.allowed[g] = base, fits
		if c.wishes(g) && len(group.Preferred) > 0 {
			c.allowed[g] = c.prefer(group, fits)
			c.admitted[g] = c.allowed[g]
		}
	}
}

// signature names the constraints of a group that are about nodes alone.
func signature(g *workload.Group) string {
	var b strings.Builder
	for _, t := range g.Tolerations {
		fmt.Fprintf(&b, "%s|%v|%s|%s;", t.Key, t.Exists, t.Value, t.Effect)
	}
	for _, rs := range g.Alternatives {
		b.WriteByte('/')
		b.WriteString(rs.Key())
	}
	for _, p := range g.HostPorts {
		fmt.Fprintf(&b, "p%s|%s|%d;", p.IP, p.Protocol, p.Port)
	}
	fmt.Fprintf(&b, "%v|%d", g.DoNotDisrupt, g.Restart)
	return b.String()
}

// admits are the candidates that take the group as far as labels, taints, ports
// of DaemonSets and risk go.
func (c *compiler) admits(g *workload.Group) pack.Set {
	out := pack.NewSet(len(c.candidates))
	for i := range c.candidates {
		cand := &c.candidates[i]
		if Refusal(g, cand.Labels, cand.Pool.Taints) == "" && !workload.PortsConflict(g.HostPorts, c.daemonPorts(g, cand)) && !c.tooRisky(g, cand) {
			out.Add(i)
		}
	}
	return out
}

// wishes says whether what a group merely prefers counts. Under a policy that
// looks at the price alone it does not.
func (c *compiler) wishes(g int) bool { return c.p.RespectPreferences && !c.givenUp[g] }

// prefer narrows the candidates to those that meet the group's wishes, the
// heaviest first, as long as any are left.
func (c *compiler) prefer(g *workload.Group, allowed pack.Set) pack.Set {
	wishes := slices.Clone(g.Preferred)
	slices.SortStableFunc(wishes, func(a, b workload.Preference) int { return b.Weight - a.Weight })
	for _, w := range wishes {
		narrow, some := pack.NewSet(len(c.candidates)), false
		for i := range c.candidates {
			if allowed.Has(i) && w.Requirements.Allow(c.candidates[i].Labels) {
				narrow.Add(i)
				some = true
			}
		}
		if some {
			allowed = narrow
		}
	}
	return allowed
}

// allowedOn says whether a group may run on a node that stays, pods there aside.
func (c *compiler) allowedOn(g int, st *stay) bool {
	n := &c.s.Nodes[st.at]
	return Refusal(&c.s.Demand[g], n.Labels, n.Taints) == ""
}

// limitNodeSize leaves out nodes that would hold a larger share of the demand
// than the policy allows. A group that could run on none of the others keeps the
// smallest that it may run on.
func (c *compiler) limitNodeSize() {
	if c.p.MaxNodeShare == 0 {
		return
	}
	within := c.smallEnough()
	kept := pack.NewSet(len(c.candidates))
	for g, n := range c.need {
		if n > 0 && empty(both(c.allowed[g], within)) {
			c.keepSmallest(g, kept)
		}
	}
	for w := range kept {
		kept[w] |= within[w]
	}
	for g := range c.allowed {
		c.admitted[g], c.allowed[g] = both(c.admitted[g], kept), both(c.allowed[g], kept)
	}
}

// keepSmallest adds the smallest machines that a group may run on.
func (c *compiler) keepSmallest(g int, kept pack.Set) {
	smallest := 0
	for i := range c.candidates {
		if cores := c.candidates[i].Offering.Shape.VCPU; c.allowed[g].Has(i) && (smallest == 0 || cores < smallest) {
			smallest = cores
		}
	}
	for i := range c.candidates {
		if c.allowed[g].Has(i) && c.candidates[i].Offering.Shape.VCPU == smallest {
			kept.Add(i)
		}
	}
}

// smallEnough are the candidates that hold no larger share of the demand than
// the policy allows.
func (c *compiler) smallEnough() pack.Set {
	var all, largest unit.Resources
	for g := range c.s.Demand {
		all = all.Plus(c.s.Demand[g].Requests.Times(int64(max(0, c.s.Demand[g].Count))))
		largest = largest.Max(c.s.Demand[g].Requests)
	}
	share := int64(c.p.MaxNodeShare)
	out := pack.NewSet(len(c.candidates))
	for i := range c.candidates {
		free := c.free[i]
		// Too large only if it is so by both: a node with much memory for its cores
		// is not a large part of a demand for cores.
		within := int64(free.CPU)*100 <= int64(all.CPU)*share || int64(free.Memory)/100 <= int64(all.Memory)/10_000*share
		if within || c.candidates[i].Offering.Shape.VCPU <= smallNode || free.CPU < 2*largest.CPU || free.Memory < 2*largest.Memory {
			out.Add(i)
		}
	}
	return out
}

func both(a, b pack.Set) pack.Set {
	out := slices.Clone(a)
	for w := range out {
		out[w] &= b[w]
	}
	return out
}

// smallNode is the size in cores up to which no node is too large a share.
const smallNode = 4

// keepFlexible leaves out candidates of pools with minValues from which too few
// others could be chosen: those that have at least as much of everything.
func (c *compiler) keepFlexible() {
	c.candidates = slices.DeleteFunc(slices.Clone(c.candidates), func(cand Candidate) bool {
		for key, r := range cand.Pool.Requirements {
			if r.MinValues == 0 {
				continue
			}
			seen := map[string]bool{}
			free := cand.Free()
			for i := range c.candidates {
				if o := &c.candidates[i]; o.Pool == cand.Pool && free.Fits(o.Free()) {
					seen[o.Labels[key]] = true
				}
			}
			if len(seen) < r.MinValues {
				return true
			}
		}
		return false
	})
}
