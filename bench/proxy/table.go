package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

func (r *report) write(out io.Writer, form string) error {
	if form == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	m := r.Machine
	fmt.Fprintf(out, "%s, %d cores, %.1f GB of memory, kernel %s, %s, load average %.1f\n",
		m.CPU, m.Cores, float64(m.MemoryBytes)/1e9, m.Kernel, m.Go, r.LoadAverage)
	for _, p := range r.Peers {
		if p.Missing != "" {
			fmt.Fprintf(out, "%s is missing: %s\n", p.Name, p.Missing)
			continue
		}
		fmt.Fprintf(out, "%s %s\n", p.Name, p.Version)
	}
	fmt.Fprintf(out, "medians of %d repetitions of %d ms; lowest and highest in brackets; ratios are ours by the peer's\n", r.Runs, r.SliceMillis)
	if r.Quick {
		fmt.Fprintln(out, "quick: these are no measurements")
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i := range r.Cases {
		r.Cases[i].write(w)
	}
	r.writeTargets(w)
	return w.Flush()
}

func (c *caseResult) write(w io.Writer) {
	fmt.Fprintf(w, "\n%s: %s\n", c.Name, c.What)
	switch c.Kind {
	case footprint:
		fmt.Fprintln(w, "SERVER\tPROGRAM MB\tREADY ms\tRSS MB\tPSS MB\tREQUESTS/s\t")
		for _, p := range c.Peers {
			if p.Failure == "" {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t\n", p.Name, megabytes(float64(p.BinaryBytes)),
					p.Ready.show(1, 1), p.RSS.show(1e6, 1), p.PSS.show(1e6, 1), number(p.PerSecond.Median, 0))
			}
		}
	case reload, reloadFile:
		fmt.Fprintln(w, "SERVER\tCHANGES\tACKNOWLEDGED ms\tFIRST ANSWER ms\tRSS MB\tPSS MB\tPEAK RSS MB\tREQUESTS\tp50 µs\tp99 µs\tp99.9 µs\t")
		for _, p := range c.Peers {
			if p.Failure == "" {
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t\n", p.Name, len(p.Apply.Values), p.Ack.show(1, 1), p.Apply.show(1, 1),
					p.RSS.show(1e6, 1), p.PSS.show(1e6, 1), megabytes(float64(p.Memory.Peak)), p.Requests,
					number(p.P50.Median, 0), number(p.P99.Median, 0), number(p.P999.Median, 0))
			}
		}
	default:
		if c.RequestsPerSecond > 0 {
			fmt.Fprintf(w, "%.0f requests per second\n", c.RequestsPerSecond)
		}
		fmt.Fprintln(w, "SERVER\tCPU µs/request\tRATIO\tREQUESTS/s\tRATIO\tp50 µs\tp99 µs\tp99.9 µs\tADDED p99 µs\tPSS MB\t")
		for i := range c.Peers {
			c.writePeer(w, &c.Peers[i])
		}
	}
	for _, p := range c.Peers {
		if p.Failure != "" {
			fmt.Fprintf(w, "%s: %s\n", p.Name, p.Failure)
		}
	}
}

func (c *caseResult) writePeer(w io.Writer, p *peerResult) {
	if p.Failure != "" {
		return
	}
	cpu, throughput := "-", "-"
	if x := c.against(p.Name); x != nil {
		cpu, throughput = x.CPU.show(1, 2), x.PerSecond.show(1, 2)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", p.Name, p.CPU.show(1, 2), cpu, p.PerSecond.show(1, 0), throughput,
		number(p.P50.Median, 0), number(p.P99.Median, 0), number(p.P999.Median, 0), p.AddedP99.show(1, 0), megabytes(float64(p.Memory.PSS)))
}

func (r *report) writeTargets(w io.Writer) {
	if len(r.Targets) == 0 {
		return
	}
	fmt.Fprintln(w, "\nTARGET\tCASE\tVALUE\tLIMIT\tMET\t")
	for _, t := range r.Targets {
		met, value, limit := "no", "-", ""
		if t.Met {
			met = "yes"
		}
		if t.Measured {
			value = t.show(t.Value)
		}
		if t.AtMost != nil {
			limit = "at most " + t.show(*t.AtMost)
		}
		if t.AtLeast != nil {
			limit = "at least " + t.show(*t.AtLeast)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", t.Name, t.Case, value, limit, met)
	}
}

func (t target) show(value float64) string {
	switch t.Unit {
	case bytesUnit:
		return megabytes(value) + " MB"
	case "":
		return strconv.FormatFloat(value, 'f', 2, 64)
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + t.Unit
}

// show writes median, lowest and highest, each divided by a unit.
func (f figure) show(unit float64, digits int) string {
	if f.IsZero() {
		return "-"
	}
	text := func(value float64) string { return strconv.FormatFloat(value/unit, 'f', digits, 64) }
	return text(f.Median) + " (" + text(f.Min) + "–" + text(f.Max) + ")"
}

func number(value float64, digits int) string {
	if value == 0 {
		return "-"
	}
	return strconv.FormatFloat(value, 'f', digits, 64)
}

func megabytes(value float64) string { return number(value/1e6, 1) }
