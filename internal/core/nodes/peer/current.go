package peer

import (
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// NoRoom is the code of pods for which today's nodes have no room.
const NoRoom plan.Code = "NoRoom"

// Current buys nothing: pods without a place go onto nodes that exist, as
// Kubernetes' scheduler puts them there, each onto the emptiest one that takes
// it; the rest is pending.
func Current(s *plan.Snapshot) nodes.Fleet {
	sc := newScheduler(s)
	sc.joinNodes()
	left := pendingPods(s, nil)
	for progress := true; progress; {
		progress = false
		for _, g := range byPriority(s, left) {
			for left[g] > 0 {
				h := sc.emptiest(g)
				if h == nil {
					break
				}
				sc.place(g, 1, h)
				left[g]--
				progress = true
			}
		}
	}
	f := fleetOf(sc, left, func(int) (plan.Code, string) { return NoRoom, "" })
	for i := range f.Pending {
		f.Pending[i].Text = "No node of today takes it."
	}
	return f
}

// emptiest is the host with the largest free share that takes a pod of the
// group, as the scheduler's score LeastAllocated prefers it.
func (sc *scheduler) emptiest(group int) *host {
	var best *host
	most := 0.0
	for _, h := range sc.hosts {
		if score := freeShare(h.free, h.allocatable); (best == nil || score > most) && sc.fits(group, h) {
			best, most = h, score
		}
	}
	return best
}

func freeShare(free, of unit.Resources) float64 {
	return float64(free.CPU)/float64(max(of.CPU, 1)) + float64(free.Memory)/float64(max(of.Memory, 1))
}
