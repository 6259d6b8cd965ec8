package planview

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// CSV writes a line for each strategy, with exact amounts.
func CSV(w io.Writer, r *compare.Report) error {
	out := csv.NewWriter(w)
	rows := [][]string{{
		"id", "name", "baseline", "nodes", "hourlyUSD", "monthlyUSD", "savingMonthlyUSD", "monthlyHighUSD", "packedCPU", "packedMemory",
		"pending", "comparable", "lowerBoundHourlyUSD", "interruptionsPerDay", "traceCostUSD", "unmetPodSeconds",
	}}
	float := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	for i := range r.Strategies {
		s := &r.Strategies[i]
		cost, unmet, bound := "", "", ""
		if s.LowerBoundHourlyUSD > 0 {
			bound = s.LowerBoundHourlyUSD.String()
		}
		if s.Trace != nil {
			cost, unmet = s.Trace.CostUSD.String(), strconv.FormatInt(s.Trace.UnmetPodSeconds, 10)
		}
		rows = append(rows, []string{
			string(s.ID), s.Name, strconv.FormatBool(s.ID == r.BaselineID), strconv.Itoa(s.NodeCount), s.HourlyUSD.String(), s.MonthlyUSD.String(),
			s.SavingMonthlyUSD.String(), s.MonthlyRangeUSD.High.String(), float(s.PackedCPU), float(s.PackedMemory), strconv.Itoa(pendingPods(s)),
			strconv.FormatBool(s.Comparable), bound, float(s.Risk.InterruptionsPerDay), cost, unmet,
		})
	}
	return out.WriteAll(rows)
}

// Marker heads Markdown, so that a bot finds its own comment and updates it.
const Marker = "<!-- tatami-plan -->"

// Markdown writes a comment for a pull request: the verdict, a short table, and
// the rest folded away.
func Markdown(w io.Writer, r *compare.Report, l Lang) error {
	p := &page{Lang: l, r: r, b: base(r)}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n### %s\n\n**%s**\n\n", Marker, inline(p.text("title", r.Inputs.Name)), inline(p.verdict()))
	b.WriteString(pipes([]string{p.text("strategy"), ">" + p.text("nodes"), ">" + p.text("month"), ">" + p.text("change"), ">CPU", ">" + p.text("memory"), ">" + p.text("pending")}))
	for i := range r.Strategies {
		s := &r.Strategies[i]
		b.WriteString(row(p.name(s), p.count(s.NodeCount), p.money(s.MonthlyUSD), change(s, p.b), p.percent(s.PackedCPU), p.percent(s.PackedMemory), p.count(pendingPods(s))))
	}
	p.folded(&b, p.text("changes"), p.markdownChanges)
	p.folded(&b, p.text("pending-title"), p.markdownPending)
	p.folded(&b, p.text("coverage"), p.markdownCoverage)
	p.folded(&b, p.text("method"), p.markdownMethod)
	fmt.Fprintf(&b, "\n<sub>%s · %s `%s`</sub>\n", inline(p.text("meta", p.count(r.Inputs.Workloads), p.count(r.Inputs.Pods), p.number(amount(r.Inputs.CPUMillis, 1000)),
		p.number(amount(r.Inputs.MemoryBytes, 1<<30)), r.Inputs.Region, p.date(asOf(r)), p.date(r.GeneratedAt))), p.text("digest"), r.Digest)
	_, err := w.Write(b.Bytes())
	return err
}

func (p *page) folded(b *bytes.Buffer, title string, body func(*bytes.Buffer)) {
	var inner bytes.Buffer
	if body(&inner); inner.Len() > 0 {
		fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n%s\n</details>\n", inline(title), inner.String())
	}
}

func (p *page) markdownChanges(b *bytes.Buffer) {
	for _, c := range p.r.Recommendations {
		money := ""
		if c.MonthlyDeltaUSD != 0 {
			money = ": " + p.signed(c.MonthlyDeltaUSD) + " " + p.text("per-month")
		}
		fmt.Fprintf(b, "- %s%s\n", inline(p.recommendation(c)), money)
	}
}

func (p *page) markdownPending(b *bytes.Buffer) {
	n := 0
	for i := range p.r.Strategies {
		for _, q := range p.r.Strategies[i].Pending {
			if n++; n <= maxPending {
				fmt.Fprintf(b, "- %s: %s × %s: %s\n", inline(p.name(&p.r.Strategies[i])), p.count(q.Count), inline(q.PodGroup), inline(q.Reason))
			}
		}
	}
}

func (p *page) markdownCoverage(b *bytes.Buffer) {
	n := 0
	for _, c := range p.r.NotCovered {
		if c.Code != "" {
			fmt.Fprintf(b, "- %s\n", inline(p.text("uncovered-"+c.Code)))
			continue
		}
		if n++; n <= maxPending {
			fmt.Fprintf(b, "- %s %s: %s\n", inline(c.Object.String()), inline(c.Field), inline(c.Why))
		}
	}
	for _, e := range p.r.Errors {
		fmt.Fprintf(b, "- %s\n", inline(p.text("partial", e)))
	}
}

func (p *page) markdownMethod(b *bytes.Buffer) {
	for _, a := range p.r.Assumptions {
		fmt.Fprintf(b, "- %s\n", inline(p.assumption(a)))
	}
}

// inline keeps text from becoming markup, a new line or a new cell.
func inline(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer("|", "\\|", "<", "&lt;", ">", "&gt;", "`", "'", "*", "\\*", "_", "\\_", "[", "\\[", "@", "@\u200b").Replace(s)
}

func pipes(titles []string) string {
	var rule []string
	for i, t := range titles {
		if strings.HasPrefix(t, ">") {
			titles[i] = t[1:]
			rule = append(rule, "---:")
			continue
		}
		rule = append(rule, "---")
	}
	return row(titles...) + "|" + strings.Join(rule, "|") + "|\n"
}

func row(cells ...string) string {
	for i := range cells {
		cells[i] = inline(cells[i])
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// DiffTable prints what differs between two plans for a person.
func DiffTable(s Screen, d *compare.Diff) {
	s.note("A", d.A.Name)
	s.note("B", d.B.Name)
	for _, in := range d.Inputs {
		if in.A != in.B {
			s.note(in.Field, fmt.Sprintf("%s → %s", count(int(in.A)), count(int(in.B))))
		}
	}
	fmt.Fprintln(s)
	var rows [][]cell
	for _, c := range d.Strategies {
		style := ""
		switch {
		case c.MonthlyDeltaUSD < 0:
			style = good
		case c.MonthlyDeltaUSD > 0:
			style = warn
		}
		t := diffCells(&c)
		rows = append(rows, []cell{{c.Name, ""}, {t[0], ""}, {t[1], ""}, {t[2], style}, {t[3], style}, {t[4], ""}, {t[5], ""}})
	}
	s.grid([]column{{"STRATEGY", false}, {"A $/MONTH", true}, {"B $/MONTH", true}, {"CHANGE", true}, {"", true}, {"NODES", true}, {"PENDING", true}}, rows)
	if !d.Different {
		fmt.Fprintln(s, "\nNothing differs.")
	}
}

// diffCells are price in a and b, difference in dollars and in percent, nodes
// and pending pods.
func diffCells(c *compare.Change) [6]string {
	price := func(t *compare.Terms) string {
		if t == nil {
			return "–"
		}
		return t.MonthlyUSD.Cents()
	}
	out := [6]string{price(c.A), price(c.B), "–", "", "–", "–"}
	if c.A != nil && c.B != nil {
		out[2] = signedCents(c.MonthlyDeltaUSD)
		if c.A.MonthlyUSD > 0 {
			out[3] = signedPercent(c.MonthlyDeltaUSD.Dollars() / c.A.MonthlyUSD.Dollars())
		}
		out[4], out[5] = arrow(c.A.NodeCount, c.B.NodeCount), arrow(c.A.Pending, c.B.Pending)
	}
	return out
}

func arrow(a, b int) string {
	if a == b {
		return count(a)
	}
	return count(a) + " → " + count(b)
}

// DiffMarkdown writes what differs as a comment for a pull request.
func DiffMarkdown(w io.Writer, d *compare.Diff) {
	var most unit.NanoUSD
	var of *compare.Change
	for i := range d.Strategies {
		if delta := d.Strategies[i].MonthlyDeltaUSD; of == nil || max(delta, -delta) > max(most, -most) {
			most, of = delta, &d.Strategies[i]
		}
	}
	headline := "Nothing differs."
	if d.Different && of != nil {
		headline = fmt.Sprintf("At most %s $/month (%s).", signedCents(most), of.Name)
	}
	fmt.Fprintf(w, "%s\n### Capacity plan: %s → %s\n\n**%s**\n\n", Marker, inline(d.A.Name), inline(d.B.Name), inline(headline))
	fmt.Fprint(w, pipes([]string{"Strategy", ">A $/month", ">B $/month", ">Change", ">%", ">Nodes", ">Pending"}))
	for i := range d.Strategies {
		t := diffCells(&d.Strategies[i])
		fmt.Fprint(w, row(append([]string{d.Strategies[i].Name}, t[:]...)...))
	}
	fmt.Fprintf(w, "\n<sub>A `%s`<br>B `%s`</sub>\n", d.A.Digest, d.B.Digest)
}
