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
	fmt.Fprintf(out, "%s, %d cores, %.1f GB of memory, kernel %s, %s, Karpenter %s, load average %.1f\n",
		m.CPU, m.Cores, float64(m.MemoryBytes)/1e9, m.Kernel, m.Go, r.Karpenter, r.LoadAverage)
	if r.Quick {
		fmt.Fprintln(out, "quick: a tenth of the pods; these are no measurements")
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nCASE\tPODS\tGROUPS\tTYPES\tBOUND $/h\tTATAMI\tOVER BOUND\tKARPENTER\tOVER BOUND\tTATAMI/KARP.\tMODEL/KARP.\t")
	for i := range r.Cases {
		c := &r.Cases[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", c.Name, c.Pods, c.Groups, c.Types,
			c.Tatami.Last.Bound.Cents(), c.Tatami.Last.Hourly.Cents(), over(c.OverBound), c.Karpenter.price(), over(c.KarpenterOverBound),
			number(c.OverKarpenter, 3), number(c.ModelOverKarpenter, 3))
	}
	fmt.Fprintln(w, "\nCASE\tFIRST\tOVER BOUND\tWITHIN 2 %\tLAST\tMODEL\tKARPENTER\tPODS/s\tKARP. PODS/s\tTIMES\tMEMORY\tKARP. MEMORY\t")
	for i := range r.Cases {
		c := &r.Cases[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", c.Name, seconds(c.Tatami.First.Millis), over(c.FirstOverBound),
			seconds(c.Tatami.reached()), seconds(c.Tatami.Last.Millis), c.Model.time(), c.Karpenter.time(),
			number(c.PodsPerSecond, 0), number(c.KarpenterPodsPerSecond, 0), number(c.SpeedUp, 0),
			c.Tatami.Last.memory(), c.Karpenter.memory())
	}
	for i := range r.Cases {
		for _, failure := range r.Cases[i].Failures {
			fmt.Fprintf(w, "\n%s: %s\n", r.Cases[i].Name, failure)
		}
	}
	fmt.Fprintln(w, "\nTARGET\tCASE\tVALUE\tLIMIT\tMET\t")
	for _, t := range r.Targets {
		met := "no"
		if t.Met {
			met = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", t.Name, t.Case, t.show(t.Value), t.limit(), met)
	}
	return w.Flush()
}

func (a *answer) price() string {
	switch {
	case a == nil:
		return "-"
	case a.TimedOut:
		return fmt.Sprintf("%s (%d pending)", a.Hourly.Cents(), a.Pending)
	}
	return a.Hourly.Cents()
}

func (a *answer) time() string {
	switch {
	case a == nil:
		return "-"
	case a.TimedOut:
		return "> " + seconds(a.Millis)
	}
	return seconds(a.Millis)
}

func (a *answer) memory() string {
	if a == nil || a.PeakRSS == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f MB", float64(a.PeakRSS)/1e6)
}

func (t target) limit() string {
	switch {
	case t.AtMost > 0 && t.AtLeast > 0:
		return t.show(t.AtLeast) + " to " + t.show(t.AtMost)
	case t.AtLeast > 0:
		return "at least " + t.show(t.AtLeast)
	}
	text := "at most " + t.show(t.AtMost)
	if t.Floor > t.AtMost {
		text += ", not below " + t.show(t.Floor)
	}
	return text
}

func (t target) show(value float64) string {
	switch t.Unit {
	case "ms":
		return seconds(value)
	case "bytes":
		return fmt.Sprintf("%.0f MB", value/1e6)
	}
	return strconv.FormatFloat(value, 'g', 4, 64)
}

// over shows a ratio as what it is more than 1, e.g. "+1.20 %".
func over(ratio float64) string {
	if ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%+.2f %%", (ratio-1)*100)
}

func number(value float64, digits int) string {
	if value == 0 {
		return "-"
	}
	return strconv.FormatFloat(value, 'f', digits, 64)
}

func seconds(millis float64) string {
	switch {
	case millis == 0:
		return "-"
	case millis < 1000:
		return fmt.Sprintf("%.1f ms", millis)
	}
	return fmt.Sprintf("%.2f s", millis/1000)
}
