package peer

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
)

// AutoscalerSettings are flags of Cluster Autoscaler.
type AutoscalerSettings struct {
	// Expander picks the node group; empty is LeastWaste, the default since 1.37.
	Expander Expander
	// MaxPerLoop is how many nodes one scale-up adds at most; 0 is 1,000.
	MaxPerLoop int
	// Seed draws among options that the expander finds equal.
	Seed uint64
	// Stop is asked now and then, if it is given: once it says so, the rest of the
	// pods stays pending.
	Stop func() bool
}

// Autoscaler buys as Cluster Autoscaler does, from Snapshot.NodeGroups or, when
// there are none, from [DefaultNodeGroups]: in each loop it packs all pods that
// have no place onto new nodes of each group alone, lets the expander pick one
// group, and leaves what is left to the next loop.
//
// Zones of the groups count as domains of topology from the start, as they do in
// a cluster with a few nodes in each zone.
func Autoscaler(s *plan.Snapshot, set AutoscalerSettings) nodes.Fleet {
	view := *s
	if len(view.NodeGroups) == 0 {
		view.NodeGroups = DefaultNodeGroups(view.Offers)
	}
	a := &autoscaler{
		sc: newScheduler(&view), set: set, groups: nodeGroups(&view), size: sizes(&view),
		left: pendingPods(&view, nil), rng: rand.New(rand.NewPCG(set.Seed, 11)), full: map[int]bool{},
		stop: patience{ask: set.Stop},
	}
	a.set.Expander = cmp.Or(set.Expander, LeastWaste)
	a.set.MaxPerLoop = cmp.Or(set.MaxPerLoop, 1000)
	a.sc.joinNodes()
	for _, g := range a.groups {
		a.sc.known(g.labels, g.Taints)
	}
	for a.fill(); !a.stop.over && a.scaleUp(); {
		a.fill()
	}
	return fleetOf(a.sc, a.left, a.why)
}

type autoscaler struct {
	sc     *scheduler
	set    AutoscalerSettings
	groups []*nodeGroup
	size   map[string]int // nodes by group
	left   []int          // pods without a place, by group
	rng    *rand.Rand
	names  int
	full   map[int]bool // groups of pods that only a maximum keeps out
	stop   patience
}

// fill puts pods onto nodes that are there or on their way, as the scheduler
// will; only the rest needs new nodes.
func (a *autoscaler) fill() {
	for progress := true; progress; {
		progress = false
		for _, g := range byPriority(a.sc.s, a.left) {
			for _, h := range a.sc.hosts {
				for a.left[g] > 0 && !a.stop.now() && a.sc.fits(g, h) {
					a.sc.place(g, 1, h)
					a.left[g]--
					progress = true
				}
			}
		}
	}
}

// scaleUp adds nodes of the group that the expander picks; false when none of
// them helps.
func (a *autoscaler) scaleUp() bool {
	var options []option
	clear(a.full)
	for _, g := range a.groups {
		room := a.set.MaxPerLoop
		if g.Max > 0 {
			room = min(room, g.Max-a.size[g.Name])
		}
		if o := a.estimate(g, max(room, 0)); len(o.hosts) > 0 {
			options = append(options, o)
		}
	}
	if len(options) == 0 {
		return false
	}
	best := a.pick(options)
	for _, h := range best.hosts {
		a.sc.join(h)
		for _, b := range h.added {
			a.sc.bind(b.Group, b.Count, h)
			a.left[b.Group] -= b.Count
		}
		a.size[best.group.Name]++
	}
	return true
}

// option is what one group could do.
type option struct {
	group *nodeGroup
	hosts []*host
	pods  []int // by group
}

// estimate packs pods onto up to room new nodes of a group: kinds of pods by
// size, each pod onto the next new node that takes it, then onto the last one,
// then onto a further one. It leaves no trace in the scheduler.
func (a *autoscaler) estimate(g *nodeGroup, room int) option {
	o := option{group: g, pods: make([]int, len(a.left))}
	first, next := len(a.sc.hosts), 0
	for _, kind := range a.bySize(g) {
		n := a.left[kind]
		n, next = a.ontoNew(kind, n, first, next)
		for ; n > 0 && !a.stop.now(); n-- {
			if len(a.sc.hosts) > first && a.sc.fits(kind, a.last()) {
				a.sc.place(kind, 1, a.last())
				continue
			}
			if len(a.sc.hosts) > first && len(a.last().added) == 0 {
				break // it would not fit onto another empty node either
			}
			if len(a.sc.hosts)-first >= room {
				a.full[kind] = true
				break
			}
			a.names++
			a.sc.join(g.host(fmt.Sprintf("new-%d", a.names)))
			if !a.sc.fits(kind, a.last()) {
				break
			}
			a.sc.place(kind, 1, a.last())
		}
	}
	a.takeBack(&o, first)
	return o
}

// takeBack moves the hosts from first on out of the scheduler into the option.
func (a *autoscaler) takeBack(o *option, first int) {
	for len(a.sc.hosts) > first {
		h := a.last()
		added := h.added
		for _, b := range added {
			a.sc.bind(b.Group, -b.Count, h)
			o.pods[b.Group] += b.Count
		}
		h.pods = nil
		a.sc.leave()
		if len(added) > 0 {
			o.hosts = append(o.hosts, h)
		}
	}
	slices.Reverse(o.hosts)
}

func (a *autoscaler) last() *host { return a.sc.hosts[len(a.sc.hosts)-1] }

// ontoNew puts up to n pods of a kind onto new nodes that are open already,
// asking them in turn, and returns how many are left.
func (a *autoscaler) ontoNew(kind, n, first, next int) (left, at int) {
	open := a.sc.hosts[first:]
	for ; n > 0 && !a.stop.now(); n-- {
		found := false
		for i := range open {
			at := (next + i) % len(open)
			if a.sc.fits(kind, open[at]) {
				a.sc.place(kind, 1, open[at])
				next, found = at, true
				break
			}
		}
		if !found {
			break
		}
	}
	return n, next
}

// bySize lists kinds of pods that could run on an empty node of the group, the
// largest share of processor and memory first.
func (a *autoscaler) bySize(g *nodeGroup) []int {
	var kinds []int
	score := make([]float64, len(a.left))
	for kind, n := range a.left {
		if n == 0 {
			continue
		}
		r := &a.sc.s.Demand[kind].Requests
		score[kind] = float64(r.CPU)/float64(g.allocatable.CPU) + float64(r.Memory)/float64(g.allocatable.Memory)
		kinds = append(kinds, kind)
	}
	h := g.host("template")
	a.sc.join(h)
	kinds = slices.DeleteFunc(kinds, func(kind int) bool { return !a.sc.fits(kind, h) })
	a.sc.leave()
	slices.SortStableFunc(kinds, func(x, y int) int { return cmp.Compare(score[y], score[x]) })
	return kinds
}

// why says why pods of a group have no place.
func (a *autoscaler) why(kind int) (plan.Code, string) {
	if a.stop.over {
		return Stopped, ""
	}
	d := &a.sc.s.Demand[kind]
	for _, g := range a.groups {
		if admits(d, g.labels, g.Taints) && fits(d.Requests, g.allocatable.Minus(g.daemons)) {
			if a.full[kind] {
				return nodes.PoolLimit, ""
			}
			return nodes.NoDomain, ""
		}
	}
	return nodes.NoOffering, impossible(d, sellers(a.groups))
}
