package check

import (
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// counts says whether a spread constraint of owner counts pods of o.
func counts(t workload.Spread, owner, o *workload.Group) bool {
	return o.Owner.Namespace == owner.Owner.Namespace && t.Selector.Matches(o.Labels)
}

// neighbours counts, in one domain, pods that carry a term and pods that it
// matches.
type neighbours struct {
	ownBound, ownAdded, matchedBound, matchedAdded int
	node                                           string
}

// add counts the pods of a machine once, as one domain sees them.
func (n *neighbours) add(m *machine, carrier int, matched []bool, copies int) {
	for _, r := range m.pods {
		if r.group == carrier {
			n.ownBound += r.bound * copies
			n.ownAdded += r.added * copies
			n.node = m.name
		}
		if matched[r.group] {
			n.matchedBound += r.bound * copies
			n.matchedAdded += r.added * copies
		}
	}
}

// quarrel says whether a pod that carries the term shares the domain with
// another one that it matches, and at least one of the two is new.
func (n *neighbours) quarrel(self bool) bool {
	others := n.matchedBound + n.matchedAdded
	if self {
		others--
	}
	return n.ownAdded > 0 && others > 0 || n.ownBound > 0 && n.matchedAdded > 0
}

// antiAffinity holds required anti-affinity. The final state decides: whichever
// of two pods comes last is the one that is refused.
func (c *checker) antiAffinity() {
	for g := range c.s.Demand {
		owner := &c.s.Demand[g]
		for _, t := range owner.AntiAffinity {
			if t.Weight != 0 {
				continue
			}
			matched := make([]bool, len(c.s.Demand))
			for o := range c.s.Demand {
				matched[o] = t.Chooses(owner, &c.s.Demand[o])
			}
			for _, n := range c.domains(t.TopologyKey, g, matched) {
				if n.quarrel(matched[g]) {
					c.report(AntiAffinity, n.node, g, "shares its %s with a pod that it refuses", t.TopologyKey)
				}
			}
		}
	}
}

// domains counts neighbours in each domain of a key. Nodes without the key are
// in no domain. Copies of a machine are domains of their own by host name; one
// stands for all.
func (c *checker) domains(key string, carrier int, matched []bool) []neighbours {
	var out []neighbours
	at := map[string]int{}
	for i := range c.machines {
		m := &c.machines[i]
		value, ok := m.domain(key)
		if !ok || m.copies == 0 {
			continue
		}
		d, seen := at[value]
		if !seen {
			d = len(out)
			at[value] = d
			out = append(out, neighbours{})
		}
		copies := m.copies
		if key == workload.LabelHostname {
			copies = 1
		}
		out[d].add(m, carrier, matched, copies)
	}
	return out
}
