package peer

import (
	"cmp"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// ScaleDownSettings are flags of Cluster Autoscaler; zero values are its
// defaults.
type ScaleDownSettings struct {
	// UtilizationPercent is below which a node is underused; 0 is 50.
	UtilizationPercent int
	// Unneeded is how long it must have been so, and AfterAdd how long nothing
	// must have been added; 0 is 10 minutes.
	Unneeded, AfterAdd time.Duration
	// Parallel is how many nodes go in one loop, Drains how many of them may have
	// pods; 0 is 10 and 1.
	Parallel, Drains int
}

// ScaleDown is one loop of Cluster Autoscaler's scale-down: underused nodes
// whose pods fit onto others that exist are deleted, empty ones first. Pods
// never wait for a cheaper node: nothing is bought.
func ScaleDown(s *plan.Snapshot, set ScaleDownSettings) Command {
	d := &scaleDown{s: s, set: ScaleDownSettings{
		UtilizationPercent: cmp.Or(set.UtilizationPercent, 50),
		Unneeded:           cmp.Or(set.Unneeded, 10*time.Minute), AfterAdd: cmp.Or(set.AfterAdd, 10*time.Minute),
		Parallel: cmp.Or(set.Parallel, 10), Drains: cmp.Or(set.Drains, 1),
	}, sc: newScheduler(s), size: sizes(s), used: map[*host]bool{}, gone: map[*host]bool{}}
	if d.justAdded() {
		return Command{}
	}
	d.sc.joinNodes()
	var cmd Command
	for _, h := range d.candidates() {
		if len(cmd.Delete) < d.set.Parallel && d.remove(h) {
			cmd.Delete = append(cmd.Delete, h.node)
		}
	}
	slices.Sort(cmd.Delete)
	for _, h := range d.sc.hosts {
		pods := slices.DeleteFunc(h.added, func(b plan.Bound) bool { return b.Count == 0 }) // moves taken back
		if len(pods) > 0 {
			cmd.Moves = append(cmd.Moves, nodes.Placed{Node: h.node, Pods: pods})
		}
	}
	slices.SortFunc(cmd.Moves, func(a, b nodes.Placed) int { return a.Node - b.Node })
	cmd.Hourly = -priceOf(s, cmd.Delete)
	return cmd
}

type scaleDown struct {
	s      *plan.Snapshot
	set    ScaleDownSettings
	sc     *scheduler
	size   map[string]int
	drains int
	// used are nodes that pods move to; they are needed then.
	used, gone map[*host]bool
}

func (d *scaleDown) justAdded() bool {
	return slices.ContainsFunc(d.s.Nodes, func(n plan.Node) bool { return d.s.Now.Sub(n.Created) < d.set.AfterAdd })
}

// candidates lists underused nodes, those without pods first.
func (d *scaleDown) candidates() []*host {
	var out []*host
	for _, h := range d.sc.hosts {
		n := &d.s.Nodes[h.node]
		g := d.group(n)
		if g == nil || !n.Initialized || pinned(d.s, n) || d.s.Now.Sub(n.Changed) < d.set.Unneeded ||
			utilization(n, h)*100 >= float64(d.set.UtilizationPercent) {
			continue
		}
		out = append(out, h)
	}
	slices.SortStableFunc(out, func(a, b *host) int {
		x, y := isEmpty(&d.s.Nodes[a.node]), isEmpty(&d.s.Nodes[b.node])
		if x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.name, b.name)
	})
	return out
}

func (d *scaleDown) group(n *plan.Node) *workload.NodeGroup {
	for i := range d.s.NodeGroups {
		if d.s.NodeGroups[i].Name == n.Pool {
			return &d.s.NodeGroups[i]
		}
	}
	return nil
}

// utilization is the larger share of processor and memory that is requested,
// DaemonSets included.
func utilization(n *plan.Node, h *host) float64 {
	used := n.Allocatable.Minus(h.free).Max(unit.Resources{})
	return max(float64(used.CPU)/float64(max(n.Allocatable.CPU, 1)), float64(used.Memory)/float64(max(n.Allocatable.Memory, 1)))
}

// remove moves the pods of a node to others, if all fit; else it leaves all as
// it was.
func (d *scaleDown) remove(h *host) bool {
	n := &d.s.Nodes[h.node]
	empty := isEmpty(n)
	if d.used[h] || d.size[n.Pool] <= d.group(n).Min || !empty && d.drains >= d.set.Drains {
		return false
	}
	d.gone[h] = true
	type move struct {
		group int
		to    *host
	}
	var moves []move
	for _, b := range n.Pods {
		for range b.Count {
			d.sc.bind(b.Group, -1, h)
			to := d.target(b.Group)
			if to == nil {
				d.sc.bind(b.Group, 1, h)
				for _, m := range slices.Backward(moves) {
					d.sc.place(m.group, -1, m.to)
					d.sc.bind(m.group, 1, h)
				}
				delete(d.gone, h)
				return false
			}
			d.sc.place(b.Group, 1, to)
			moves = append(moves, move{b.Group, to})
		}
	}
	for _, m := range moves {
		d.used[m.to] = true
	}
	if !empty {
		d.drains++
	}
	d.size[n.Pool]--
	return true
}

func (d *scaleDown) target(group int) *host {
	for _, h := range d.sc.hosts {
		if !d.gone[h] && d.sc.fits(group, h) {
			return h
		}
	}
	return nil
}
