package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// expire gives up empty machines whose time is over.
func (c *cluster) expire(now time.Duration) {
	for _, m := range slices.Clone(c.live) {
		if m.idle != never && m.empty() && m.idle+c.st.Remove <= now {
			c.give(m, m.idle+c.st.Remove)
		}
	}
}

// interrupt lets the provider take back the machines whose time has come; their
// pods need another place, and run until the notice is over.
func (c *cluster) interrupt(now time.Duration) {
	for _, m := range slices.Clone(c.live) {
		if m.taken > now {
			continue
		}
		running := c.running(now)
		for i := range c.holds {
			for g, n := range m.pods {
				if !c.holds[i].lost {
					c.holds[i].floor[g] = max(c.holds[i].floor[g]-n, 0)
				}
			}
		}
		c.holds = append(c.holds, hold{now + spotNotice, running, true})
		c.res.Interruptions++
		c.res.Moved += sum(m.pods)
		c.give(m, now+spotNotice)
	}
}

// empty gives up machines whose pods fit on the others, the dearest for what it
// carries first.
func (c *cluster) empty(now time.Duration) {
	all := slices.Clone(c.live)
	slices.SortStableFunc(all, func(a, b *machine) int { return cmp.Compare(sum(a.pods), sum(b.pods)) })
	for _, m := range all {
		if !m.empty() && c.worth(m.hourly(), sum(m.pods)) && c.drain(m) {
			c.give(m, now+c.st.Remove)
		}
	}
}

// improve replaces the machines by what the strategy would buy afresh, when that
// is cheaper. Machines that both have stay; the others go when the new ones run.
func (c *cluster) improve(now time.Duration, want []int) {
	c.changed = false
	if !c.st.Repack {
		return
	}
	c.empty(now)
	pods := sum(c.assigned)
	if pods <= c.weighed && pods*100 > c.weighed*(100-c.st.Least) {
		return // too little has changed for it to be worth while
	}
	c.weighed = pods
	b := c.anew(want)
	if b.pods < sum(c.assigned) || b.hourly >= c.hourly().MulDiv(int64(100-c.st.Least), 100) {
		return
	}
	kept, bought := match(c.live, b.machines)
	if moved := c.moves(kept); c.worth(c.hourly()-b.hourly, moved) {
		c.res.Moved += moved
		c.exchange(now, kept, bought)
	}
}

// moves counts the pods that would go elsewhere.
func (c *cluster) moves(kept map[*machine]*machine) int {
	moved := 0
	for _, m := range c.live {
		if kept[m] == nil {
			moved += sum(m.pods)
			continue
		}
		for g, n := range kept[m].pods {
			moved += max(n-m.pods[g], 0)
		}
	}
	return moved
}

// exchange orders what is new and gives up what is not kept.
func (c *cluster) exchange(now time.Duration, kept map[*machine]*machine, bought []*machine) {
	launch := now + c.st.Remove
	end := launch
	if len(bought) > 0 {
		end += c.st.Boot
	}
	c.holds = append(c.holds, hold{end, c.running(now), false})
	for _, m := range slices.Clone(c.live) {
		if kept[m] == nil {
			c.give(m, end)
			continue
		}
		for g, n := range kept[m].pods {
			c.assigned[g] += n - m.pods[g]
			m.pods[g] = n
		}
	}
	for _, m := range bought {
		c.admit(m.copy(), launch, end)
	}
	c.changed = false
}

// match pairs live machines with bought ones of the same offering and pool.
func match(live, wanted []*machine) (kept map[*machine]*machine, bought []*machine) {
	kept = map[*machine]*machine{}
	for _, w := range wanted {
		i := slices.IndexFunc(live, func(m *machine) bool {
			return kept[m] == nil && m.pool == w.pool && same(m.offering, w.offering)
		})
		if i < 0 {
			bought = append(bought, w)
			continue
		}
		kept[live[i]] = w
	}
	return kept, bought
}

func same(a, b catalog.Offering) bool {
	return a.Shape == b.Shape && a.Zone == b.Zone && a.Capacity == b.Capacity
}

// mark notes since when machines are unneeded, and drains those whose pods fit
// elsewhere when the strategy does that.
func (c *cluster) mark(now time.Duration) {
	added := c.lastLaunch >= now
	for _, m := range slices.Clone(c.live) {
		switch {
		case !m.empty() && !c.spare(m), c.st.Below > 0 && added:
			m.idle = never
		case m.idle == never:
			m.idle = now
		}
		if c.st.PerPod && m.empty() {
			c.give(m, now)
		}
		if c.st.Below > 0 && m.idle != never && m.idle+c.st.Remove <= now && c.drain(m) {
			c.give(m, now)
		}
	}
}

// spare says whether a machine is used so little that it may be drained.
func (c *cluster) spare(m *machine) bool {
	if c.st.Below == 0 {
		return false
	}
	used := m.allocatable.Minus(m.free(c.s.Demand))
	return int64(used.CPU)*100 <= int64(m.allocatable.CPU)*int64(c.st.Below) &&
		int64(used.Memory)/100*100 <= int64(m.allocatable.Memory)/100*int64(c.st.Below)
}

// drain moves all pods of a machine to others, or none.
func (c *cluster) drain(m *machine) bool {
	type move struct {
		to   *machine
		g, n int
	}
	var moves []move
	undo := func() {
		for _, v := range moves {
			v.to.pods[v.g] -= v.n
		}
	}
	for g, n := range m.pods {
		for _, to := range c.live {
			if n == 0 {
				break
			}
			if k := min(n, c.room(m, to, g)); k > 0 {
				to.pods[g] += k
				moves = append(moves, move{to, g, k})
				n -= k
			}
		}
		if n > 0 {
			undo()
			return false
		}
	}
	c.res.Moved += sum(m.pods)
	for _, v := range moves {
		c.assigned[v.g] += v.n
	}
	return true
}

// room is how many pods of a group may move from one machine to another. It is
// careful with constraints among pods: within the zone, and one on a node.
func (c *cluster) room(from, to *machine, g int) int {
	group := &c.s.Demand[g]
	if from == to || to.idle != never || to.empty() || nodes.Refusal(group, to.labels, to.taints) != "" {
		return 0
	}
	perNode, zonal := tied(group)
	if zonal && from.offering.Zone != to.offering.Zone || perNode && to.pods[g] > 0 {
		return 0
	}
	most := from.pods[g]
	if perNode {
		most = min(most, 1)
	}
	free, n := to.free(c.s.Demand), 0
	for n < most && group.Requests.Times(int64(n+1)).Fits(free) {
		n++
	}
	return n
}

// tied says whether a group's place depends on other pods of its node or zone.
func tied(g *workload.Group) (perNode, zonal bool) {
	keys := make([]string, 0, len(g.Spread)+len(g.Affinity)+len(g.AntiAffinity))
	for _, s := range g.Spread {
		keys = append(keys, s.TopologyKey)
	}
	for _, t := range slices.Concat(g.Affinity, g.AntiAffinity) {
		keys = append(keys, t.TopologyKey)
	}
	return slices.Contains(keys, workload.LabelHostname), slices.Contains(keys, workload.LabelZone)
}

// running is how many pods of each group run at a moment.
func (c *cluster) running(now time.Duration) []int {
	out := make([]int, len(c.assigned))
	for _, m := range c.live {
		if m.ready > now {
			continue
		}
		for g, n := range m.pods {
			out[g] += n * m.count
		}
	}
	for _, h := range c.holds {
		if h.until > now {
			raise(out, h.floor)
		}
	}
	return out
}

// meter counts what was wanted and did not run between two moments, and drops
// what is over.
func (c *cluster) meter(from, to time.Duration, actual []int) {
	cuts := []time.Duration{from, to}
	for _, m := range c.live {
		if m.ready > from && m.ready < to {
			cuts = append(cuts, m.ready)
		}
	}
	for _, h := range c.holds {
		if h.until > from && h.until < to {
			cuts = append(cuts, h.until)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for i, at := range cuts[:len(cuts)-1] {
		lacking := 0
		for g, n := range c.running(at) {
			lacking += max(actual[g]-n, 0)
		}
		millis := (cuts[i+1] - at).Milliseconds()
		c.res.UnmetPodSeconds += int64(lacking) * millis
		if lacking > 0 {
			c.res.UnmetSeconds += millis
			c.res.Series[len(c.res.Series)-1].Waiting += cuts[i+1] - at
		}
	}
	c.holds = slices.DeleteFunc(c.holds, func(h hold) bool { return h.until <= to })
	c.ending = slices.DeleteFunc(c.ending, func(m *machine) bool { return m.end <= to })
}

// sample notes the state after a decision.
func (c *cluster) sample(now time.Duration, actual []int) {
	p := Sample{At: now, Wanted: sum(actual)}
	for g, n := range c.running(now) {
		p.Running += min(n, actual[g])
	}
	for _, m := range slices.Concat(c.live, c.ending) {
		if m.launch <= now && m.end > now {
			p.Nodes += m.count
			p.Hourly = p.Hourly.Plus(m.hourly())
		}
	}
	c.res.PeakNodes = max(c.res.PeakNodes, p.Nodes)
	if n := len(c.res.Series); n > 0 && c.res.Series[n-1].At == now {
		c.res.Series[n-1] = p
		return
	}
	c.res.Series = append(c.res.Series, p)
}
