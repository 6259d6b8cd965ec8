package sim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Patterns are the names of loads that need no file; they have the shapes of
// the sample shop's load generator.
func Patterns() []string { return []string{"steady", "step", "wave", "burst"} }

// ErrPattern is wrapped by errors of [Pattern].
var ErrPattern = errors.New("not a load pattern")

const (
	day = 24 * time.Hour
	// patternDays is two, so that a strategy that learns from yesterday shows
	// both what it does without a yesterday and with one.
	patternDays = 2
	patternStep = 15 * time.Minute
)

// Pattern is a load over two days by name: "wave", or "wave:4" for a peak of
// four times the pods that the demand says. Without a number the peak is twice
// the demand; the base is the demand itself.
func Pattern(name string) (Trace, error) {
	kind, factor, given := strings.Cut(name, ":")
	if !slices.Contains(Patterns(), kind) {
		return Trace{}, fmt.Errorf("%q: %w: it must be %s", name, ErrPattern, strings.Join(Patterns(), ", "))
	}
	peak := 2.0
	if given {
		var err error
		if peak, err = strconv.ParseFloat(factor, 64); err != nil || !(peak >= 1 && peak <= 1000) {
			return Trace{}, fmt.Errorf("%q: %w: the peak must be a number from 1 to 1000", name, ErrPattern)
		}
	}
	t := Trace{Name: name, Length: patternDays * day}
	last := int64(-1)
	for at := time.Duration(0); at < t.Length; at += patternStep {
		if f := factorAt(kind, peak, at); f != last {
			t.Points = append(t.Points, Point{At: at, Factor: f})
			last = f
		}
	}
	return t, nil
}

// factorAt is in thousandths.
func factorAt(kind string, peak float64, at time.Duration) int64 {
	phase := float64(at%day) / float64(day)
	f := 1.0
	switch {
	case kind == "step" && phase >= 0.5, kind == "burst" && phase < 0.1:
		f = peak
	case kind == "wave":
		f = 1 + (peak-1)*(1-math.Cos(2*math.Pi*phase))/2
	}
	return int64(math.Round(f * 1000))
}
