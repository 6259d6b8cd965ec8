package planview

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// change is a saving as people read it: what it does to the bill, e.g. "−12%";
// a dash where it is not for the same pods, or for none.
func change(s *compare.Strategy, base *compare.Strategy) string {
	if s.ID == base.ID || base.MonthlyUSD == 0 || !s.Comparable || s.NodeCount == 0 {
		return "—"
	}
	return signedPercent(-s.SavingMonthlyUSD.Dollars() / base.MonthlyUSD.Dollars())
}

func signedPercent(x float64) string {
	n := math.Round(x * 100)
	switch {
	case n == 0:
		return "0%"
	case n < 0:
		return fmt.Sprintf("−%.0f%%", -n)
	}
	return fmt.Sprintf("+%.0f%%", n)
}

// signedCents puts a sign before an amount that is not zero.
func signedCents(m unit.NanoUSD) string {
	switch text := m.Cents(); {
	case strings.HasPrefix(text, "-"):
		return "−" + text[1:]
	case text == "0.00":
		return text
	default:
		return "+" + text
	}
}

func percent(x float64) string { return fmt.Sprintf("%.0f%%", x*100) }

func pendingPods(s *compare.Strategy) int {
	n := 0
	for _, p := range s.Pending {
		n += p.Count
	}
	return n
}

// overBound is how far the price lies above the proven bound, or "" without one.
func overBound(s *compare.Strategy) string {
	if s.LowerBoundHourlyUSD <= 0 {
		return "–"
	}
	return fmt.Sprintf("%+.1f%%", 100*(s.HourlyUSD.Dollars()/s.LowerBoundHourlyUSD.Dollars()-1))
}

// counted is a number with its English noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return count(n) + " " + noun
}

// count groups the digits of a number.
func count(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// base is the strategy that savings are counted from; an empty one when the
// report has none.
func base(r *compare.Report) *compare.Strategy {
	if s := r.Find(r.BaselineID); s != nil {
		return s
	}
	return &compare.Strategy{}
}

// asOf is the day of the newest price.
func asOf(r *compare.Report) time.Time {
	var day time.Time
	for _, s := range r.Inputs.PriceBook.Sources {
		if s.AsOf.After(day) {
			day = s.AsOf
		}
	}
	return day
}

// duration shows seconds as people read them.
func duration(seconds int64) string {
	switch {
	case seconds < 120:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 7200:
		return fmt.Sprintf("%dm%02ds", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%dh%02dm", seconds/3600, seconds/60%60)
}
