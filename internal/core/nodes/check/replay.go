package check

import (
	"slices"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// The scheduler looks at topology spread and pod affinity only when it places a
// pod that carries them. So what counts is not how the fleet looks in the end,
// but whether there is an order in which each pod may go to its node: a skew may
// grow later by pods that a constraint counts and that do not carry it, and pods
// that need a neighbour need it before them. replay looks for such an order.
//
// The first search finds an order for one spread constraint if there is one.
// Where several constraints cross it may miss one, so others are tried as well,
// see search.go. None of them invents one.

// task is a number of pods of a group that go to one copy of a machine.
type task struct {
	spot  int
	group int
	left  int
}

// spot is one copy of a machine.
type spot struct{ machine int }

// order is the state of a replay.
type order struct {
	c       *checker
	spots   []spot
	spreads []*spread
	// By group: what it carries, and what counts it.
	carries, counted   [][]*spread
	needs              []*affinity
	neighbour          [][]*affinity
	tasks              []task
	domainsOfKey       map[string][]int // by spot; -1 outside of all
	domainNumbersOfKey map[string]int
}

// replay holds required spread and affinity.
func (c *checker) replay() {
	var first *order
	for _, search := range searches() {
		o := c.newOrder()
		o.seedAffinity()
		if len(o.tasks) == 0 || search(o) {
			return
		}
		if first == nil {
			first = o
		}
	}
	first.reportStuck()
}

// newOrder prepares spots, trackers and tasks. Groups that carry nothing and
// that nothing counts are always placed: they get no task.
func (c *checker) newOrder() *order {
	n := len(c.s.Demand)
	o := &order{
		c: c, carries: make([][]*spread, n), counted: make([][]*spread, n),
		needs: make([]*affinity, n), neighbour: make([][]*affinity, n),
		domainsOfKey: map[string][]int{}, domainNumbersOfKey: map[string]int{},
	}
	for i := range c.machines {
		for range c.machines[i].copies {
			o.spots = append(o.spots, spot{i})
		}
	}
	o.trackSpreads()
	o.trackAffinity()
	for at, s := range o.spots {
		for _, r := range c.machines[s.machine].pods {
			if len(o.carries[r.group])+len(o.counted[r.group])+len(o.neighbour[r.group]) == 0 && o.needs[r.group] == nil {
				continue
			}
			o.count(r.group, at, r.bound)
			if r.added > 0 {
				o.tasks = append(o.tasks, task{spot: at, group: r.group, left: r.added})
				for _, t := range o.carries[r.group] {
					t.expect(at, r.group, r.added)
				}
			}
		}
	}
	o.interleave()
	return o
}

// domains numbers the domains of a key and says in which one each spot lies.
func (o *order) domains(key string) (of []int, n int) {
	if of, ok := o.domainsOfKey[key]; ok {
		return of, o.domainNumbersOfKey[key]
	}
	of = make([]int, len(o.spots))
	seen := map[string]int{}
	for at, s := range o.spots {
		value, ok := o.c.machines[s.machine].domain(key)
		switch d, known := seen[value]; {
		case key == workload.LabelHostname:
			of[at], n = at, len(o.spots)
		case !ok:
			of[at] = -1
		case known:
			of[at] = d
		default:
			of[at], seen[value] = n, n
			n++
		}
	}
	o.domainsOfKey[key], o.domainNumbersOfKey[key] = of, n
	return of, n
}

// interleave orders tasks so that neighbours in the list lie in different zones
// as far as possible: constraints that want evenness then rarely have to wait.
func (o *order) interleave() {
	zone, n := o.domains(workload.LabelZone)
	next := make([]int, n+1)
	rank := make([]int, len(o.spots))
	for at := range o.spots {
		z := zone[at] + 1
		rank[at] = next[z]
		next[z]++
	}
	slices.SortStableFunc(o.tasks, func(a, b task) int { return rank[a.spot] - rank[b.spot] })
}

// allows is what the scheduler asks before it places a pod.
func (o *order) allows(t *task) bool {
	for _, s := range o.carries[t.group] {
		if !s.allows(t.spot, t.group) {
			return false
		}
	}
	a := o.needs[t.group]
	return a == nil || a.allows(t.spot, t.group)
}

func (o *order) place(t *task) {
	t.left--
	for _, s := range o.carries[t.group] {
		s.expect(t.spot, t.group, -1)
	}
	o.count(t.group, t.spot, 1)
}

// count adds pods of a group at a spot to all that watch them.
func (o *order) count(group, at, n int) {
	for _, s := range o.counted[group] {
		s.add(at, n)
	}
	for _, a := range o.neighbour[group] {
		a.add(at, n)
	}
}

func (o *order) reportStuck() {
	type key struct {
		rule  Rule
		group int
	}
	stuck := map[key]*task{}
	var found []key
	for i := range o.tasks {
		t := &o.tasks[i]
		if t.left == 0 {
			continue
		}
		k := key{TopologySpread, t.group}
		if a := o.needs[t.group]; a != nil && !a.allows(t.spot, t.group) {
			k.rule = Affinity
		}
		if first, ok := stuck[k]; ok {
			first.left += t.left
			continue
		}
		stuck[k] = &task{t.spot, t.group, t.left}
		found = append(found, k)
	}
	for _, k := range found {
		t := stuck[k]
		o.c.report(k.rule, o.c.machines[o.spots[t.spot].machine].name, t.group,
			"no order was found in which the scheduler places %d of its pods", t.left)
	}
}
