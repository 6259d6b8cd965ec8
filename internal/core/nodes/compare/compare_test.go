package compare_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
	"github.com/tatami-platform/tatami/internal/core/nodes/sim"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// request compares everything for some services, with machines of today that
// are twice what is needed.
func request(t *testing.T, seed uint64) compare.Request {
	t.Helper()
	services, err := catalog.RegionServices("us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	market := nodestest.Market{ARM: true, Spot: true, MaxVCPU: 8}
	s := nodestest.Snapshot(nodestest.Services(60, 12, seed), market)
	s.Pools, s.Daemons = nil, nodestest.Daemons()
	s.NodeGroups = []workload.NodeGroup{{Name: "today", Shapes: []string{"m5.2xlarge"}, Desired: 10}}
	full, faults := compare.Complete(*s)
	if len(faults) > 0 || len(full.Nodes) != 10 {
		t.Fatalf("%d nodes, faults %q", len(full.Nodes), faults)
	}
	tick := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	set := compare.Settings{Policy: nodes.Balanced(), Effort: nodes.Effort{Steps: 3}, Services: services, Seed: seed}
	return compare.Request{
		Snapshot: &full, Entries: compare.Entries(set, nil), Arch: "amd64", SpotPercent: 60, Preset: "balanced", Seed: seed,
		Name: "services", Digest: "sha256:0", Workloads: 12,
		Clock: func() time.Time { tick = tick.Add(time.Millisecond); return tick },
	}
}

func TestPartsSumToTheWhole(t *testing.T) {
	for seed := range uint64(2) {
		req := request(t, seed)
		req.Arch = []string{"amd64", compare.AnyArch}[seed%2]
		r := compare.Run(req)
		if len(r.Strategies) != len(compare.IDs()) {
			t.Fatalf("%d strategies", len(r.Strategies))
		}
		base := r.Find(r.BaselineID)
		for _, s := range r.Strategies {
			checkStrategy(t, s, base, r.Inputs.Pods)
		}
		var sum unit.NanoUSD
		for _, step := range r.Waterfall {
			sum += step.HourlyDeltaUSD
			if step.MonthlyDeltaUSD != step.HourlyDeltaUSD.Monthly() {
				t.Errorf("step %s: %s an hour, %s a month", step.Step, step.HourlyDeltaUSD, step.MonthlyDeltaUSD)
			}
		}
		if last := r.Find(compare.TatamiSpot); sum != last.HourlyUSD || len(r.Waterfall) < 3 {
			t.Errorf("the waterfall of %d steps ends at %s, not %s", len(r.Waterfall), sum, last.HourlyUSD)
		}
		if want := 12 * (base.MonthlyUSD - r.Find(compare.Tatami).MonthlyUSD); r.Verdict.AnnualSavingUSD != want {
			t.Errorf("%s saved in a year, want %s", r.Verdict.AnnualSavingUSD, want)
		}
	}
}

func checkStrategy(t *testing.T, s compare.Strategy, base *compare.Strategy, pods int) {
	t.Helper()
	var hourly unit.NanoUSD
	count, placed := 0, 0
	for _, n := range s.Nodes {
		hourly += n.HourlyUSD.Times(int64(n.Count))
		count += n.Count
		for _, p := range n.Pods {
			placed += p.Count * n.Count
		}
		if n.CPUShare+n.DaemonCPU > 1.0001 || n.MemoryShare+n.DaemonMemory > 1.0001 {
			t.Errorf("%s: a %s is filled beyond what it gives", s.ID, n.InstanceType)
		}
	}
	for _, p := range s.Pending {
		placed += p.Count
		if p.PodGroup == "" || p.Reason == "" || p.Code == "" {
			t.Errorf("%s: pending %+v does not say what and why", s.ID, p)
		}
	}
	switch {
	case hourly != s.HourlyUSD || s.MonthlyUSD != hourly*730 || count != s.NodeCount:
		t.Errorf("%s: %d nodes at %s sum up to %d at %s", s.ID, s.NodeCount, s.HourlyUSD, count, hourly)
	case placed != pods:
		t.Errorf("%s: %d of %d pods are placed or pending", s.ID, placed, pods)
	case s.SavingMonthlyUSD > base.MonthlyUSD || s.SavingMonthlyUSD != base.MonthlyUSD-s.MonthlyUSD:
		t.Errorf("%s: saves %s of %s", s.ID, s.SavingMonthlyUSD, base.MonthlyUSD)
	case s.LowerBoundHourlyUSD > s.HourlyUSD:
		t.Errorf("%s: costs %s, less than its bound %s", s.ID, s.HourlyUSD, s.LowerBoundHourlyUSD)
	case s.MonthlyRangeUSD.Low != s.MonthlyUSD || s.MonthlyRangeUSD.High < s.MonthlyUSD:
		t.Errorf("%s: range %+v", s.ID, s.MonthlyRangeUSD)
	}
}

func TestSpotShareIsKept(t *testing.T) {
	for percent, most := range map[int]float64{0: 0, 40: 0.45, 100: 1} {
		req := request(t, 1)
		req.SpotPercent = percent
		r := compare.Run(req)
		spot, all := 0, 0
		for _, n := range r.Find(compare.TatamiSpot).Nodes {
			for _, p := range n.Pods {
				all += p.Count * n.Count
				if n.CapacityType == catalog.Spot {
					spot += p.Count * n.Count
				}
			}
		}
		if share := float64(spot) / float64(all); share > most || percent == 100 && spot == 0 {
			t.Errorf("%d%%: %d of %d pods run on spot", percent, spot, all)
		}
		for _, id := range []compare.ID{compare.Tatami, compare.Karpenter} {
			if r.Find(id).Risk.SpotShare != 0 {
				t.Errorf("%s buys spot", id)
			}
		}
	}
}

func TestArchitecture(t *testing.T) {
	req := request(t, 1)
	own := req.Snapshot.Demand[0].Alternatives
	req.Snapshot.Demand[0].Alternatives = []workload.Requirements{{catalog.LabelArch: workload.OneOf("arm64")}}
	r := compare.Run(req)
	for _, n := range r.Find(compare.Tatami).Nodes {
		for _, p := range n.Pods {
			wants := catalog.AMD64
			if p.Workload == req.Snapshot.Demand[0].Owner.String() {
				wants = catalog.ARM64
			}
			if n.Arch != wants {
				t.Errorf("%s runs on %s", p.Workload, n.Arch)
			}
		}
	}
	if own != nil {
		t.Error("the fixture changed")
	}
}

func TestSameInputSameDigest(t *testing.T) {
	a, b := compare.Run(request(t, 2)), compare.Run(request(t, 2))
	if a.Digest != b.Digest {
		t.Error("the same input gave two digests")
	}
	slower := request(t, 2)
	clock := slower.Clock
	slower.Clock = func() time.Time { return clock().AddDate(0, 1, 0) }
	if got := compare.Run(slower); got.Digest != a.Digest {
		t.Error("the digest depends on the time")
	}
	other := request(t, 2)
	other.Snapshot.Demand[0].Count++
	if got := compare.Run(other); got.Digest == a.Digest {
		t.Error("another demand has the same digest")
	}
}

func TestJSONRoundTrip(t *testing.T) {
	req := request(t, 3)
	trace, err := sim.Pattern("burst:2")
	if err != nil {
		t.Fatal(err)
	}
	trace.Length = 6 * time.Hour
	req.Trace = &trace
	want := compare.Run(req)
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), ":null") {
		t.Error("a list is null")
	}
	var got compare.Report
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	for _, s := range got.Strategies {
		if s.Trace == nil || s.Trace.CostUSD <= 0 || len(s.Trace.Series) == 0 {
			t.Errorf("%s: trace %+v", s.ID, s.Trace)
		}
	}
}

func TestAnonymise(t *testing.T) {
	req := request(t, 1)
	req.NotCovered = []compare.NotCovered{{Object: workload.Ref{Kind: "Thing", Namespace: "secret-ns", Name: "secret"}, Why: "secret words"}}
	req.Errors = []string{"secret list"}
	req.Name = "secret.yaml"
	for i := range req.Snapshot.Demand {
		req.Snapshot.Demand[i].Owner.Name = "secret-" + req.Snapshot.Demand[i].Owner.Name
	}
	req.Snapshot.Demand[0].Alternatives = []workload.Requirements{{"team": workload.OneOf("secret-team")}}
	plain := compare.Run(req)
	hidden := compare.Run(compare.Anonymise(req))
	text, err := json.Marshal(hidden)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "secret") {
		t.Errorf("a name is left: %s", text[strings.Index(string(text), "secret")-200:][:400])
	}
	if !strings.Contains(string(text), "workload-1") {
		t.Error("workloads have no numbers")
	}
	for i, s := range hidden.Strategies {
		if s.HourlyUSD != plain.Strategies[i].HourlyUSD {
			t.Errorf("%s costs %s when redacted, %s otherwise", s.ID, s.HourlyUSD, plain.Strategies[i].HourlyUSD)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name string
		ids  []compare.ID
		edit func(*plan.Snapshot)
		want compare.VerdictCode
	}{
		{"today is twice what is needed", nil, nil, compare.VerdictSaves},
		{"one strategy", []compare.ID{compare.Fargate}, nil, compare.VerdictSingle},
		{"nothing to run", nil, func(s *plan.Snapshot) { s.Demand, s.Nodes = nil, nil }, compare.VerdictEmpty},
		{"a pod that fits nowhere", nil, func(s *plan.Snapshot) {
			s.Demand[0].Requests.CPU = unit.Cores(1000)
		}, compare.VerdictIncomplete},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, 1)
			if tt.edit != nil {
				tt.edit(req.Snapshot)
			}
			if tt.ids != nil {
				req.Entries = compare.Entries(compare.Settings{Policy: nodes.Balanced()}, tt.ids)
			}
			r := compare.Run(req)
			if r.Verdict.Code != tt.want || r.Verdict.Text == "" || r.Verdict.FirstStep == "" {
				t.Errorf("%+v", r.Verdict)
			}
		})
	}
}

// TestBaselineLeavesPodsPending holds that a plan for all pods can be compared
// with machines that are too few, and that the verdict names what is missing.
func TestBaselineLeavesPodsPending(t *testing.T) {
	req := request(t, 1)
	req.Snapshot.Nodes = req.Snapshot.Nodes[:1]
	r := compare.Run(req)
	today, tatami := r.Find(compare.Current), r.Find(compare.Tatami)
	missing := 0
	for _, p := range today.Pending {
		missing += p.Count
	}
	if missing < 2 || len(tatami.Pending) > 0 || !tatami.Comparable {
		t.Fatalf("%d pods are pending today, with Tatami %+v; comparable: %v", missing, tatami.Pending, tatami.Comparable)
	}
	want := fmt.Sprintf("The baseline, Today's nodes, leaves %d pods pending; Tatami places all of them, so its price covers more", missing)
	if r.Verdict.Code != compare.VerdictMore || !strings.HasPrefix(r.Verdict.Text, want) {
		t.Errorf("%s: %s, want %q", r.Verdict.Code, r.Verdict.Text, want)
	}

	// The other way round: fewer pods without a place do not make up for another
	// pod that today's machines place.
	req = request(t, 1)
	req.Snapshot.Demand[0].Alternatives = []workload.Requirements{{"nobody": workload.OneOf("sells-this")}}
	for i := range req.Snapshot.Nodes {
		req.Snapshot.Nodes[i].Labels["nobody"] = "sells-this"
	}
	r = compare.Run(req)
	if s := r.Find(compare.Tatami); len(r.Find(compare.Current).Pending) > 0 || s.Comparable {
		t.Errorf("pods that only today's machines take are pending, yet it is comparable: %v; pending: %+v, today %+v", s.Comparable, s.Pending, r.Find(compare.Current).Pending)
	}
}

func TestAnotherSavesMore(t *testing.T) {
	req := request(t, 1)
	for i, e := range req.Entries {
		if e.ID != compare.Tatami {
			continue
		}
		req.Entries[i].Place = func(s *plan.Snapshot) nodes.Fleet {
			f := e.Place(s)
			for j := range f.Purchases {
				f.Purchases[j].Offering.Price *= 2
			}
			return f
		}
	}
	v := compare.Run(req).Verdict
	if !v.OtherSavesMore() || !strings.Contains(v.Text, " saves $") || !strings.Contains(v.FirstStep, "the preset balanced asks for") {
		t.Errorf("%+v", v)
	}
}

func TestSamePriceIsNotMore(t *testing.T) {
	req := request(t, 1)
	req.Snapshot.Nodes = nil
	req.Entries = slices.DeleteFunc(req.Entries, func(e compare.Entry) bool { return e.ID != compare.Karpenter && e.ID != compare.Tatami })
	req.Entries[1].Place = req.Entries[0].Place
	want := "No saving: Tatami would cost the same as Karpenter."
	if v := compare.Run(req).Verdict; v.Code != compare.VerdictNone || v.Text != want {
		t.Errorf("%s: %q, want %q", v.Code, v.Text, want)
	}
}

func TestDifference(t *testing.T) {
	a := compare.Run(request(t, 1))
	if d := compare.Difference(a, a); d.Different || len(d.Strategies) != len(a.Strategies) {
		t.Errorf("a report differs from itself: %+v", d)
	}
	more := request(t, 1)
	more.Snapshot.Demand[0].Count += 40
	more.Entries = more.Entries[1:]
	d := compare.Difference(a, compare.Run(more))
	if !d.Different || d.Strategies[0].B != nil || d.Strategies[0].MonthlyDeltaUSD != 0 {
		t.Errorf("%+v", d)
	}
	for _, c := range d.Strategies[1:] {
		if c.B.MonthlyUSD-c.A.MonthlyUSD != c.MonthlyDeltaUSD || c.MonthlyDeltaUSD <= 0 {
			t.Errorf("%s: %s to %s is %s", c.ID, c.A.MonthlyUSD, c.B.MonthlyUSD, c.MonthlyDeltaUSD)
		}
	}
}
