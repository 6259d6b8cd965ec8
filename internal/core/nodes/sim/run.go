package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Strategy is what is put to the test: how it places pods, and how fast.
type Strategy struct {
	// Place answers with what to buy for the pods of a snapshot that have no
	// place, and which of them go onto nodes that it has.
	Place func(*plan.Snapshot) nodes.Fleet
	Behaviour
}

// spotNotice is how long before a spot machine goes AWS says so.
const spotNotice = 2 * time.Minute

// Run plays the trace. The demand of the snapshot is the load at factor 1. A
// strategy begins with what it would have bought for the first moment; a fixed
// one with the nodes of the snapshot. Draws follow the seed.
func Run(s *plan.Snapshot, st Strategy, t Trace, seed uint64) Result {
	c := newCluster(s, st, t.Length, seed)
	l := loadOf(t, s.Demand)
	c.begin(l.want[0])
	moments := slices.Clone(l.at)
	if st.Ahead > 0 {
		for _, at := range l.at {
			moments = append(moments, at+day-st.Ahead)
		}
		slices.Sort(moments)
	}
	for now := time.Duration(0); now < t.Length; {
		actual := l.when(now)
		c.decide(now, c.wanted(l, now))
		c.sample(now, actual)
		next := c.next(now, moments)
		c.meter(now, next, actual)
		now = next
	}
	for _, m := range slices.Clone(c.live) {
		if m.idle != never && m.empty() {
			m.end = m.idle + st.Remove
		}
		c.charge(m)
	}
	c.res.UnmetPodSeconds /= 1000
	c.res.UnmetSeconds /= 1000
	return c.res
}

// begin fills the cluster with what runs already.
func (c *cluster) begin(want []int) {
	if c.st.Fixed {
		for _, m := range c.existing(want) {
			c.admit(m, 0, 0)
		}
		return
	}
	for _, m := range c.anew(want).machines {
		c.admit(m.copy(), 0, 0)
	}
	c.changed, c.weighed = false, sum(c.assigned)
}

// next is the next moment at which something is to be decided.
func (c *cluster) next(now time.Duration, moments []time.Duration) time.Duration {
	next := c.length
	if i, _ := slices.BinarySearch(moments, now+1); i < len(moments) {
		next = min(next, moments[i])
	}
	for _, m := range c.live {
		if m.taken > now {
			next = min(next, m.taken)
		}
		if c.st.Below > 0 && m.idle != never && m.idle+c.st.Remove > now {
			next = min(next, m.idle+c.st.Remove)
		}
	}
	return next
}

// wanted is what the strategy provides for: what is asked now, or was a day ago
// up to Ahead later, and headroom on what varies.
func (c *cluster) wanted(l load, now time.Duration) []int {
	want := slices.Clone(l.when(now))
	if c.st.Ahead == 0 && c.st.Headroom == 0 {
		return want
	}
	if from := now + c.st.Ahead - day; from >= 0 {
		raise(want, l.most(max(now-day, 0), from))
	}
	for g := range want {
		if l.varies(g) {
			want[g] = (want[g]*(100+c.st.Headroom) + 50) / 100
		}
	}
	return want
}

// varies says whether a group's load ever changes.
func (l load) varies(g int) bool {
	return slices.ContainsFunc(l.want, func(row []int) bool { return row[g] != l.want[0][g] })
}

// decide is one round of the strategy.
func (c *cluster) decide(now time.Duration, want []int) {
	if c.st.Fixed {
		c.fit(want)
		return
	}
	c.expire(now)
	c.interrupt(now)
	for g, n := range want {
		if c.assigned[g] > n {
			c.release(g, c.assigned[g]-n)
			c.changed = true
		}
		for i := range c.holds {
			c.holds[i].floor[g] = min(c.holds[i].floor[g], n)
		}
	}
	if slices.ContainsFunc(c.short(want), func(n int) bool { return n > 0 }) {
		c.order(now, want)
	} else if c.changed {
		c.improve(now, want)
	}
	c.mark(now)
}

// fit runs as many pods as are wanted and fit on machines that never change.
func (c *cluster) fit(want []int) {
	for g := range want {
		c.release(g, max(c.assigned[g]-want[g], 0))
	}
	if !slices.ContainsFunc(c.short(want), func(n int) bool { return n > 0 }) {
		return
	}
	c.take(c.st.Place(c.snapshot(0, want, true)), c.short(want))
}

// short is how many pods of each group have no place.
func (c *cluster) short(want []int) []int {
	out := make([]int, len(want))
	for g, n := range want {
		out[g] = max(n-c.assigned[g], 0)
	}
	return out
}

// take puts pods onto machines that are there and returns what is still short.
func (c *cluster) take(f nodes.Fleet, missing []int) []int {
	for _, p := range f.Placed {
		if p.Node < 0 || p.Node >= len(c.live) {
			continue
		}
		for _, b := range p.Pods {
			k := min(b.Count, missing[b.Group])
			c.live[p.Node].pods[b.Group] += k
			c.assigned[b.Group] += k
			missing[b.Group] -= k
		}
	}
	return missing
}

// order buys what is short.
func (c *cluster) order(now time.Duration, want []int) {
	missing := c.short(want)
	demand, withNodes := want, true
	if c.st.PerPod {
		demand, withNodes = missing, false
	}
	f := c.st.Place(c.snapshot(now, demand, withNodes))
	if withNodes {
		missing = c.take(f, missing)
	}
	launch := max(now+c.st.React, c.lastLaunch+c.st.Gap)
	for _, m := range c.machines(f, missing) {
		c.admit(m, launch, launch+c.st.Boot)
		c.lastLaunch = launch
	}
	c.changed = true
	c.weighed = max(c.weighed, sum(c.assigned))
}

// anew is what the strategy buys for a demand in an empty cluster.
func (c *cluster) anew(want []int) bought {
	key := fmt.Sprint(want)
	if b, ok := c.fresh[key]; ok {
		return b
	}
	var b bought
	if sum(want) > 0 {
		b.machines = c.machines(c.st.Place(c.snapshot(0, want, false)), slices.Clone(want))
	}
	for _, m := range b.machines {
		b.hourly = b.hourly.Plus(m.hourly())
		b.pods += sum(m.pods) * m.count
	}
	c.fresh[key] = b
	return b
}

func (m *machine) copy() *machine {
	out := *m
	out.pods = slices.Clone(m.pods)
	return &out
}

// worth says whether a saving per hour pays for the pods that move for it.
func (c *cluster) worth(saving unit.NanoUSD, moved int) bool {
	if c.st.MovePrice == 0 {
		return saving > 0
	}
	return saving.Times(int64(c.st.Payback)) > c.st.MovePrice.Times(int64(moved))
}
