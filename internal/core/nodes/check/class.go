package check

import (
	"fmt"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// classes are groups that no selector can tell apart: same namespace, same
// labels. Selectors are asked once for each class.
type classes struct {
	of      []int // by group
	example []*workload.Group
}

func classify(groups []workload.Group) classes {
	c := classes{of: make([]int, len(groups))}
	seen := map[string]int{}
	for g := range groups {
		key := fmt.Sprintf("%q %q", groups[g].Owner.Namespace, groups[g].Labels)
		class, ok := seen[key]
		if !ok {
			class = len(c.example)
			seen[key] = class
			c.example = append(c.example, &groups[g])
		}
		c.of[g] = class
	}
	return c
}

// chosen says of each group whether match chooses it.
func (c *classes) chosen(match func(*workload.Group) bool) []bool {
	byClass := make([]bool, len(c.example))
	for i, example := range c.example {
		byClass[i] = match(example)
	}
	out := make([]bool, len(c.of))
	for g, class := range c.of {
		out[g] = byClass[class]
	}
	return out
}

// topologyKeys lists, for each group, the keys of required constraints that it
// carries or is chosen by. The host name is left out: it is not bought.
func (c *checker) topologyKeys() [][]string {
	out := make([][]string, len(c.s.Demand))
	add := func(key string, owner int, chosen []bool) {
		for g := range out {
			if (g == owner || chosen[g]) && !slices.Contains(out[g], key) {
				out[g] = append(out[g], key)
			}
		}
	}
	for g := range c.s.Demand {
		owner := &c.s.Demand[g]
		for _, t := range owner.Spread {
			if t.Required && t.TopologyKey != workload.LabelHostname {
				add(t.TopologyKey, g, c.classes.chosen(func(o *workload.Group) bool { return counts(t, owner, o) }))
			}
		}
		for _, t := range slices.Concat(owner.Affinity, owner.AntiAffinity) {
			if t.Weight == 0 && t.TopologyKey != workload.LabelHostname {
				add(t.TopologyKey, g, c.classes.chosen(func(o *workload.Group) bool { return t.Chooses(owner, o) }))
			}
		}
	}
	return out
}
