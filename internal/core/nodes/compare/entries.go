package compare

import (
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/peer"
	"github.com/tatami-platform/tatami/internal/core/nodes/sim"
	"github.com/tatami-platform/tatami/internal/core/plan"
)

// Settings say how the strategies work.
type Settings struct {
	Policy nodes.Policy
	// Effort of Tatami's search; the others do what they do.
	Effort nodes.Effort
	// Services of the region price what is no machine, such as Fargate.
	Services catalog.Services
	Seed     uint64
	// Deadline, by Clock, ends each search of Tatami's; 0 is none.
	Deadline time.Duration
	Clock    func() time.Time
	// Stop ends every strategy early, the others' too: the user's wish to leave.
	// What is not placed by then is pending. Nil is never.
	Stop func() bool
}

// quickSteps is the effort of one of the hundreds of decisions in a simulation.
const quickSteps = 3

// Entries are the strategies by ID, in the order of [IDs]; none means all.
func Entries(set Settings, ids []ID) []Entry {
	var out []Entry
	for _, id := range IDs() {
		if len(ids) == 0 || slices.Contains(ids, id) {
			out = append(out, entry(set, id))
		}
	}
	return out
}

func entry(set Settings, id ID) Entry {
	solve := func(e nodes.Effort) Place {
		return func(s *plan.Snapshot) nodes.Fleet { return nodes.Solve(s, set.Policy, set.until(e)) }
	}
	e := Entry{ID: id}
	switch id {
	case Current:
		e.Name, e.Buys, e.Behaviour = "Today's nodes", Nothing, sim.Current()
		e.Place = peer.Current
	case ClusterAutoscaler:
		e.Name, e.Buys, e.Behaviour = "Cluster Autoscaler", Groups, sim.ClusterAutoscaler()
		e.Place = func(s *plan.Snapshot) nodes.Fleet {
			return peer.Autoscaler(s, peer.AutoscalerSettings{Seed: set.Seed, Stop: set.Stop})
		}
	case Karpenter:
		e.Name, e.Buys, e.Behaviour = "Karpenter", Pools, sim.Karpenter()
		e.Place = func(s *plan.Snapshot) nodes.Fleet {
			return peer.Karpenter(s, peer.KarpenterSettings{Seed: set.Seed, Stop: set.Stop})
		}
	case Fargate:
		e.Name, e.Buys, e.Behaviour = "Fargate", PerPod, sim.Fargate()
		e.Place = func(s *plan.Snapshot) nodes.Fleet { return peer.Fargate(s, set.Services) }
	case ECSASG:
		e.Name, e.Buys, e.Behaviour = "ECS-style ASG", Groups, sim.ECS()
		e.Place = func(s *plan.Snapshot) nodes.Fleet { return peer.ECS(s, peer.ECSSettings{Stop: set.Stop}) }
	case Tatami, TatamiSpot:
		e.Name, e.Buys = "Tatami on-demand", Pools
		if id == TatamiSpot {
			e.Name, e.Buys = "Tatami with spot", PoolsSpot
		}
		e.Behaviour = sim.Tatami(set.Policy.MovePrice, set.Policy.PaybackHours, headroom(set.Policy))
		e.Place, e.Quick = solve(set.Effort), solve(nodes.Effort{Steps: quickSteps})
	}
	if e.Quick == nil {
		e.Quick = e.Place
	}
	return e
}

// until gives a search its deadline from now on.
func (s Settings) until(e nodes.Effort) nodes.Effort {
	if s.Deadline > 0 && s.Clock != nil {
		end := s.Clock().Add(s.Deadline)
		e.Stop = func() bool { return s.Clock().After(end) || s.Stop != nil && s.Stop() }
		return e
	}
	e.Stop = s.Stop
	return e
}

// headroom is what a policy keeps free for load that varies, in percent.
func headroom(p nodes.Policy) int {
	switch p.Name {
	case nodes.Cheapest().Name:
		return 0
	case nodes.Steady().Name:
		return 15
	}
	return 5
}
