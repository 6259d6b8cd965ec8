package sim

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

const price = unit.USD / 10

// firstFit is the simplest strategy that obeys the contract: pods go onto nodes
// with room, then onto new ones of one type.
func firstFit(capacity catalog.CapacityType) func(*plan.Snapshot) nodes.Fleet {
	shape := &catalog.Shape{Name: "m5.large", VCPU: 2, Memory: 8 * unit.GiB, MaxPods: 29}
	offer := catalog.Offering{Shape: shape, Region: "r", Zone: "ra", Capacity: capacity, Price: price, Band: 4}
	return func(s *plan.Snapshot) nodes.Fleet {
		var f nodes.Fleet
		room := unit.Resources{CPU: 2000, Memory: 8 * unit.GiB, Pods: 29}
		for g := range s.Demand {
			group := &s.Demand[g]
			left := group.Count
			for _, n := range s.Nodes {
				for _, b := range n.Pods {
					if b.Group == g {
						left -= b.Count
					}
				}
			}
			for i := range s.Nodes {
				free := freeOf(s, i)
				for _, p := range f.Placed {
					if p.Node == i {
						for _, b := range p.Pods {
							free = free.Minus(s.Demand[b.Group].Requests.Times(int64(b.Count)))
						}
					}
				}
				k := fitting(group.Requests, free, left)
				if k > 0 {
					f.Placed = append(f.Placed, nodes.Placed{Node: i, Pods: []plan.Bound{{Group: g, Count: k}}})
					left -= k
				}
			}
			for left > 0 {
				k := fitting(group.Requests, room, left)
				if k == 0 {
					f.Pending = append(f.Pending, nodes.Pending{Group: g, Count: left, Code: nodes.NoOffering})
					break
				}
				f.Purchases = append(f.Purchases, nodes.Purchase{
					Pool: "p", Offering: offer, Count: 1, Pods: []plan.Bound{{Group: g, Count: k}}, Allocatable: room,
				})
				left -= k
			}
		}
		return f
	}
}

func freeOf(s *plan.Snapshot, i int) unit.Resources {
	free := s.Nodes[i].Allocatable.Minus(s.Nodes[i].Reserved)
	for _, b := range s.Nodes[i].Pods {
		free = free.Minus(s.Demand[b.Group].Requests.Times(int64(b.Count)))
	}
	return free
}

func fitting(r, free unit.Resources, most int) int {
	n := 0
	for n < most && r.Times(int64(n+1)).Fits(free) {
		n++
	}
	return n
}

func demand(counts ...int) *plan.Snapshot {
	s := &plan.Snapshot{Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
	for i, n := range counts {
		s.Demand = append(s.Demand, workload.Group{
			Owner:    workload.Ref{Kind: "Deployment", Namespace: "shop", Name: string(rune('a' + i))},
			Count:    n,
			Requests: unit.Resources{CPU: 500, Memory: unit.GiB, Pods: 1},
		})
	}
	return s
}

// behaviours are all that buy on a clock of their own.
func behaviours() map[string]Behaviour {
	return map[string]Behaviour{
		"karpenter": Karpenter(), "cas": ClusterAutoscaler(), "ecs": ECS(), "fargate": Fargate(),
		"tatami": Tatami(unit.USD/1000, 12, 10),
	}
}

func TestConstantLoadCostsPriceTimesHours(t *testing.T) {
	for name, b := range behaviours() {
		s := demand(8, 3)
		st := Strategy{firstFit(catalog.OnDemand), b}
		trace, err := Pattern("steady")
		if err != nil {
			t.Fatal(err)
		}
		got := Run(s, st, trace, 1)
		want := st.Place(s).Hourly().Times(48)
		if got.Cost != want || got.UnmetPodSeconds != 0 || got.Moved != 0 {
			t.Errorf("%s: cost %s, want %s; unmet %d pod-seconds, moved %d", name, got.Cost, want, got.UnmetPodSeconds, got.Moved)
		}
	}
}

func TestZeroLoadCostsNothing(t *testing.T) {
	for name, b := range behaviours() {
		trace := Trace{Length: day, Points: []Point{{Factor: 0}}}
		if got := Run(demand(8), Strategy{firstFit(catalog.OnDemand), b}, trace, 1); got.Cost != 0 || got.UnmetSeconds != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestStepIsWorkedOutByHand: 4 pods fill a node; from 1 h on 8 are wanted, and
// from 2 h on 4 again.
func TestStepIsWorkedOutByHand(t *testing.T) {
	trace := Trace{Length: 3 * time.Hour, Points: []Point{{Factor: 1000}, {At: time.Hour, Factor: 2000}, {At: 2 * time.Hour, Factor: 1000}}}
	for _, tt := range []struct {
		name      string
		behaviour Behaviour
		lived     time.Duration // of the second machine
		waited    int64         // seconds, of four pods
	}{
		{"karpenter", Karpenter(), time.Hour - 10*time.Second + 25*time.Second, 55},
		{"cas", ClusterAutoscaler(), time.Hour - 40*time.Second + 10*time.Minute, 85},
		{"ecs", ECS(), time.Hour - 90*time.Second + 15*time.Minute, 135},
	} {
		got := Run(demand(4), Strategy{firstFit(catalog.OnDemand), tt.behaviour}, trace, 1)
		want := price.Times(3).Plus(price.MulDiv(int64(tt.lived), int64(time.Hour)))
		if got.Cost != want {
			t.Errorf("%s: cost %s, want %s", tt.name, got.Cost, want)
		}
		if got.UnmetSeconds != tt.waited || got.UnmetPodSeconds != 4*tt.waited {
			t.Errorf("%s: unmet %d s, %d pod-seconds, want %d and %d", tt.name, got.UnmetSeconds, got.UnmetPodSeconds, tt.waited, 4*tt.waited)
		}
		if got.PeakNodes != 2 {
			t.Errorf("%s: %d nodes at most", tt.name, got.PeakNodes)
		}
	}
}

func TestMinuteMinimumOfFargate(t *testing.T) {
	trace := Trace{Length: time.Hour, Points: []Point{{Factor: 0}, {At: time.Minute, Factor: 1000}, {At: 61 * time.Second, Factor: 0}}}
	got := Run(demand(3), Strategy{firstFit(catalog.Fargate), Fargate()}, trace, 1)
	if want := price.MulDiv(1, 60); got.Cost != want { // three pods fit on one machine of the tiny strategy
		t.Errorf("cost %s, want %s", got.Cost, want)
	}
}

// TestForecastIsYesterday: the same hour of load each day waits on the first
// day only.
func TestForecastIsYesterday(t *testing.T) {
	trace := Trace{Length: 2 * day, Points: []Point{
		{Factor: 1000},
		{At: 6 * time.Hour, Factor: 2000},
		{At: 7 * time.Hour, Factor: 1000},
		{At: 30 * time.Hour, Factor: 2000},
		{At: 31 * time.Hour, Factor: 1000},
	}}
	with := Run(demand(4), Strategy{firstFit(catalog.OnDemand), Tatami(0, 0, 0)}, trace, 1)
	without := Run(demand(4), Strategy{firstFit(catalog.OnDemand), Karpenter()}, trace, 1)
	if without.UnmetSeconds != 2*55 || with.UnmetSeconds != 55 {
		t.Errorf("unmet %d s without and %d s with a forecast", without.UnmetSeconds, with.UnmetSeconds)
	}
	if with.Cost <= without.Cost {
		t.Errorf("being early is not free: %s against %s", with.Cost, without.Cost)
	}
}

func TestFixedNodesDoNotChange(t *testing.T) {
	s := demand(4)
	fleet := firstFit(catalog.OnDemand)
	p := fleet(s).Purchases[0]
	s.Nodes = []plan.Node{{Name: "n", Offering: p.Offering, Allocatable: p.Allocatable, Labels: map[string]string{}, Pods: p.Pods}}
	trace := Trace{Length: 2 * time.Hour, Points: []Point{{Factor: 1000}, {At: time.Hour, Factor: 1500}}}
	got := Run(s, Strategy{fleet, Current()}, trace, 1)
	if got.Cost != price.Times(2) || got.UnmetPodSeconds != 2*3600 {
		t.Errorf("%+v", got)
	}
}

func TestSpotIsInterruptedBySeed(t *testing.T) {
	trace := Trace{Length: 300 * day, Points: []Point{{Factor: 1000}}}
	run := func(seed uint64) Result {
		return Run(demand(400), Strategy{firstFit(catalog.Spot), Karpenter()}, trace, seed)
	}
	a, again, b := run(1), run(1), run(2)
	// 100 machines, 10 months of 25 %: about 100 × 10 × -ln(0.75).
	if a.Interruptions < 230 || a.Interruptions > 340 {
		t.Errorf("%d interruptions, expected about 284", a.Interruptions)
	}
	if a.Interruptions != again.Interruptions || a.Cost != again.Cost {
		t.Error("the same seed gave another result")
	}
	if a.Interruptions == b.Interruptions && a.Cost == b.Cost {
		t.Error("another seed gave the same result")
	}
	if a.UnmetPodSeconds != 0 {
		t.Errorf("a new node is up within the notice, but %d pod-seconds were lost", a.UnmetPodSeconds)
	}
}

// TestSlowerIsNeverBetter draws loads and lets the same strategies boot more
// slowly: less unmet demand would be a fault of the simulation.
func TestSlowerIsNeverBetter(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for name, b := range behaviours() {
		for round := range 60 {
			trace := randomTrace(r)
			s := demand(1+r.IntN(9), r.IntN(9), 1+r.IntN(5))
			capacity := catalog.OnDemand
			if round%3 == 0 {
				capacity = catalog.Spot
			}
			unmet := int64(-1)
			for _, boot := range []time.Duration{0, 30 * time.Second, 3 * time.Minute, time.Hour} {
				slower := b
				slower.Boot = boot
				got := Run(s, Strategy{firstFit(capacity), slower}, trace, uint64(round))
				if got.UnmetPodSeconds < unmet {
					t.Fatalf("%s, round %d: booting in %s leaves %d pod-seconds, faster ones %d", name, round, boot, got.UnmetPodSeconds, unmet)
				}
				unmet = got.UnmetPodSeconds
				if got.Cost < 0 || got.UnmetSeconds > int64(trace.Length/time.Second) {
					t.Fatalf("%s, round %d: %+v", name, round, got)
				}
			}
		}
	}
}

func randomTrace(r *rand.Rand) Trace {
	t := Trace{Length: day + 12*time.Hour}
	for at := time.Duration(0); at < t.Length; at += time.Duration(1+r.IntN(9000)) * time.Second {
		p := Point{At: at, Factor: int64(r.IntN(4000))}
		if r.IntN(3) == 0 {
			p.Workload = string(rune('a' + r.IntN(3)))
		}
		t.Points = append(t.Points, p)
	}
	return t
}

func TestLoad(t *testing.T) {
	groups := demand(4, 10).Demand
	groups[1].Replicas = workload.Range{Min: 5, Max: 12}
	trace := Trace{Length: time.Hour, Points: []Point{
		{Factor: 1500},
		{At: time.Minute, Workload: "shop/a", Exact: true, Replicas: 7},
		{At: 2 * time.Minute, Factor: 100},
		{At: 2 * time.Hour, Factor: 9000},
	}}
	l := loadOf(trace, groups)
	for at, want := range map[time.Duration][2]int{0: {4, 12}, time.Minute: {7, 12}, 2 * time.Minute: {7, 5}, 59 * time.Minute: {7, 5}} {
		if got := l.when(at); got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s: %v, want %v", at, got, want)
		}
	}
	long := Trace{Length: 100 * day}
	for at := time.Duration(0); at < long.Length; at += time.Minute {
		long.Points = append(long.Points, Point{At: at, Factor: 1000 + int64(at/time.Minute)%3*1000})
	}
	l = loadOf(long, groups)
	if len(l.at) > maxMoments+1 || l.when(50 * day)[0] != 12 {
		t.Errorf("%d moments, %v in the middle", len(l.at), l.when(50*day))
	}
}

func TestParseCSV(t *testing.T) {
	for _, tt := range []struct {
		name, in, wrong string
		length          time.Duration
		points          int
	}{
		{"factors", "time,factor\n0,1\n60,2.5\n", "", 2 * time.Minute, 2},
		{"durations and workloads", "workload, time, replicas\nshop/a,0s,3\nshop/b,0s,4\nshop/a,1h,9\n", "", 2 * time.Hour, 3},
		{"times", "time,factor\n2026-11-23T10:00:00Z,1\n2026-11-23T11:30:00+01:00,2\n", "", time.Hour, 2},
		{"one row lasts a day", "time,factor\n0,1\n", "", day, 1},
		{"comments", "# load of Monday\ntime,factor\n0,1\n", "", day, 1},
		{"nothing", "", "no header", 0, 0},
		{"no rows", "time,factor\n", "no rows", 0, 0},
		{"both", "time,factor,replicas\n0,1,2\n", "one of replicas and factor", 0, 0},
		{"a negative factor", "time,factor\n0,-1\n", "line 2", 0, 0},
		{"no number", "time,factor\n0,NaN\n", "must be a number", 0, 0},
		{"negative replicas", "time,replicas\n0,-3\n", "whole number", 0, 0},
		{"huge replicas", "time,replicas\n0,99999999999999999999\n", "whole number", 0, 0},
		{"back in time", "time,factor\n60,1\n0,2\n", "line 3: not a load trace: the time goes back", 0, 0},
		{"no time", "time,factor\nyesterday,1\n", `time "yesterday"`, 0, 0},
		{"a row too short", "time,factor\n0\n", "wrong number of fields", 0, 0},
		{"too long", "time,factor\n9000h,1\n", "must be an offset", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseCSV("load.csv", strings.NewReader(tt.in))
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Fatalf("error %v, want one with %q", err, tt.wrong)
				}
				return
			}
			if err != nil || got.Length != tt.length || len(got.Points) != tt.points {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func FuzzParseCSV(f *testing.F) {
	f.Add("time,factor\n0,1\n60,2.5\n")
	f.Add("time,workload,replicas\n1h,shop/a,3\n")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ParseCSV("f", strings.NewReader(in))
		if err != nil {
			return
		}
		if got.Length <= 0 || got.Length > 2*maxLength {
			t.Fatalf("length %s", got.Length)
		}
		for _, row := range loadOf(got, demand(3).Demand).want {
			if row[0] < 0 {
				t.Fatal("negative load")
			}
		}
	})
}

func TestPattern(t *testing.T) {
	for _, name := range []string{"", "random", "wave:", "wave:0.5", "wave:NaN", "wave:1001", "wave:x"} {
		if _, err := Pattern(name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	wave, err := Pattern("wave:3")
	if err != nil {
		t.Fatal(err)
	}
	l := loadOf(wave, demand(10).Demand)
	for at, want := range map[time.Duration]int{0: 10, 6 * time.Hour: 20, 12 * time.Hour: 30, 18 * time.Hour: 20, 36 * time.Hour: 30} {
		if got := l.when(at)[0]; got != want {
			t.Errorf("%s: %d pods, want %d", at, got, want)
		}
	}
}
