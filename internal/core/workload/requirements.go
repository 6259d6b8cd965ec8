package workload

import "maps"

// Requirements are one requirement for each label key; all must hold. Nil
// allows every node.
type Requirements map[string]Requirement

// Add narrows the requirement of a key in place; for building values only.
func (rs Requirements) Add(key string, r Requirement) {
	if old, ok := rs[key]; ok {
		r = old.Intersect(r)
	}
	rs[key] = r
}

// Allow says whether a node with these labels meets all requirements.
func (rs Requirements) Allow(labels map[string]string) bool {
	for key, r := range rs {
		if value, present := labels[key]; !r.Allows(value, present) {
			return false
		}
	}
	return true
}

// Refusal names the first key, in order, whose requirement the labels do not
// meet, or "".
func (rs Requirements) Refusal(labels map[string]string) string {
	refused, found := "", false
	for key, r := range rs {
		value, present := labels[key]
		if !r.Allows(value, present) && (!found || key < refused) {
			refused, found = key, true
		}
	}
	return refused
}

// Intersect allows what both allow. It does not say whether anything is left;
// see [Requirements.Conflict].
func (rs Requirements) Intersect(o Requirements) Requirements {
	out := make(Requirements, len(rs)+len(o))
	maps.Copy(out, rs)
	for key, r := range o {
		out.Add(key, r)
	}
	return out
}

// Conflict names the first key, in order, for which rs and o have nothing in
// common, or "". A key that only one of them names is no conflict.
func (rs Requirements) Conflict(o Requirements) string {
	if len(o) < len(rs) {
		rs, o = o, rs
	}
	conflict, found := "", false
	for key, r := range rs {
		other, ok := o[key]
		if ok && !r.Overlaps(other) && (!found || key < conflict) {
			conflict, found = key, true
		}
	}
	return conflict
}

// Selector chooses pods by their labels. The zero value chooses none, as a
// missing selector in Kubernetes does.
type Selector struct {
	// Everything is an empty selector that is present: it chooses all.
	Everything   bool
	Requirements Requirements
}

// Matches says whether a pod with these labels is chosen.
func (s Selector) Matches(labels map[string]string) bool {
	return s.Everything || len(s.Requirements) > 0 && s.Requirements.Allow(labels)
}
