package sim

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// never is later than any moment of a trace.
const never = time.Duration(math.MaxInt64)

// machine is a node; for strategies that buy one for each pod, a number of
// alike ones.
type machine struct {
	offering catalog.Offering
	pool     string
	labels   map[string]string
	taints   []workload.Taint

	allocatable, daemons unit.Resources
	// pods by group, on each of count.
	pods  []int
	count int
	// From launch it is paid for, from ready it runs pods.
	launch, ready time.Duration
	// idle is since when it is unneeded, end when it is given up, taken when the
	// provider takes it back; never if not.
	idle, end, taken time.Duration
}

// hold keeps pods running that are being moved: until then, at least these run.
type hold struct {
	until time.Duration
	floor []int
	lost  bool // the machine goes, whatever is ordered
}

// cluster is the state of a run. What is decided never depends on how long
// machines boot, so that a slower start can't lead to a luckier history.
type cluster struct {
	s   *plan.Snapshot
	st  Strategy
	rng *rand.Rand

	live, ending []*machine
	assigned     []int // pods by group, on live machines
	holds        []hold
	lastLaunch   time.Duration
	fresh        map[string]bought
	changed      bool // since it was last asked for something cheaper
	weighed      int  // pods when that was last worked out, or more since
	length       time.Duration
	res          Result
}

// bought is a memory of what a strategy buys for a demand in an empty cluster.
type bought struct {
	machines []*machine
	hourly   unit.NanoUSD
	pods     int
}

func newCluster(s *plan.Snapshot, st Strategy, length time.Duration, seed uint64) *cluster {
	return &cluster{
		s: s, st: st, length: length, assigned: make([]int, len(s.Demand)), lastLaunch: -never / 2,
		fresh: map[string]bought{}, rng: rand.New(rand.NewPCG(seed, 7)),
	}
}

// free is what is left on each of the machines.
func (m *machine) free(groups []workload.Group) unit.Resources {
	left := m.allocatable.Minus(m.daemons)
	for g, n := range m.pods {
		if n > 0 {
			left = left.Minus(groups[g].Requests.Times(int64(n)))
		}
	}
	return left
}

func (m *machine) hourly() unit.NanoUSD { return m.offering.Price.Times(int64(m.count)) }

func (m *machine) empty() bool { return sum(m.pods) == 0 }

// admit makes the machine live from an order at a moment.
func (c *cluster) admit(m *machine, launch, ready time.Duration) {
	m.launch, m.ready, m.idle, m.end = launch, ready, never, never
	m.taken = c.lifetime(m, launch)
	c.live = append(c.live, m)
	for g, n := range m.pods {
		c.assigned[g] += n * m.count
	}
	c.changed = true
}

// lifetime draws when a spot machine is taken back.
func (c *cluster) lifetime(m *machine, from time.Duration) time.Duration {
	if m.offering.Capacity != catalog.Spot {
		return never
	}
	perHour := -math.Log1p(-m.offering.Band.Monthly()/100) / unit.HoursPerMonth
	hours := c.rng.ExpFloat64() / perHour
	if hours > 1e6 {
		return never
	}
	return from + time.Duration(hours*float64(time.Hour))
}

// give ends a live machine at a moment and charges for it.
func (c *cluster) give(m *machine, end time.Duration) {
	m.end = end
	for g, n := range m.pods {
		c.assigned[g] -= n * m.count
	}
	c.live = slices.DeleteFunc(c.live, func(o *machine) bool { return o == m })
	c.charge(m)
	c.ending = append(c.ending, m)
	c.changed = true
}

func (c *cluster) charge(m *machine) {
	c.res.Cost = c.res.Cost.Plus(priceOf(m.hourly(), m.launch, min(m.end, c.length)))
}

// hourly is the price of the live machines.
func (c *cluster) hourly() unit.NanoUSD {
	var total unit.NanoUSD
	for _, m := range c.live {
		total = total.Plus(m.hourly())
	}
	return total
}

// release takes pods off that are not wanted any more, from the newest machines
// first, as a ReplicaSet ends its youngest pods.
func (c *cluster) release(g, n int) {
	for i := len(c.live) - 1; i >= 0 && n > 0; i-- {
		m := c.live[i]
		if m.pods[g] == 0 {
			continue
		}
		if c.st.PerPod && m.count > n {
			c.split(m, n)
			m = c.live[len(c.live)-1]
		}
		k := min(n, m.pods[g]*m.count)
		if c.st.PerPod {
			m.pods = make([]int, len(m.pods))
		} else {
			m.pods[g] -= k
		}
		c.assigned[g] -= k
		n -= k
	}
}

// split makes n of a number of alike machines a machine of their own.
func (c *cluster) split(m *machine, n int) {
	part := *m
	part.pods, part.count = slices.Clone(m.pods), n
	m.count -= n
	c.live = append(c.live, &part)
}

// snapshot shows the strategy its machines and a demand.
func (c *cluster) snapshot(at time.Duration, want []int, withNodes bool) *plan.Snapshot {
	s := *c.s
	s.Now = s.Now.Add(at)
	s.Demand = slices.Clone(c.s.Demand)
	for g := range s.Demand {
		s.Demand[g].Count = want[g]
	}
	s.Nodes = nil
	if !withNodes {
		return &s
	}
	for i, m := range c.live {
		n := plan.Node{
			Name: nodeName(i), Pool: m.pool, Offering: m.offering, Labels: maps.Clone(m.labels), Taints: m.taints,
			Allocatable: m.allocatable, Reserved: m.daemons, Initialized: m.ready <= at,
			Created: c.s.Now.Add(m.launch), Changed: c.s.Now.Add(m.launch),
		}
		n.Labels[workload.LabelHostname] = n.Name
		for g, count := range m.pods {
			if count > 0 {
				n.Pods = append(n.Pods, plan.Bound{Group: g, Count: count})
			}
		}
		s.Nodes = append(s.Nodes, n)
	}
	return &s
}
