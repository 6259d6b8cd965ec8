package compare

import (
	"fmt"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Below littleShare of the baseline a change is more work than it saves.
const littleShare = 0.05

// The time until the first step is due, and until it is worth looking again.
const (
	trialDays  = 14
	reviewDays = 90
)

// verdict weighs Tatami's plan against the baseline, and against what the best
// of the others would save already.
func (r *run) verdict() Verdict {
	base, best := r.find(r.report.BaselineID), r.find(Tatami)
	if best == nil {
		best = r.find(TatamiSpot)
	}
	v := Verdict{Code: VerdictSingle, By: r.report.GeneratedAt.AddDate(0, 0, reviewDays)}
	switch {
	case r.report.Inputs.Pods == 0:
		v.Code = VerdictEmpty
	case base == nil || best == nil || base == best:
	default:
		v = r.weigh(base, best)
	}
	if v.Code == VerdictSaves || v.OtherSavesMore() {
		v.By = r.report.GeneratedAt.AddDate(0, 0, trialDays)
	}
	v.By = v.By.Truncate(24 * time.Hour)
	v.Text, v.FirstStep = r.sentence(v), r.firstStep(v)
	return v
}

func (r *run) weigh(base, best *Strategy) Verdict {
	v := Verdict{Strategy: best.ID, By: r.report.GeneratedAt.AddDate(0, 0, reviewDays)}
	v.AnnualSavingUSD = base.MonthlyUSD.Times(12) - best.MonthlyUSD.Times(12)
	v.Share = share(int64(v.AnnualSavingUSD), int64(base.MonthlyUSD.Times(12)))
	if spot := r.find(TatamiSpot); spot != nil && spot.Comparable {
		v.AnnualSavingSpotUSD = base.MonthlyUSD.Times(12) - spot.MonthlyUSD.Times(12)
	}
	v.BestOther, v.AnnualSavingOtherUSD = r.bestOther(base, best)
	switch {
	case !best.Comparable || pendingPods(best) > 0:
		v.Code = VerdictIncomplete
	case pendingPods(base) > 0:
		v.Code = VerdictMore
	case v.AnnualSavingUSD <= 0:
		v.Code = VerdictNone
	case v.Share < littleShare:
		v.Code = VerdictLittle
	default:
		v.Code = VerdictSaves
	}
	return v
}

// bestOther is the cheapest strategy that is neither the baseline nor Tatami's
// and places what Tatami places, and what it saves in a year.
func (r *run) bestOther(base, tatami *Strategy) (best ID, most unit.NanoUSD) {
	for i := range r.report.Strategies {
		s := &r.report.Strategies[i]
		if s.ID == base.ID || s.ID == Tatami || s.ID == TatamiSpot || !s.Comparable || !covers(s, tatami) {
			continue
		}
		if saving := base.MonthlyUSD.Times(12) - s.MonthlyUSD.Times(12); best == "" || saving > most {
			best, most = s.ID, saving
		}
	}
	return best, most
}

// OtherSavesMore says whether another strategy than Tatami's saves more; when
// the price covers more than the baseline's, whether the other is cheaper.
func (v Verdict) OtherSavesMore() bool {
	least := max(v.AnnualSavingUSD, 0)
	if v.Code == VerdictMore {
		least = v.AnnualSavingUSD
	}
	return v.BestOther != "" && v.Code != VerdictIncomplete && v.AnnualSavingOtherUSD > least
}

// WithSpot says whether a price rests on spot capacity, as a headline must say.
func (s *Strategy) WithSpot() bool { return s.ID == TatamiSpot || s.Risk.SpotShare > 0 }

// sentence is the verdict in English; other languages are made of its figures.
func (r *run) sentence(v Verdict) string {
	text := r.headline(v)
	if v.OtherSavesMore() {
		other := r.find(v.BestOther)
		form := " %s%s saves $%s more."
		if v.Code == VerdictMore {
			form = " %s%s places them for $%s less."
		}
		text += fmt.Sprintf(form, other.Name, withSpot(other), (v.AnnualSavingOtherUSD - v.AnnualSavingUSD).Cents())
	}
	return text
}

func withSpot(s *Strategy) string {
	if s.WithSpot() {
		return " with spot"
	}
	return ""
}

func (r *run) headline(v Verdict) string {
	base, best := r.find(r.report.BaselineID), r.find(v.Strategy)
	switch v.Code {
	case VerdictEmpty:
		return "There is nothing to run, so there is nothing to save."
	case VerdictSingle:
		return "There is nothing to compare: ask for Tatami and one other strategy."
	case VerdictIncomplete:
		return fmt.Sprintf("%s leaves %s without a place; see which constraint rules them out before comparing prices.",
			best.Name, counted(pendingPods(best), "pod"))
	case VerdictMore:
		return fmt.Sprintf("The baseline, %s, leaves %s pending; Tatami%s places all of them, so its price covers more: $%s a year, not $%s.", base.Name,
			counted(pendingPods(base), "pod"), withSpot(best), best.MonthlyUSD.Times(12).Cents(), base.MonthlyUSD.Times(12).Cents())
	case VerdictNone:
		if v.AnnualSavingUSD.Cents() == "0.00" {
			return fmt.Sprintf("No saving: Tatami%s would cost the same as %s.", withSpot(best), base.Name)
		}
		return fmt.Sprintf("No saving: Tatami%s would cost $%s more a year than %s.", withSpot(best), (-v.AnnualSavingUSD).Cents(), base.Name)
	case VerdictLittle:
		return fmt.Sprintf("Tatami%s would save only $%s a year, %s of what %s would cost: hardly worth a change.",
			withSpot(best), v.AnnualSavingUSD.Cents(), percent(v.Share), base.Name)
	case VerdictSaves:
	}
	return fmt.Sprintf("Tatami%s would save $%s a year: %s of what %s would cost.", withSpot(best), v.AnnualSavingUSD.Cents(), percent(v.Share), base.Name)
}

func (r *run) firstStep(v Verdict) string {
	by := v.By.Format(time.DateOnly)
	if v.OtherSavesMore() && v.Code != VerdictMore {
		if r.Preset == nodes.Cheapest().Name {
			return "By " + by + ": choose " + r.find(v.BestOther).Name + ". The preset asks for nothing that makes the dearer nodes of Tatami worth it."
		}
		return "By " + by + ": weigh what the dearer nodes of Tatami buy, which is the spread over nodes, zones and types that the preset " +
			r.Preset + " asks for. Without a need for it, choose " + r.find(v.BestOther).Name + ", or run the plan again with --preset cheapest."
	}
	switch v.Code {
	case VerdictSaves:
		return "By " + by + ": let one pool with workloads that may fail buy only the instance types of this plan, keep the old requirements in version control, and compare the bill of a week. To undo it, put them back."
	case VerdictIncomplete:
		return "By " + by + ": correct the constraints or requests of the pods that are listed as pending, and run the plan again."
	case VerdictMore:
		return "By " + by + ": find out why pods are pending, add the nodes they need to the baseline, and run the plan again to compare prices."
	case VerdictLittle, VerdictNone:
		return "Change nothing. Run the plan again by " + by + ", or when the demand has changed by a third."
	case VerdictEmpty, VerdictSingle:
	}
	return "Run the plan again with the manifests of a whole cluster."
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", share*100) }

// inputs sums up what the report is about.
func (r *run) inputs() Inputs {
	in := Inputs{
		Name: r.Name, Digest: r.Digest, Region: r.Snapshot.Region, Zones: zonesOf(r.Snapshot.Offers), Arch: r.Arch,
		SpotPercent: r.SpotPercent, Preset: r.Preset, Workloads: r.Workloads, Groups: len(r.Snapshot.Demand),
		DaemonSets: len(r.Snapshot.Daemons), CurrentNodes: len(r.Snapshot.Nodes), PriceBook: r.Book,
	}
	if in.Zones == nil {
		in.Zones = []string{}
	}
	in.PriceBook.Sources = append([]catalog.Source{}, in.PriceBook.Sources...)
	var total unit.Resources
	for i := range r.Snapshot.Demand {
		g := &r.Snapshot.Demand[i]
		in.Pods += g.Count
		total = total.Plus(g.Requests.Times(int64(g.Count)))
	}
	in.CPUMillis, in.MemoryBytes = int64(total.CPU), int64(total.Memory)
	return in
}
