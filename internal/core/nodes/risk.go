package nodes

import (
	"math"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// InterruptionsPerHour is how often a spot machine of a band is taken back: the
// constant rate that gives the band's share of a month.
func InterruptionsPerHour(b catalog.Band) float64 {
	return -math.Log(1-b.Monthly()/100) / unit.HoursPerMonth
}

// EffectivePrice is the price of an hour with the risk in it: what a machine
// costs, and what its interruption costs times how often that happens.
func (p Policy) EffectivePrice(o catalog.Offering) unit.NanoUSD {
	if o.Capacity != catalog.Spot {
		return o.Price
	}
	return o.Price.Plus(p.riskOf(o, p.Restart))
}

// riskOf is what interruptions cost in an hour when each loses so much time.
func (p Policy) riskOf(o catalog.Offering, restart time.Duration) unit.NanoUSD {
	lost := InterruptionsPerHour(o.Band) * restart.Hours() * float64(p.RestartFactor)
	return o.Price.MulDiv(int64(lost*1_000_000), 1_000_000)
}

// tooRisky says whether a spot machine is no bargain for a group: pods that must
// not be moved, or whose restart costs more than spot saves. A policy that looks
// at the price alone takes any.
func (c *compiler) tooRisky(g *workload.Group, cand *Candidate) bool {
	o := cand.Offering
	if o.Capacity != catalog.Spot || c.p.RestartFactor == 0 {
		return false
	}
	if g.DoNotDisrupt {
		return true
	}
	if g.Restart <= c.p.Restart {
		return false
	}
	// Twice its price is about what the same machine costs on demand.
	return c.p.riskOf(o, g.Restart) > o.Price
}
