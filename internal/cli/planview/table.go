package planview

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
)

// Screen is a terminal, or a file when Width is 0.
type Screen struct {
	io.Writer
	Width int
	Color bool
}

// fileWidth is for output that is not a terminal; from roomyWidth on there are
// more columns.
const (
	fileWidth  = 100
	roomyWidth = 108
)

func (s Screen) width() int {
	if s.Width <= 0 {
		return fileWidth
	}
	return max(s.Width, 60)
}

// The styles, by meaning; all are told apart without colour too.
const (
	bold  = "1"
	faint = "2"
	good  = "32"
	warn  = "33"
	bad   = "31"
)

func (s Screen) paint(style, text string) string {
	if !s.Color || text == "" || style == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// cell is a field of a table.
type cell struct{ text, style string }

// column has a title and a side to which its cells are set.
type column struct {
	title string
	right bool
}

// grid prints rows below titles, each column as wide as needed.
func (s Screen) grid(cols []column, rows [][]cell) {
	widths := make([]int, len(cols))
	for i, c := range cols {
		widths[i] = utf8.RuneCountInString(c.title)
		for _, r := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i].text))
		}
	}
	line := func(cells []cell) {
		var b strings.Builder
		for i, c := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			switch text := s.paint(c.style, c.text); {
			case cols[i].right:
				b.WriteString(pad + text)
			case i < len(cells)-1:
				b.WriteString(text + pad)
			default:
				b.WriteString(text)
			}
			if i < len(cells)-1 {
				b.WriteString("  ")
			}
		}
		fmt.Fprintln(s, strings.TrimRight(b.String(), " "))
	}
	head := make([]cell, len(cols))
	for i, c := range cols {
		head[i] = cell{c.title, faint}
	}
	line(head)
	for _, r := range rows {
		line(r)
	}
}

// note prints a label and text that is wrapped beside it.
func (s Screen) note(label, text string) {
	const indent = 13
	first := true
	for _, line := range wrap(text, s.width()-indent) {
		shown := ""
		if first {
			shown = label
		}
		fmt.Fprintf(s, "%s%s%s\n", s.paint(faint, shown), strings.Repeat(" ", max(indent-utf8.RuneCountInString(shown), 1)), line)
		first = false
	}
}

// wrap breaks text at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// Table prints the report for a person at a terminal; wide adds the nodes of
// each strategy, and every assumption.
func Table(s Screen, r *compare.Report, wide bool) {
	in := r.Inputs
	s.note("Inputs", fmt.Sprintf("%s · %s · %s · %s cores · %s GiB · list prices %s %s",
		in.Name, counted(in.Workloads, "workload"), counted(in.Pods, "pod"), amount(in.CPUMillis, 1000), amount(in.MemoryBytes, 1<<30), in.Region, asOf(r).Format(time.DateOnly)))
	fmt.Fprintln(s)
	s.strategies(r)
	fmt.Fprintln(s)
	for _, line := range wrap(r.Verdict.Text, s.width()) {
		fmt.Fprintln(s, s.paint(bold, line))
	}
	for _, line := range wrap(beside(r), s.width()) {
		fmt.Fprintln(s, line)
	}
	fmt.Fprintln(s)
	s.trace(r)
	if wide {
		s.nodes(r)
	}
	s.pending(r, wide)
	s.notes(r, wide)
}

func amount(n, per int64) string {
	x := float64(n) / float64(per)
	if x >= 100 {
		return count(int(x + 0.5))
	}
	return fmt.Sprintf("%.1f", x)
}

func (s Screen) strategies(r *compare.Report) {
	b := base(r)
	roomy := s.width() >= roomyWidth
	cols := []column{{"STRATEGY", false}, {"NODES", true}, {"$/MONTH", true}, {"CHANGE", true}, {"CPU", true}, {"MEM", true}, {"PENDING", true}}
	if roomy {
		cols = append(cols, column{"$/HOUR", true}, column{"OVER BOUND", true})
	}
	cols = append(cols, column{"RISK", false})
	var rows [][]cell
	for i := range r.Strategies {
		t := &r.Strategies[i]
		row := []cell{
			{t.Name, ""},
			{count(t.NodeCount), ""},
			{t.MonthlyUSD.Cents(), ""},
			{changeCell(t, b), changeStyle(t, b)},
			{percent(t.PackedCPU), ""},
			{percent(t.PackedMemory), ""},
			pendingCell(t),
		}
		if roomy {
			row = append(row, cell{t.HourlyUSD.String(), faint}, cell{overBound(t), faint})
		}
		rows = append(rows, append(row, riskCell(t, roomy)))
	}
	s.grid(cols, rows)
}

func changeCell(t, b *compare.Strategy) string {
	if t.ID == b.ID {
		return "baseline"
	}
	return change(t, b)
}

func changeStyle(t, b *compare.Strategy) string {
	switch {
	case t.ID == b.ID:
		return faint
	case !t.Comparable:
		return warn
	case t.SavingMonthlyUSD > 0:
		return good
	}
	return ""
}

func pendingCell(t *compare.Strategy) cell {
	if n := pendingPods(t); n > 0 {
		return cell{"‼ " + count(n), bad}
	}
	return cell{"–", faint}
}

func riskCell(t *compare.Strategy, roomy bool) cell {
	switch {
	case t.Risk.InterruptionsPerDay == 0:
		return cell{string(t.Risk.Level), faint}
	case !roomy:
		return cell{string(t.Risk.Level), warn}
	}
	return cell{fmt.Sprintf("%s: %.2g/day", t.Risk.Level, t.Risk.InterruptionsPerDay), warn}
}

// beside is what the verdict must not hide: the best without Tatami, and what
// spot would add.
func beside(r *compare.Report) string {
	v := r.Verdict
	var parts []string
	if other := r.Find(v.BestOther); other != nil && comparesOther(v) {
		switch {
		case v.AnnualSavingOtherUSD > 0:
			parts = append(parts, fmt.Sprintf("%s alone would save $%s.", other.Name, v.AnnualSavingOtherUSD.Cents()))
		default:
			parts = append(parts, fmt.Sprintf("The best of the others is %s, at $%s more.", other.Name, (-v.AnnualSavingOtherUSD).Cents()))
		}
	}
	if t := r.Find(compare.TatamiSpot); t != nil && t.Comparable && v.Code != compare.VerdictMore && v.AnnualSavingSpotUSD > v.AnnualSavingUSD {
		parts = append(parts, fmt.Sprintf("With up to %d%% spot $%s, if spot prices stay.", r.Inputs.SpotPercent, v.AnnualSavingSpotUSD.Cents()))
	}
	if k := r.Find(compare.Karpenter); k != nil && k.WithSpotMonthlyUSD != nil {
		parts = append(parts, fmt.Sprintf("Karpenter with spot: $%s a month.", k.WithSpotMonthlyUSD.Cents()))
	}
	return strings.Join(append(parts, v.FirstStep), " ")
}

// comparesOther says whether the best of the others is worth a sentence beside
// the verdict: not when nothing can be compared, nor when the verdict has it.
func comparesOther(v compare.Verdict) bool {
	return v.Code != compare.VerdictIncomplete && v.Code != compare.VerdictMore && !v.OtherSavesMore()
}

func (s Screen) trace(r *compare.Report) {
	if r.Trace == nil {
		return
	}
	var rows [][]cell
	for i := range r.Strategies {
		t := &r.Strategies[i]
		if t.Trace == nil {
			continue
		}
		style := ""
		if t.Trace.UnmetSeconds > 0 {
			style = warn
		}
		rows = append(rows, []cell{
			{t.Name, ""},
			{t.Trace.CostUSD.Cents(), ""},
			{t.Trace.MonthlyUSD.Cents(), ""},
			{count(int(t.Trace.UnmetPodSeconds)), style},
			{duration(t.Trace.UnmetSeconds), style},
			{count(t.Trace.PeakNodes), ""},
			{count(t.Trace.PodsMoved), ""},
		})
	}
	s.note("Over time", fmt.Sprintf("%s, %s, seed %d", r.Trace.Name, duration(r.Trace.LengthSeconds), r.Trace.Seed))
	s.grid([]column{{"STRATEGY", false}, {"COST $", true}, {"$/MONTH", true}, {"UNMET POD-S", true}, {"UNMET FOR", true}, {"PEAK", true}, {"MOVED", true}}, rows)
	fmt.Fprintln(s)
}

func (s Screen) nodes(r *compare.Report) {
	var rows [][]cell
	for i := range r.Strategies {
		t := &r.Strategies[i]
		for _, n := range t.Nodes {
			rows = append(rows, []cell{
				{string(t.ID), faint},
				{count(n.Count), ""},
				{n.InstanceType, ""},
				{string(n.Arch), ""},
				{string(n.CapacityType), ""},
				{n.Zone, ""},
				{n.HourlyUSD.String(), ""},
				{percent(n.CPUShare + n.DaemonCPU), ""},
				{percent(n.MemoryShare + n.DaemonMemory), ""},
			})
		}
	}
	s.grid([]column{{"STRATEGY", false}, {"NODES", true}, {"TYPE", false}, {"ARCH", false}, {"CAPACITY", false}, {"ZONE", false}, {"$/HOUR EACH", true}, {"CPU", true}, {"MEM", true}}, rows)
	fmt.Fprintln(s)
}

// pending names each group once, with the strategies that leave it.
func (s Screen) pending(r *compare.Report, wide bool) {
	const shown = 5
	label := "Pending"
	n := 0
	for i := range r.Strategies {
		for _, p := range r.Strategies[i].Pending {
			if n++; n > shown && !wide {
				continue
			}
			s.note(label, fmt.Sprintf("%s: %s × %s: %s", r.Strategies[i].Name, count(p.Count), p.PodGroup, p.Reason))
			label = ""
		}
	}
	if n > shown && !wide {
		s.note("", fmt.Sprintf("and %d more: -o wide lists them", n-shown))
	}
}

func (s Screen) notes(r *compare.Report, wide bool) {
	label := "Top changes"
	for i, rec := range r.Recommendations {
		saving := ""
		if rec.MonthlyDeltaUSD != 0 {
			saving = "  " + signedCents(rec.MonthlyDeltaUSD) + " $/month"
		}
		s.note(label, fmt.Sprintf("%d. %s: %s → %s%s", i+1, rec.Target, rec.Current, rec.Proposed, saving))
		label = ""
	}
	for i, e := range r.Errors {
		if i == 0 {
			s.note("Partial", e)
		} else {
			s.note("", e)
		}
	}
	s.note("Not covered", uncovered(r, wide))
	if !wide {
		s.note("Assumptions", fmt.Sprintf("%d: -o wide or -o json lists them", len(r.Assumptions)))
		return
	}
	for i, a := range r.Assumptions {
		label := ""
		if i == 0 {
			label = "Assumptions"
		}
		s.note(label, a.Text)
	}
	s.note("Digest", r.Digest)
}

// uncovered lists what has no influence on the figures; objects are counted
// unless all are wanted.
func uncovered(r *compare.Report, all bool) string {
	const shown = 4
	var parts []string
	objects := 0
	for _, n := range r.NotCovered {
		switch {
		case n.Code != "":
			parts = append(parts, n.Why)
			continue
		case objects < shown || all:
			parts = append(parts, strings.TrimSpace(n.Object.String()+" "+n.Field)+" ("+n.Why+")")
		}
		objects++
	}
	if objects > shown && !all {
		parts = append(parts, fmt.Sprintf("and %d more", objects-shown))
	}
	return strings.Join(parts, " · ")
}
