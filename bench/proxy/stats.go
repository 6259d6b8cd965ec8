package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// figure is one thing that was measured in every repetition.
type figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	// Values are in the order of the repetitions.
	Values []float64 `json:"values"`
}

func (f *figure) add(value float64) {
	f.Values = append(f.Values, value)
	f.Median, f.Min, f.Max = median(f.Values), slices.Min(f.Values), slices.Max(f.Values)
}

// median of an even number of values is the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// pairs combines the values of each repetition: what disturbs the machine for a
// while disturbs both.
func pairs(a, b figure, combine func(a, b float64) float64) figure {
	var out figure
	for i := range min(len(a.Values), len(b.Values)) {
		out.add(combine(a.Values[i], b.Values[i]))
	}
	return out
}

// over is a ratio; 0 where there is nothing to compare with.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func minus(a, b float64) float64 { return a - b }

// loadAverage of the last minute: processes that wanted a core, 0 where the
// system does not tell.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}
