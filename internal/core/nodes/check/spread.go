package check

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// spread counts the pods that one topology spread constraint looks at, in each
// domain, as the scheduler counts them. Groups that carry an equal constraint
// share one.
type spread struct {
	constraint workload.Spread
	chosen     []bool // by group: counted
	domain     []int  // by spot
	// takesPart says of each spot whether its node is looked at at all: it has
	// all keys, and meets affinity and taints as far as the constraint says.
	takesPart []bool
	counts    []int // by domain
	// waiting are, by domain, pods that carry the constraint and are not placed
	// yet: those that it does not count, and those that it does.
	waiting [2][]int
	// levels counts open domains by the number of pods in them; low is the least
	// of those numbers.
	open    int
	levels  map[int]int
	lowest  int
	opening []bool // by domain: some node in it takes part
}

// trackSpreads makes the counters of all required constraints.
func (o *order) trackSpreads() {
	type carrier struct {
		group *workload.Group
		index int
		made  *spread
	}
	alike := map[string][]carrier{}
	for g := range o.c.s.Demand {
		group := &o.c.s.Demand[g]
		for i := range group.Spread {
			t := &group.Spread[i]
			if !t.Required {
				continue
			}
			key := fmt.Sprintf("%q %+v %v", group.Owner.Namespace, *t, group.Alternatives)
			at := slices.IndexFunc(alike[key], func(c carrier) bool {
				return reflect.DeepEqual(c.group.Spread, group.Spread) && c.index == i &&
					reflect.DeepEqual(c.group.Alternatives, group.Alternatives) &&
					reflect.DeepEqual(c.group.Tolerations, group.Tolerations)
			})
			if at < 0 {
				at = len(alike[key])
				alike[key] = append(alike[key], carrier{group, i, o.newSpread(group, *t)})
			}
			o.carries[g] = append(o.carries[g], alike[key][at].made)
		}
	}
	for _, s := range o.spreads {
		for g, chosen := range s.chosen {
			if chosen {
				o.counted[g] = append(o.counted[g], s)
			}
		}
	}
}

func (o *order) newSpread(owner *workload.Group, t workload.Spread) *spread {
	domain, n := o.domains(t.TopologyKey)
	s := &spread{
		constraint: t, domain: domain, takesPart: make([]bool, len(o.spots)),
		counts: make([]int, n), waiting: [2][]int{make([]int, n), make([]int, n)}, opening: make([]bool, n), levels: map[int]int{},
	}
	s.chosen = o.c.classes.chosen(func(other *workload.Group) bool { return counts(t, owner, other) })
	considered := make([]bool, len(o.c.machines))
	for i := range o.c.machines {
		considered[i] = considers(owner, t, &o.c.machines[i])
	}
	for at, spot := range o.spots {
		s.takesPart[at] = considered[spot.machine]
		if s.takesPart[at] && !s.opening[domain[at]] {
			s.opening[domain[at]] = true
			s.open++
		}
	}
	s.levels[0] = s.open
	o.spreads = append(o.spreads, s)
	return s
}

// considers says whether the scheduler looks at a node for a constraint.
func considers(owner *workload.Group, t workload.Spread, m *machine) bool {
	for _, other := range owner.Spread {
		if _, has := m.domain(other.TopologyKey); other.Required && !has {
			return false
		}
	}
	_, tainted := workload.Untolerated(owner.Tolerations, m.taints)
	return (t.IgnoreAffinity || allowed(owner, m.labels)) && (!t.HonorTaints || !tainted)
}

func (s *spread) add(at, n int) {
	d := s.domain[at]
	if n == 0 || d < 0 || !s.takesPart[at] {
		return
	}
	s.levels[s.counts[d]]--
	s.counts[d] += n
	s.levels[s.counts[d]]++
	for s.levels[s.lowest] == 0 {
		s.lowest++
	}
}

// expect notes pods that carry the constraint and will be placed.
func (s *spread) expect(at, group, n int) {
	if d := s.domain[at]; d >= 0 {
		s.waiting[s.self(group)][d] += n
	}
}

// self is 1 when the constraint counts pods of the group, else 0.
func (s *spread) self(group int) int {
	if s.chosen[group] {
		return 1
	}
	return 0
}

func (s *spread) least() int {
	if s.open < s.constraint.MinDomains {
		return 0
	}
	return s.lowest
}

func (s *spread) allows(at, group int) bool {
	d := s.domain[at]
	if d < 0 {
		return false
	}
	return s.counts[d]+s.self(group)-s.least() <= s.constraint.MaxSkew
}

// tolerates says whether a pod that does not carry the constraint may be
// counted at a spot now, without standing in the way of those that do.
func (s *spread) tolerates(at int, how politeness) bool {
	d := s.domain[at]
	if d < 0 || !s.takesPart[at] {
		return true
	}
	after := s.counts[d] + 1 - s.least()
	for self, waiting := range s.waiting {
		if how == harmless {
			after += self
		}
		if waiting[d] > 0 && after > s.constraint.MaxSkew {
			return false
		}
	}
	return true
}
