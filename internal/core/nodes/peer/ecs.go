package peer

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// ECSSettings are those of a capacity provider with managed scaling.
type ECSSettings struct {
	// TargetCapacity is the share of instances that should be needed, in percent;
	// 0 is 100. Below it, instances stand by.
	TargetCapacity int
	// Stop is asked now and then, if it is given: once it says so, the rest of the
	// pods stays pending.
	Stop func() bool
}

// ECS buys as Auto Scaling groups behind ECS capacity providers do. Each node
// group is one provider over all of its zones. A pod uses the first group whose
// instances can hold it; tasks are packed by memory, onto the instance that has
// the least left; the group spreads its instances over zones. Of each group as
// many run as make needed ÷ running × 100 the target capacity.
func ECS(s *plan.Snapshot, set ECSSettings) nodes.Fleet {
	view := *s
	if len(view.NodeGroups) == 0 {
		view.NodeGroups = DefaultNodeGroups(view.Offers)
	}
	e := &ecs{sc: newScheduler(&view), groups: nodeGroups(&view), size: sizes(&view), perZone: map[*nodeGroup]int{}, stop: patience{ask: set.Stop}}
	e.sc.joinNodes()
	for _, g := range e.groups {
		e.sc.known(g.labels, g.Taints)
	}
	left := pendingPods(&view, nil)
	for progress := true; progress; {
		progress = false
		for _, g := range e.bySize(left) {
			for left[g] > 0 {
				placed := e.run(g, left[g])
				if placed == 0 {
					break
				}
				left[g] -= placed
				progress = true
			}
		}
	}
	e.standBy(cmp.Or(set.TargetCapacity, 100))
	return fleetOf(e.sc, left, e.why)
}

type ecs struct {
	sc      *scheduler
	groups  []*nodeGroup
	size    map[string]int
	perZone map[*nodeGroup]int
	names   int
	stop    patience
}

// bySize lists groups of pods, the largest memory first: the service places
// tasks in any order, and this one packs best.
func (e *ecs) bySize(left []int) []int {
	order := byPriority(e.sc.s, left)
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := e.sc.s.Demand[a].Requests, e.sc.s.Demand[b].Requests
		return cmp.Or(cmp.Compare(y.Memory, x.Memory), cmp.Compare(y.CPU, x.CPU))
	})
	return order
}

// run places a pod and says how many it placed: where nothing but room counts,
// further ones of up to n go to the same instance, as it has the least left now.
func (e *ecs) run(group, n int) int {
	if e.stop.now() {
		return 0
	}
	h := e.one(group)
	if h == nil {
		return 0
	}
	placed := 1
	for e.sc.unrelated(group) && placed < n && e.sc.fits(group, h) {
		e.sc.place(group, 1, h)
		placed++
	}
	return placed
}

// one places a pod on the instance with the least memory left that takes it,
// else on a new one.
func (e *ecs) one(group int) *host {
	var best *host
	for _, h := range e.sc.hosts {
		if (best == nil || h.free.Memory < best.free.Memory) && e.sc.fits(group, h) {
			best = h
		}
	}
	if best != nil {
		e.sc.place(group, 1, best)
		return best
	}
	for _, g := range e.providers(group) {
		if g.Max > 0 && e.size[g.Name] >= g.Max {
			continue
		}
		h := e.launch(g)
		if e.sc.fits(group, h) {
			e.sc.place(group, 1, h)
			return h
		}
		e.withdraw(g)
	}
	return nil
}

// providers lists the zones of the group that pods use, the emptiest first.
func (e *ecs) providers(group int) []*nodeGroup {
	var out []*nodeGroup
	for _, g := range e.groups {
		if (len(out) == 0 || out[0].Name == g.Name) && e.holds(g, group) {
			out = append(out, g)
		}
	}
	slices.SortStableFunc(out, func(a, b *nodeGroup) int { return e.perZone[a] - e.perZone[b] })
	return out
}

func (e *ecs) holds(g *nodeGroup, group int) bool {
	d := &e.sc.s.Demand[group]
	return admits(d, g.labels, g.Taints) && fits(d.Requests, g.allocatable.Minus(g.daemons)) && !workload.PortsConflict(d.HostPorts, g.ports)
}

func (e *ecs) launch(g *nodeGroup) *host {
	e.names++
	h := g.host(fmt.Sprintf("instance-%d", e.names))
	e.sc.join(h)
	e.size[g.Name]++
	e.perZone[g]++
	return h
}

func (e *ecs) withdraw(g *nodeGroup) {
	e.sc.leave()
	e.size[g.Name]--
	e.perZone[g]--
}

// standBy adds instances without tasks until the reservation of each group is
// the target: running = ceil(needed × 100 ÷ target).
func (e *ecs) standBy(target int) {
	target = min(max(target, 1), 100)
	needed := map[string]int{}
	for _, h := range e.sc.hosts {
		if h.group != nil {
			needed[h.group.Name]++
		}
	}
	for i, g := range e.groups {
		if slices.ContainsFunc(e.groups[:i], func(o *nodeGroup) bool { return o.Name == g.Name }) {
			continue
		}
		running := (needed[g.Name]*100 + target - 1) / target
		for n := needed[g.Name]; n < running && (g.Max == 0 || e.size[g.Name] < g.Max); n++ {
			e.launch(e.emptiestZone(g.Name))
		}
	}
}

func (e *ecs) emptiestZone(name string) *nodeGroup {
	var best *nodeGroup
	for _, g := range e.groups {
		if g.Name == name && (best == nil || e.perZone[g] < e.perZone[best]) {
			best = g
		}
	}
	return best
}

func (e *ecs) why(group int) (plan.Code, string) {
	zones := e.providers(group)
	switch {
	case e.stop.over:
		return Stopped, ""
	case len(zones) == 0:
		return nodes.NoOffering, impossible(&e.sc.s.Demand[group], sellers(e.groups))
	case zones[0].Max > 0 && e.size[zones[0].Name] >= zones[0].Max:
		return nodes.PoolLimit, ""
	}
	return nodes.NoDomain, ""
}
