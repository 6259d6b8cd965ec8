package compare

import (
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// waterfall goes from the baseline to the cheapest of Tatami's strategies, each
// step solved for, none estimated.
func (r *run) waterfall() []Step {
	base := r.find(r.report.BaselineID)
	if base == nil {
		return []Step{}
	}
	steps := []Step{step(StepBaseline, base.HourlyUSD)}
	at := base.HourlyUSD
	to := func(code StepCode, hourly unit.NanoUSD) {
		steps = append(steps, step(code, hourly-at))
		at = hourly
	}
	if tatami := r.find(Tatami); tatami != nil && base != tatami {
		if e, ok := r.entry(Tatami); ok && r.Arch == AnyArch {
			r.say("Tatami on amd64 alone")
			fleet := e.Place(r.market.view(e.Buys, string(catalog.AMD64)))
			if len(fleet.Pending) == len(tatami.Pending) {
				to(StepPack, fleet.Hourly())
				to(StepArch, tatami.HourlyUSD)
			} else {
				to(StepPack, tatami.HourlyUSD)
			}
		} else {
			to(StepPack, tatami.HourlyUSD)
		}
	}
	if spot := r.find(TatamiSpot); spot != nil && base != spot {
		to(StepSpot, spot.HourlyUSD)
	}
	return steps
}

func step(code StepCode, delta unit.NanoUSD) Step { return Step{code, delta, delta.Monthly()} }
