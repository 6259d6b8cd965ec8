package compare

import (
	"cmp"
	"math"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// tally adds up what nodes give and pods ask.
type tally struct {
	market             *market
	given, asked       unit.Resources
	spot, undiscounted unit.NanoUSD
	perDay             float64
	pods, most         int
}

// summarise makes the public form of a fleet. Nodes that exist count when the
// strategy keeps them. A nil snapshot leaves out what pods need.
func (m *market) summarise(s *plan.Snapshot, f nodes.Fleet, keeps bool) Strategy {
	out := Strategy{Nodes: []Node{}, Pending: []Pending{}, LowerBoundHourlyUSD: f.Bound}
	t := tally{market: m}
	for _, p := range f.Purchases {
		t.add(&out, s, p)
	}
	if keeps {
		for i := range s.Nodes {
			t.add(&out, s, standing(s, f, i))
		}
	}
	out.Nodes = merge(out.Nodes)
	for _, p := range f.Pending {
		if p.Count <= 0 {
			continue
		}
		out.Pending = append(out.Pending, Pending{s.Demand[p.Group].Owner.String(), p.Count, p.Code, p.Text})
	}
	out.MonthlyUSD = out.HourlyUSD.Monthly()
	out.MonthlyRangeUSD = Range{out.MonthlyUSD, t.undiscounted.Monthly()}
	out.PackedCPU = share(int64(t.asked.CPU), int64(t.given.CPU))
	out.PackedMemory = share(int64(t.asked.Memory), int64(t.given.Memory))
	out.Risk = Risk{
		Level: level(t.perDay), InterruptionsPerDay: round(t.perDay, 4),
		SpotShare: share(int64(t.spot), int64(out.HourlyUSD)), LargestNodeShare: share(int64(t.most), int64(t.pods)),
	}
	return out
}

// standing is a node that exists as if it were bought.
func standing(s *plan.Snapshot, f nodes.Fleet, i int) nodes.Purchase {
	n := &s.Nodes[i]
	p := nodes.Purchase{
		Pool: n.Pool, Offering: n.Offering, Count: 1, Daemons: n.Reserved, Allocatable: n.Allocatable,
		Pods: slices.Clone(n.Pods),
	}
	for _, placed := range f.Placed {
		if placed.Node == i {
			p.Pods = append(p.Pods, placed.Pods...)
		}
	}
	return p
}

func (t *tally) add(out *Strategy, s *plan.Snapshot, p nodes.Purchase) {
	n := Node{
		CapacityType: p.Offering.Capacity, Zone: p.Offering.Zone, Pool: p.Pool, Count: p.Count, HourlyUSD: p.Offering.Price,
		CPUMillis: int64(p.Allocatable.CPU), MemoryBytes: int64(p.Allocatable.Memory),
		DaemonCPU:    share(int64(p.Daemons.CPU), int64(p.Allocatable.CPU)),
		DaemonMemory: share(int64(p.Daemons.Memory), int64(p.Allocatable.Memory)),
		Pods:         []Pods{},
	}
	if p.Offering.Shape != nil {
		n.InstanceType, n.Arch = p.Offering.Shape.Name, p.Offering.Shape.Arch
	}
	var asked unit.Resources
	pods := 0
	for _, b := range p.Pods {
		if s == nil || b.Count == 0 {
			continue
		}
		requests := s.Demand[b.Group].Requests.Times(int64(b.Count))
		asked = asked.Plus(requests)
		pods += b.Count
		n.add(Pods{
			s.Demand[b.Group].Owner.String(), b.Count,
			share(int64(requests.CPU), n.CPUMillis), share(int64(requests.Memory), n.MemoryBytes),
		})
	}
	n.CPUShare, n.MemoryShare = share(int64(asked.CPU), n.CPUMillis), share(int64(asked.Memory), n.MemoryBytes)
	count := int64(p.Count)
	total := p.Offering.Price.Times(count)
	out.Nodes = append(out.Nodes, n)
	out.NodeCount += p.Count
	out.HourlyUSD = out.HourlyUSD.Plus(total)
	t.given, t.asked = t.given.Plus(p.Allocatable.Times(count)), t.asked.Plus(asked.Times(count))
	t.pods, t.most = t.pods+pods*p.Count, max(t.most, pods)
	t.risk(p, total)
}

// risk counts what spot capacity may do to the plan.
func (t *tally) risk(p nodes.Purchase, total unit.NanoUSD) {
	if p.Offering.Capacity != catalog.Spot {
		t.undiscounted = t.undiscounted.Plus(total)
		return
	}
	t.spot = t.spot.Plus(total)
	t.perDay += float64(p.Count) * -math.Log1p(-p.Offering.Band.Monthly()/100) * 24 / unit.HoursPerMonth
	t.undiscounted = t.undiscounted.Plus(max(t.market.onDemand[p.Offering.Shape], p.Offering.Price).Times(int64(p.Count)))
}

// add puts pods of the same workload together.
func (n *Node) add(p Pods) {
	for i := range n.Pods {
		if o := &n.Pods[i]; o.Workload == p.Workload {
			o.Count += p.Count
			o.CPUShare, o.MemoryShare = round(o.CPUShare+p.CPUShare, 4), round(o.MemoryShare+p.MemoryShare, 4)
			return
		}
	}
	n.Pods = append(n.Pods, p)
}

// merge puts nodes together that are alike, the dearest first.
func merge(all []Node) []Node {
	var out []Node
	for _, n := range all {
		slices.SortFunc(n.Pods, func(a, b Pods) int {
			return cmp.Or(cmp.Compare(b.CPUShare, a.CPUShare), cmp.Compare(a.Workload, b.Workload))
		})
		i := slices.IndexFunc(out, func(o Node) bool { return alike(o, n) })
		if i >= 0 {
			out[i].Count += n.Count
			continue
		}
		out = append(out, n)
	}
	slices.SortStableFunc(out, func(a, b Node) int {
		return cmp.Or(
			cmp.Compare(b.HourlyUSD.Times(int64(b.Count)), a.HourlyUSD.Times(int64(a.Count))),
			cmp.Compare(a.InstanceType, b.InstanceType), cmp.Compare(a.Zone, b.Zone),
		)
	})
	if out == nil {
		return []Node{}
	}
	return out
}

func alike(a, b Node) bool {
	return a.InstanceType == b.InstanceType && a.CapacityType == b.CapacityType && a.Zone == b.Zone && a.Pool == b.Pool &&
		a.HourlyUSD == b.HourlyUSD && a.CPUMillis == b.CPUMillis && a.MemoryBytes == b.MemoryBytes && slices.Equal(a.Pods, b.Pods)
}

func level(perDay float64) RiskLevel {
	switch {
	case perDay == 0:
		return RiskNone
	case perDay < 0.1:
		return RiskLow
	case perDay < 1:
		return RiskMedium
	}
	return RiskHigh
}

// share is a over b with four decimals, 0 without b.
func share(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return round(float64(a)/float64(b), 4)
}

func round(x float64, decimals int) float64 {
	p := math.Pow10(decimals)
	return math.Round(x*p) / p
}
