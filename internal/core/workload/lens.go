package workload

import (
	"encoding/binary"
	"slices"
)

// Lens tells pods apart as far as the selectors of a demand do: by labels that
// none of them looks at, no scheduler can.
type Lens struct {
	terms []term
	// byPair finds terms that need a label to have one value; the others, in
	// rest, must be tried.
	byPair map[pair][]int
	rest   []int
}

type term struct {
	selector   Selector
	namespaces []string
	everywhere bool
}

type pair struct{ key, value string }

// NewLens looks through every selector of groups and budgets.
func NewLens(groups []Group, budgets []PodBudget) *Lens {
	l := &Lens{byPair: map[pair][]int{}}
	seen := map[string]bool{}
	var key []byte
	add := func(t term) {
		key = appendSelector(append(key[:0], bit(t.everywhere)), t.selector)
		if key = appendStrings(key, t.namespaces...); !seen[string(key)] {
			seen[string(key)] = true
			l.add(t)
		}
	}
	for i := range groups {
		g := &groups[i]
		home := []string{g.Owner.Namespace}
		for _, s := range g.Spread {
			add(term{selector: s.Selector, namespaces: home})
		}
		for _, terms := range [2][]PodTerm{g.Affinity, g.AntiAffinity} {
			for _, t := range terms {
				add(term{selector: t.Selector, namespaces: t.in(g), everywhere: t.AllNamespaces})
			}
		}
	}
	for _, b := range budgets {
		add(term{selector: b.Selector, namespaces: []string{b.Ref.Namespace}})
	}
	return l
}

func (l *Lens) add(t term) {
	i := len(l.terms)
	l.terms = append(l.terms, t)
	first, found := pair{}, false
	for key, r := range t.selector.Requirements {
		if values, finite := r.Values(); finite && len(values) == 1 && !r.Optional() && (!found || key < first.key) {
			first, found = pair{key, values[0]}, true
		}
	}
	if found {
		l.byPair[first] = append(l.byPair[first], i)
	} else {
		l.rest = append(l.rest, i)
	}
}

// Key is equal for groups whose pods no scheduler can tell apart: [AppendShape],
// and which selectors choose them. The owner is no part of it.
func (l *Lens) Key(g *Group) string {
	var chosen []int
	try := func(list []int) {
		for _, i := range list {
			t := &l.terms[i]
			if (t.everywhere || slices.Contains(t.namespaces, g.Owner.Namespace)) && t.selector.Matches(g.Labels) {
				chosen = append(chosen, i)
			}
		}
	}
	try(l.rest)
	if len(l.byPair) > 0 {
		for key, value := range g.Labels {
			try(l.byPair[pair{key, value}])
		}
	}
	slices.Sort(chosen)
	b := AppendShape(make([]byte, 0, 128), g)
	for _, i := range chosen {
		b = binary.AppendUvarint(b, uint64(i))
	}
	return string(b)
}

// Merge joins groups of which key is the same, in the order of the first of
// each; to says which merged group took each one. Numbers and ranges are summed,
// the rest is the first one's.
func Merge(groups []Group, key func(*Group) string) (merged []Group, to []int) {
	at := make(map[string]int, len(groups))
	to = make([]int, len(groups))
	for i := range groups {
		k := key(&groups[i])
		first, found := at[k]
		if !found {
			first = len(merged)
			at[k] = first
			merged = append(merged, groups[i])
		} else {
			merged[first].absorb(&groups[i])
		}
		to[i] = first
	}
	return merged, to
}

// absorb adds the numbers of o. A group that no scaler moves has a range of one
// number beside one that is moved.
func (g *Group) absorb(o *Group) {
	if g.scaled() || o.scaled() {
		a, b := g.bounds(), o.bounds()
		g.Replicas = Range{Min: a.Min + b.Min, Max: a.Max + b.Max}
	}
	g.Count += o.Count
}

func (g *Group) scaled() bool { return g.Replicas != (Range{}) }

func (g *Group) bounds() Range {
	if g.scaled() {
		return g.Replicas
	}
	return Range{Min: g.Count, Max: g.Count}
}
