package traffic

import (
	"math"
	"time"
)

// Kind is the shape of load over time.
type Kind string

// The kinds of load; each but steady repeats after the period.
const (
	// Steady is the base rate for ever.
	Steady Kind = "steady"
	// Step is the base rate for half a period, then the peak rate.
	Step Kind = "step"
	// Wave goes from base to peak and back as a cosine, like a day of visitors
	// when the period is 24 hours. It starts at the base: midnight.
	Wave Kind = "wave"
	// Burst is the peak rate for a tenth of a period, then the base rate.
	Burst Kind = "burst"
)

// Kinds lists the kinds of load.
func Kinds() []string {
	return []string{string(Steady), string(Step), string(Wave), string(Burst)}
}

// Pattern is a kind of load with its figures.
type Pattern struct {
	Kind Kind
	// Base and Peak are requests per second.
	Base, Peak float64
	Period     time.Duration
}

// Rate is the requests per second that the pattern asks for after a time. It
// is never outside of base and peak.
func (p Pattern) Rate(elapsed time.Duration) float64 {
	if p.Kind == Steady || p.Period <= 0 {
		return p.Base
	}
	phase := float64(elapsed%p.Period) / float64(p.Period)
	switch p.Kind {
	case Step:
		if phase >= 0.5 {
			return p.Peak
		}
	case Burst:
		if phase < 0.1 {
			return p.Peak
		}
	case Wave:
		return p.Base + (p.Peak-p.Base)*(1-math.Cos(2*math.Pi*phase))/2
	case Steady:
	}
	return p.Base
}
