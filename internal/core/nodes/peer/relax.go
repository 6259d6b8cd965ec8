package peer

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// form is how Karpenter looks at the pods of a group at one stage of
// relaxation: it takes wishes for orders first, and drops them one by one.
type form struct {
	id, group int
	wish      *wish
	// strict is without preferences: what limits the domains of topologies.
	strict      workload.Requirements
	tolerations []workload.Toleration
	carried     []*topology
}

// stage is what is left of a group's wishes.
type stage struct {
	alternatives       []workload.Requirements
	affinity, anti     []workload.PodTerm // preferred, heaviest first
	preferred          []workload.Preference
	anyway             []workload.Spread
	tolerateDiscourage bool
}

func firstStage(g *workload.Group) stage {
	st := stage{alternatives: g.Alternatives, preferred: slices.Clone(g.Preferred)}
	slices.SortStableFunc(st.preferred, func(a, b workload.Preference) int { return b.Weight - a.Weight })
	st.affinity, st.anti = preferredTerms(g.Affinity), preferredTerms(g.AntiAffinity)
	for _, t := range g.Spread {
		if !t.Required {
			st.anyway = append(st.anyway, t)
		}
	}
	return st
}

func preferredTerms(terms []workload.PodTerm) []workload.PodTerm {
	var out []workload.PodTerm
	for _, t := range terms {
		if t.Weight != 0 {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b workload.PodTerm) int { return cmp.Compare(b.Weight, a.Weight) })
	return out
}

// relax drops the next wish in Karpenter's order; false when none is left.
// Discouraging taints are tolerated last, if there are any.
func (st *stage) relax(discouraging bool) bool {
	switch {
	case len(st.alternatives) > 1:
		st.alternatives = st.alternatives[1:]
	case len(st.affinity) > 0:
		st.affinity = st.affinity[1:]
	case len(st.anti) > 0:
		st.anti = st.anti[1:]
	case len(st.preferred) > 0:
		st.preferred = st.preferred[1:]
	case len(st.anyway) > 0:
		st.anyway = st.anyway[1:]
	case discouraging && !st.tolerateDiscourage:
		st.tolerateDiscourage = true
	default:
		return false
	}
	return true
}

// requirements are those of the first alternative; the heaviest preference is
// added to the first result only.
func (st *stage) requirements() (all, strict workload.Requirements) {
	if len(st.alternatives) > 0 {
		strict = st.alternatives[0]
	}
	all = strict
	if len(st.preferred) > 0 {
		all = maps.Clone(strict).Intersect(st.preferred[0].Requirements)
	}
	return all, strict
}

// forms lists the stages of a group, from all wishes to none.
func (k *karpenter) forms(group int) []*form {
	g := &k.s.Demand[group]
	var out []*form
	for st := firstStage(g); ; {
		all, strict := st.requirements()
		f := &form{id: k.formCount, group: group, wish: k.market.wish(all), strict: strict, tolerations: g.Tolerations}
		k.formCount++
		if st.tolerateDiscourage {
			f.tolerations = append(slices.Clone(g.Tolerations), workload.Toleration{Exists: true, Effect: workload.PreferNoSchedule})
		}
		f.carried = k.carried(group, &st)
		out = append(out, f)
		if !st.relax(k.discouraging) {
			return out
		}
	}
}

// carried are the topologies that pods of a group obey at a stage.
func (k *karpenter) carried(group int, st *stage) []*topology {
	g := &k.s.Demand[group]
	var out []*topology
	for _, t := range g.Spread {
		if t.Required {
			out = append(out, k.topologies.spread(group, t))
		}
	}
	for _, t := range st.anyway {
		out = append(out, k.topologies.spread(group, t))
	}
	for _, t := range slices.Concat(requiredTerms(g.Affinity), st.affinity) {
		out = append(out, k.topologies.term(group, affinityTo, t))
	}
	for _, t := range slices.Concat(requiredTerms(g.AntiAffinity), st.anti) {
		out = append(out, k.topologies.term(group, apartFrom, t))
	}
	return out
}

func requiredTerms(terms []workload.PodTerm) []workload.PodTerm {
	return slices.DeleteFunc(slices.Clone(terms), func(t workload.PodTerm) bool { return t.Weight != 0 })
}

// tolerates says whether all taints are tolerated. To Karpenter a taint that
// only discourages is one like any other, until it relaxes.
func tolerates(tolerations []workload.Toleration, taints []workload.Taint) bool {
	return !slices.ContainsFunc(taints, func(t workload.Taint) bool { return !workload.Tolerates(tolerations, t) })
}
