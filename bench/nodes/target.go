package main

import "strings"

// target is a promise of the project about one case. A figure that is missing
// misses its target.
type target struct {
	Name  string  `json:"name"`
	Case  string  `json:"case"`
	Value float64 `json:"value"`
	// AtMost or AtLeast is the limit; one of them is 0.
	AtMost  float64 `json:"atMost,omitempty"`
	AtLeast float64 `json:"atLeast,omitempty"`
	Unit    string  `json:"unit,omitempty"`
	// Floor is the lowest value that any fleet could have: the bound by
	// Karpenter's price. A limit below it cannot be met.
	Floor float64 `json:"floor,omitempty"`
	Met   bool    `json:"met"`
}

// The limits that the project has set itself.
const (
	maxOverBound      = 1.02
	maxFirstOverBound = 1.05
	maxOverSmall      = 0.94
	maxOverAny        = 0.75
	maxFirstMillis    = 200
	maxWithinMillis   = 2_000
	maxLargeMillis    = 10_000
	minSpeedUp        = 20
	maxLargeBytes     = 300_000_000
	maxModelError     = 0.02
)

// judge compares the figures with the targets.
func (r *report) judge() {
	for i := range r.Cases {
		c := &r.Cases[i]
		switch c.Kind {
		case quality:
			r.atMost(c, "cost over bound", c.OverBound, maxOverBound, "")
			limit := maxOverAny
			if strings.HasSuffix(c.Name, "-16") {
				limit = maxOverSmall
			}
			r.overKarpenter(c, limit)
			if strings.HasPrefix(c.Name, "micro") {
				r.anytime(c)
			}
		case mixed:
			r.overKarpenter(c, 1)
			r.add(target{Name: "pods per second over Karpenter", Case: c.Name, Value: c.SpeedUp, AtLeast: minSpeedUp, Met: c.SpeedUp >= minSpeedUp})
		case large:
			r.atMost(c, "time to within 2 % of the bound", c.Tatami.reached(), maxLargeMillis, "ms")
			r.atMost(c, "memory", float64(c.Tatami.Last.PeakRSS), maxLargeBytes, "bytes")
		}
		if c.Karpenter != nil {
			r.agreement(c)
		}
		broken := c.Tatami.violations()
		r.add(target{Name: "violations", Case: c.Name, Value: float64(broken), Met: broken == 0 && c.Tatami.Last.Runs > 0})
	}
}

func (r *report) overKarpenter(c *result, limit float64) {
	r.atMost(c, "cost over Karpenter", c.OverKarpenter, limit, "")
	if c.KarpenterOverBound > 0 {
		r.Targets[len(r.Targets)-1].Floor = 1 / c.KarpenterOverBound
	}
}

// anytime holds how soon a good answer is there.
func (r *report) anytime(c *result) {
	r.atMost(c, "first answer over bound", c.FirstOverBound, maxFirstOverBound, "")
	r.atMost(c, "time to the first answer", c.Tatami.First.Millis, maxFirstMillis, "ms")
	r.atMost(c, "time to within 2 % of the bound", c.Tatami.reached(), maxWithinMillis, "ms")
}

// agreement holds that our model of Karpenter costs what Karpenter does.
func (r *report) agreement(c *result) {
	off := c.ModelOverKarpenter - 1
	r.add(target{
		Name: "model over Karpenter", Case: c.Name, Value: c.ModelOverKarpenter, AtMost: 1 + maxModelError, AtLeast: 1 - maxModelError,
		Met: off >= -maxModelError && off <= maxModelError,
	})
}

// reached is the time of an answer within 2 % of the bound, or 0.
func (o ours) reached() float64 {
	if a := o.Within; a.Bound > 0 && a.Hourly.Dollars() <= maxOverBound*a.Bound.Dollars() {
		return a.Millis
	}
	return 0
}

// atMost adds a target; a value of 0 was not measured.
func (r *report) atMost(c *result, name string, value, limit float64, unit string) {
	r.add(target{Name: name, Case: c.Name, Value: value, AtMost: limit, Unit: unit, Met: value > 0 && value <= limit})
}

func (r *report) add(t target) { r.Targets = append(r.Targets, t) }

func (r *report) met() bool {
	for _, t := range r.Targets {
		if !t.Met {
			return false
		}
	}
	return true
}
