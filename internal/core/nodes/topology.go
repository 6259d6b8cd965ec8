package nodes

import (
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// rule is one distinct constraint about pods and a topology: a selector as some
// groups use it. Counts are kept by domain, a value of the topology's label.
type rule struct {
	selects []bool         // by group
	chosen  map[string]int // selected pods
	owners  map[string]int // pods that carry the rule as anti-affinity
}

// care is what one group has to do with the topology.
type care struct {
	involved bool
	spread   []spreadRule
	apart    []*rule // pods of the group refuse what these choose
	refused  []*rule // these refuse pods of the group
	near     []*rule // pods of the group need what these choose
	chosenBy []*rule
	domains  []string
	// hostile says that the group and others refuse each other: the fewer domains
	// each takes, the more are left to the other.
	hostile bool
}

type spreadRule struct {
	*rule
	skew, minDomains int
	self, required   bool
}

// topologyKeys are the topologies that are dealt with one after the other.
func (c *compiler) topologyKeys() []string {
	seen := map[string]bool{}
	if c.p.BalanceZones {
		seen[workload.LabelZone] = true
	}
	for g := range c.s.Demand {
		d := &c.s.Demand[g]
		for _, sp := range d.Spread {
			if sp.Required || c.p.RespectPreferences {
				seen[sp.TopologyKey] = true
			}
		}
		for _, terms := range [][]workload.PodTerm{d.Affinity, d.AntiAffinity} {
			for _, t := range terms {
				if t.Weight == 0 {
					seen[t.TopologyKey] = true
				}
			}
		}
	}
	delete(seen, workload.LabelHostname)
	return slices.Sorted(maps.Keys(seen))
}

// learn collects the rules and who is involved.
func (d *dealer) learn() {
	for g := range d.s.Demand {
		d.learnSpread(g)
		d.learnAntiAffinity(g)
		d.learnAffinity(g)
		if d.p.BalanceZones && !d.givenUp[g] && d.key == workload.LabelZone {
			d.cares[g].involved = true
		}
	}
	d.watch()
}

func (d *dealer) learnSpread(g int) {
	group, me := &d.s.Demand[g], &d.cares[g]
	for _, sp := range group.Spread {
		if sp.TopologyKey != d.key || !sp.Required && !d.wishes(g) {
			continue
		}
		r := d.rule(d.selection(group, workload.PodTerm{Selector: sp.Selector}))
		me.spread = append(me.spread, spreadRule{rule: r, skew: sp.MaxSkew, minDomains: sp.MinDomains, self: r.selects[g], required: sp.Required})
		me.involved = true
	}
}

func (d *dealer) learnAntiAffinity(g int) {
	group, me := &d.s.Demand[g], &d.cares[g]
	for _, t := range group.AntiAffinity {
		if t.Weight != 0 || t.TopologyKey != d.key {
			continue
		}
		r := d.rule(d.selection(group, t))
		me.apart = append(me.apart, r)
		me.involved = true
		for o, chosen := range r.selects {
			if !chosen {
				continue
			}
			d.cares[o].involved = true
			d.cares[o].refused = append(d.cares[o].refused, r)
			if o != g {
				d.cares[o].hostile, me.hostile = true, true
			}
		}
	}
}

func (d *dealer) learnAffinity(g int) {
	group, me := &d.s.Demand[g], &d.cares[g]
	for _, t := range group.Affinity {
		if t.Weight != 0 || t.TopologyKey != d.key {
			continue
		}
		r := d.rule(d.selection(group, t))
		me.near = append(me.near, r)
		me.involved = true
		for o, chosen := range r.selects {
			d.cares[o].involved = d.cares[o].involved || chosen
		}
	}
}

// watch finds out which groups the rules choose. One that is spread over hosts
// is dealt too when a rule about this topology counts it: it has to be placed
// before pods that carry the rule, so it must not have filled one domain.
func (d *dealer) watch() {
	watched := make([]bool, len(d.cares))
	d.watched[d.key] = watched
	for _, r := range d.rules {
		for g, in := range r.selects {
			if !in {
				continue
			}
			watched[g] = true
			me := &d.cares[g]
			me.chosenBy = append(me.chosenBy, r)
			me.involved = me.involved || slices.ContainsFunc(d.s.Demand[g].Spread, func(sp workload.Spread) bool { return sp.Required })
		}
	}
}

// rule finds or makes the rule of a selection.
func (d *dealer) rule(sel selection) *rule {
	if r, ok := d.rules[sel.key]; ok {
		return r
	}
	r := &rule{selects: sel.groups, chosen: map[string]int{}, owners: map[string]int{}}
	d.rules[sel.key] = r
	return r
}
