package check

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// searches are the ways in which an order is looked for, one after the other:
// each places pods and says whether all have their place.
func searches() []func(*order) bool {
	all := []func(*order) bool{(*order).plain, (*order).staged, (*order).bySize}
	for seed := range uint64(5) {
		all = append(all,
			func(o *order) bool { o.shuffle(seed); return o.plain() },
			func(o *order) bool { o.shuffle(seed); return o.staged() })
	}
	return all
}

// plain places a pod as soon as its own constraints allow it and it is in
// nobody's way; when none is left of that kind, one that keeps the domains even;
// then any.
func (o *order) plain() bool { return o.run(o.tasks) }

// staged places pods that are spread over hosts first, then others that carry
// constraints, and last those that are only counted.
func (o *order) staged() bool {
	var stages [3][]task
	for _, t := range o.tasks {
		i := o.stage(t.group)
		stages[i] = append(stages[i], t)
	}
	return o.run(stages[0]) && o.run(stages[1]) && o.run(stages[2])
}

func (o *order) stage(group int) int {
	overHosts := func(s *spread) bool { return s.constraint.TopologyKey == workload.LabelHostname }
	switch {
	case slices.ContainsFunc(o.carries[group], overHosts):
		return 0
	case len(o.carries[group]) > 0 || o.needs[group] != nil:
		return 1
	}
	return 2
}

// bySize places the largest pods first without looking at what comes after, as
// strategies do that fill one node after the other.
func (o *order) bySize() bool {
	slices.SortStableFunc(o.tasks, func(a, b task) int {
		x, y := &o.c.s.Demand[a.group].Requests, &o.c.s.Demand[b.group].Requests
		return cmp.Or(cmp.Compare(y.Memory, x.Memory), cmp.Compare(y.CPU, x.CPU), cmp.Compare(a.group, b.group))
	})
	for progress := true; progress; {
		progress = false
		for i := range o.tasks {
			for t := &o.tasks[i]; t.left > 0 && o.allows(t); progress = true {
				o.place(t)
			}
		}
	}
	return o.done()
}

func (o *order) shuffle(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(o.tasks), func(i, j int) { o.tasks[i], o.tasks[j] = o.tasks[j], o.tasks[i] })
	o.interleave()
}

// run places pods of some tasks until it is stuck; what is left is o.tasks then.
func (o *order) run(tasks []task) bool {
	o.tasks = tasks
	for len(o.tasks) > 0 && (o.sweep(harmless) || o.sweep(even) || o.sweep(rude)) {
		o.tasks = slices.DeleteFunc(o.tasks, func(t task) bool { return t.left == 0 })
	}
	return o.done()
}

func (o *order) done() bool {
	return !slices.ContainsFunc(o.tasks, func(t task) bool { return t.left > 0 })
}

// politeness is how much a placement may stand in the way of others.
type politeness int

const (
	harmless politeness = iota // no pod is left that it could keep off
	even                       // the domain stays within the skew
	rude                       // anything that the scheduler allows
)

// sweep goes through all tasks and places what it may. A harmless sweep places
// as many pods of each task as possible, an even one a single pod of each, and
// a rude one stops after the first.
func (o *order) sweep(how politeness) bool {
	progress := false
	for i := range o.tasks {
		t := &o.tasks[i]
		for t.left > 0 && o.allows(t) && o.polite(t, how) {
			o.place(t)
			progress = true
			if how == rude {
				return true
			}
			if how == even {
				break
			}
		}
	}
	return progress
}

func (o *order) polite(t *task, how politeness) bool {
	if how == rude {
		return true
	}
	for _, s := range o.counted[t.group] {
		if !slices.Contains(o.carries[t.group], s) && !s.tolerates(t.spot, how) {
			return false
		}
	}
	return true
}
