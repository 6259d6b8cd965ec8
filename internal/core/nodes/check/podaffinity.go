package check

import (
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// affinity counts the neighbours that the required affinity of one group looks
// for: pods that all of its terms match.
type affinity struct {
	matched []bool  // by group
	domain  [][]int // by term and spot
	counts  [][]int // by term and domain
	total   int
}

func (o *order) trackAffinity() {
	for g := range o.c.s.Demand {
		owner := &o.c.s.Demand[g]
		var a affinity
		for _, t := range owner.Affinity {
			if t.Weight != 0 {
				continue
			}
			matched := o.c.classes.chosen(func(other *workload.Group) bool { return t.Chooses(owner, other) })
			if a.matched == nil {
				a.matched = matched
			}
			for i := range matched {
				a.matched[i] = a.matched[i] && matched[i]
			}
			domain, n := o.domains(t.TopologyKey)
			a.domain = append(a.domain, domain)
			a.counts = append(a.counts, make([]int, n))
		}
		if a.matched == nil {
			continue
		}
		o.needs[g] = &a
		for i, yes := range a.matched {
			if yes {
				o.neighbour[i] = append(o.neighbour[i], &a)
			}
		}
	}
}

func (a *affinity) add(at, n int) {
	for term, domain := range a.domain {
		if d := domain[at]; d >= 0 {
			a.counts[term][d] += n
			a.total += n
		}
	}
}

// allows says whether a neighbour is there, or whether the pod is the first of
// its kind, which may go anywhere.
func (a *affinity) allows(at, group int) bool {
	all := true
	for term, domain := range a.domain {
		d := domain[at]
		if d < 0 {
			return false
		}
		all = all && a.counts[term][d] > 0
	}
	return all || a.total == 0 && a.matched[group]
}

// seedAffinity places the first pod of each group that is its own neighbour,
// before others take away the right of the first: where it will find no other
// neighbour, if there is such a place.
func (o *order) seedAffinity() {
	for g, a := range o.needs {
		if a == nil || !a.matched[g] || a.total > 0 {
			continue
		}
		foreign := a.foreign(o.tasks, g)
		var best *task
		for i := range o.tasks {
			if t := &o.tasks[i]; t.group == g && (best == nil || foreign(best.spot) && !foreign(t.spot)) {
				best = t
			}
		}
		if best != nil && o.allows(best) {
			o.place(best)
		}
	}
}

// foreign tells spots where pods of other groups will be neighbours.
func (a *affinity) foreign(tasks []task, group int) func(at int) bool {
	found := make([][]bool, len(a.domain))
	for term, domain := range a.domain {
		found[term] = make([]bool, len(a.counts[term]))
		for i := range tasks {
			if t := &tasks[i]; t.group != group && a.matched[t.group] && domain[t.spot] >= 0 {
				found[term][domain[t.spot]] = true
			}
		}
	}
	return func(at int) bool {
		for term, domain := range a.domain {
			if d := domain[at]; d >= 0 && found[term][d] {
				return true
			}
		}
		return false
	}
}
