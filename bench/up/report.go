package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/tatami-platform/tatami/bench/machine"
)

// The units of figures and targets.
const (
	millis = "ms"
	size   = "bytes"
)

// figure is one thing that was measured in every run.
type figure struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Median int64   `json:"median"`
	Min    int64   `json:"min"`
	Max    int64   `json:"max"`
	Values []int64 `json:"values"`
}

// target is a promise of the project. The worst run counts.
type target struct {
	Figure string `json:"figure"`
	Limit  int64  `json:"limit"`
	Worst  int64  `json:"worst"`
	Unit   string `json:"unit"`
	Met    bool   `json:"met"`
}

// report is the output. Its JSON keys are a contract.
type report struct {
	Machine     machine.Machine `json:"machine"`
	Tatami      string          `json:"tatami"`
	Runs        int             `json:"runs"`
	RestSeconds float64         `json:"restSeconds"`
	Figures     []figure        `json:"figures"`
	Targets     []target        `json:"targets"`
	// Processes are those of the last run of each variation.
	Processes map[string]memory `json:"processes"`
}

// promises are the limits that the project has set itself.
func promises() []target {
	return []target{
		{Figure: "apiReady", Limit: 10_000, Unit: millis},
		{Figure: "shop.apiReady", Limit: 10_000, Unit: millis},
		{Figure: "shop.shopServing", Limit: 60_000, Unit: millis},
		{Figure: "rss", Limit: 450_000_000, Unit: size},
		{Figure: "shop.rss", Limit: 450_000_000, Unit: size},
	}
}

// add takes the measurements of one cluster in.
func (r *report) add(shop bool, m measured) {
	prefix, name := "", "cluster"
	if shop {
		prefix, name = "shop.", "cluster with shop"
	}
	for _, key := range []string{"apiReady", "nodeReady", "up", "shopServing", "firstOrder", "down", "restartAPIReady", "restartUp"} {
		if value, measured := m.times[key]; measured {
			r.put(prefix+key, millis, value)
		}
	}
	for _, kind := range []string{"server", "containerd", "shim"} {
		r.put(prefix+"rss."+kind, size, m.memory.sum(rss, kind))
		r.put(prefix+"pss."+kind, size, m.memory.sum(pss, kind))
	}
	r.put(prefix+"rss", size, m.memory.sum(rss, ""))
	r.put(prefix+"pss", size, m.memory.sum(pss, ""))
	if r.Processes == nil {
		r.Processes = map[string]memory{}
	}
	r.Processes[name] = m.memory
}

func (r *report) put(name, unit string, value int64) {
	i := slices.IndexFunc(r.Figures, func(f figure) bool { return f.Name == name })
	if i < 0 {
		i = len(r.Figures)
		r.Figures = append(r.Figures, figure{Name: name, Unit: unit})
	}
	f := &r.Figures[i]
	f.Values = append(f.Values, value)
	f.Median, f.Min, f.Max = median(f.Values), slices.Min(f.Values), slices.Max(f.Values)
}

// median of an even number of values is the mean of the two in the middle.
func median(values []int64) int64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// judge compares the figures with the targets; a target without its figure is
// missed.
func (r *report) judge() {
	r.Targets = promises()
	for i := range r.Targets {
		t := &r.Targets[i]
		for _, f := range r.Figures {
			if f.Name == t.Figure {
				t.Worst, t.Met = f.Max, f.Max <= t.Limit
			}
		}
	}
}

func (r *report) met() bool {
	return !slices.ContainsFunc(r.Targets, func(t target) bool { return !t.Met })
}

func (r *report) write(out io.Writer, form string) error {
	if form == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	m := r.Machine
	fmt.Fprintf(out, "%s\n%s, %d cores, %s of memory, kernel %s, %s\n%d runs, memory after %g s of rest\n\n",
		r.Tatami, m.CPU, m.Cores, show(m.MemoryBytes, size), m.Kernel, m.Go, r.Runs, r.RestSeconds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "FIGURE\tMEDIAN\tMIN\tMAX\t")
	for _, f := range r.Figures {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", f.Name, show(f.Median, f.Unit), show(f.Min, f.Unit), show(f.Max, f.Unit))
	}
	fmt.Fprintln(w, "\t\t\t\t\nTARGET\tLIMIT\tWORST\tMET\t")
	for _, t := range r.Targets {
		met := "no"
		if t.Met {
			met = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", t.Figure, show(t.Limit, t.Unit), show(t.Worst, t.Unit), met)
	}
	return w.Flush()
}

// show writes seconds and megabytes of a million bytes.
func show(value int64, unit string) string {
	if unit == millis {
		return strconv.FormatFloat(float64(value)/1000, 'f', 2, 64) + " s"
	}
	return strconv.FormatFloat(float64(value)/1e6, 'f', 1, 64) + " MB"
}
