package compare

import (
	"time"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/sim"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Place is how a strategy answers a snapshot: what to buy for the pods without
// a place, and which of them go onto nodes that exist.
type Place func(*plan.Snapshot) nodes.Fleet

// Entry is a strategy as the engine runs it.
type Entry struct {
	ID   ID
	Name string
	// Place answers in full, Quick with little effort: simulations ask hundreds
	// of times.
	Place, Quick Place
	// Buys says in which market.
	Buys      Market
	Behaviour sim.Behaviour
}

// Market is what a strategy may buy from.
type Market int

// The markets.
const (
	// Nothing: it has the nodes of today.
	Nothing Market = iota
	// Pools on demand, and Groups: node groups, on demand unless they say spot.
	Pools
	Groups
	// PoolsSpot adds spot capacity to the pools.
	PoolsSpot
	// PerPod buys a machine for each pod, and needs no offers.
	PerPod
)

// Request is what to compare.
type Request struct {
	// Snapshot has the demand, pools, node groups and nodes of today, with prices;
	// its Offers are all that the region sells, spot and every architecture
	// included.
	Snapshot *plan.Snapshot
	Entries  []Entry
	// Arch is what unknown images run on: amd64, arm64 or any.
	Arch string
	// SpotPercent is how much of each workload may run on spot capacity.
	SpotPercent int
	// MovePrice and the like are in the behaviours; Preset is the policy's name.
	Preset string
	// Trace is played as well when it is not nil; Seed draws its interruptions.
	Trace *sim.Trace
	Seed  uint64
	// Clock times the strategies and dates the report.
	Clock func() time.Time
	// Stopped, when given, is asked between strategies; the rest is left out then.
	Stopped func() bool
	// Progress, when given, hears what is going on.
	Progress func(step string)

	Name, Digest string
	Workloads    int
	Book         PriceBook
	NotCovered   []NotCovered
	Assumptions  []Statement
	Errors       []string
	Tool         Tool
	// Deadline of Tatami's search, for the record; 0 is none.
	Deadline time.Duration

	redact bool
}

// run is one comparison.
type run struct {
	Request
	market *market
	report Report
}

// Run compares. It has no errors of its own: what cannot be placed is pending
// in the report.
func Run(req Request) Report {
	r := &run{Request: req, market: newMarket(req)}
	r.report = Report{
		APIVersion: APIVersion, Kind: Kind, GeneratedAt: req.Clock().UTC().Truncate(time.Second), Tool: req.Tool,
		Inputs: r.inputs(), Security: []Finding{}, Strategies: []Strategy{}, Recommendations: []Recommendation{},
		Waterfall: []Step{}, NotCovered: append(Uncounted(), req.NotCovered...), Errors: append([]string{}, req.Errors...),
	}
	for _, e := range req.Entries {
		if e.Buys == Nothing && len(req.Snapshot.Nodes) == 0 {
			continue
		}
		if req.Stopped != nil && req.Stopped() {
			break
		}
		r.report.Strategies = append(r.report.Strategies, r.strategy(e))
	}
	r.relate()
	r.report.Waterfall = r.waterfall()
	r.report.Recommendations = r.recommend()
	r.report.Verdict = r.verdict()
	r.report.Assumptions = append(r.assume(), req.Assumptions...)
	if req.Trace != nil {
		r.report.Trace = &Trace{Name: req.Trace.Name, LengthSeconds: int64(req.Trace.Length / time.Second), Seed: req.Seed}
	}
	r.report.Digest = digest(r.report)
	return r.report
}

func (r *run) say(step string) {
	if r.Progress != nil {
		r.Progress(step)
	}
}

// strategy runs one entry.
func (r *run) strategy(e Entry) Strategy {
	r.say(e.Name)
	view := r.market.view(e.Buys, r.Arch)
	began := r.Clock()
	fleet := e.Place(view)
	took := r.Clock().Sub(began)
	s := r.market.summarise(view, fleet, e.Buys == Nothing)
	s.ID, s.Name = e.ID, e.Name
	if r.redact {
		r.hide(&s)
	}
	s.SolveMillis = round(float64(took.Microseconds())/1000, 3)
	if e.ID == Karpenter && r.SpotPercent == 100 {
		s.WithSpotMonthlyUSD = r.withSpot(e, &s)
	}
	if r.Trace != nil {
		r.say(e.Name + " over time")
		s.Trace = r.play(view, e)
	}
	return s
}

// withSpot is what a strategy would cost with spot capacity; nil when it buys
// nothing then, or leaves pods that it places without.
func (r *run) withSpot(e Entry, without *Strategy) *unit.NanoUSD {
	view := r.market.view(PoolsSpot, r.Arch)
	s := r.market.summarise(view, e.Place(view), false)
	if s.NodeCount == 0 || !covers(&s, without) {
		return nil
	}
	return &s.MonthlyUSD
}

// find is the strategy of an ID; nil when it was not asked for.
func (r *run) find(id ID) *Strategy { return r.report.Find(id) }

// Find is the strategy of an ID; nil when the report has none.
func (r *Report) Find(id ID) *Strategy {
	for i := range r.Strategies {
		if r.Strategies[i].ID == id {
			return &r.Strategies[i]
		}
	}
	return nil
}

// entry is the request's entry of an ID.
func (r *run) entry(id ID) (Entry, bool) {
	for _, e := range r.Entries {
		if e.ID == id {
			return e, true
		}
	}
	return Entry{}, false
}

// baselines are what savings are counted from, the first that is there: what
// runs today, else the strategy that is hardest to beat.
func baselines() []ID {
	return []ID{Current, Karpenter, ClusterAutoscaler, ECSASG, Fargate, Tatami, TatamiSpot}
}

// relate sets the baseline, and each strategy against it.
func (r *run) relate() {
	for _, id := range baselines() {
		if r.find(id) != nil {
			r.report.BaselineID = id
			break
		}
	}
	base := r.find(r.report.BaselineID)
	for i := range r.report.Strategies {
		s := &r.report.Strategies[i]
		s.SavingMonthlyUSD = base.MonthlyUSD - s.MonthlyUSD
		s.Comparable = covers(s, base)
	}
}

// covers says whether a places every pod that b places, workload by workload.
func covers(a, b *Strategy) bool {
	left := map[string]int{}
	for _, p := range b.Pending {
		left[p.PodGroup] += p.Count
	}
	for _, p := range a.Pending {
		if left[p.PodGroup] -= p.Count; left[p.PodGroup] < 0 {
			return false
		}
	}
	return true
}

func pendingPods(s *Strategy) int {
	n := 0
	for _, p := range s.Pending {
		n += p.Count
	}
	return n
}
