package compare

import "fmt"

// recommend lists changes, each of which was solved for.
func (r *run) recommend() []Recommendation {
	base, tatami, spot := r.find(r.report.BaselineID), r.find(Tatami), r.find(TatamiSpot)
	out := []Recommendation{}
	if cheaper(base, tatami) {
		out = append(out, Recommendation{
			Code: "pack", Target: "nodes", Current: base.Name, Proposed: tatami.Name,
			MonthlyDeltaUSD: tatami.MonthlyUSD - base.MonthlyUSD, Confidence: "high", Effort: "medium",
			Evidence: "solved with the same demand, offers and constraints",
		})
	}
	if cheaper(tatami, spot) {
		out = append(out, Recommendation{
			Code: "spot", Target: "nodes", Current: "on-demand", Proposed: fmt.Sprintf("up to %d%% spot", r.SpotPercent),
			MonthlyDeltaUSD: spot.MonthlyUSD - tatami.MonthlyUSD, Confidence: "medium", Effort: "medium",
			Evidence: fmt.Sprintf("solved; %.2f interruptions a day are expected", spot.Risk.InterruptionsPerDay),
		})
	}
	if rec, ok := r.multiArch(tatami); ok {
		out = append(out, rec)
	}
	if n := r.withoutRequests(); n > 0 {
		out = append(out, Recommendation{
			Code: "requests", Target: counted(n, "workload"), Current: "no requests", Proposed: "requests from measured usage",
			Confidence: "high", Effort: "low", Evidence: "pods without requests count as nothing in every plan, but not on a node",
		})
	}
	for i := range out {
		out[i].ID = fmt.Sprintf("r%d-%s", i+1, out[i].Code)
	}
	return out
}

// cheaper says whether b is a cheaper way to place the same pods as a.
func cheaper(a, b *Strategy) bool {
	if a == nil || b == nil || !a.Comparable || !b.Comparable {
		return false
	}
	return b.NodeCount > 0 && covers(b, a) && b.MonthlyUSD < a.MonthlyUSD
}

// multiArch solves once more with every architecture.
func (r *run) multiArch(tatami *Strategy) (Recommendation, bool) {
	e, ok := r.entry(Tatami)
	if tatami == nil || !ok || r.Arch == AnyArch || tatami.NodeCount == 0 {
		return Recommendation{}, false
	}
	r.say("Tatami on every architecture")
	delta := e.Place(r.market.view(e.Buys, AnyArch)).Hourly().Monthly() - tatami.MonthlyUSD
	if delta >= 0 {
		return Recommendation{}, false
	}
	return Recommendation{
		Code: "multi-arch", Target: "images", Current: r.Arch + " only", Proposed: "images for amd64 and arm64",
		MonthlyDeltaUSD: delta, Confidence: "medium", Effort: "medium", Evidence: "solved with --arch any; whether the images run on both is not known",
	}, true
}

func (r *run) withoutRequests() int {
	n := 0
	for i := range r.Snapshot.Demand {
		if q := r.Snapshot.Demand[i].Requests; r.Snapshot.Demand[i].Count > 0 && q.CPU == 0 && q.Memory == 0 {
			n++
		}
	}
	return n
}
