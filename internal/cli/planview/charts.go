package planview

import (
	"fmt"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Charts use widths in percent and heights in pixels, so that text keeps its
// size on every screen.
const (
	rowHeight = 50
	barHeight = 20
)

// strategies shows what each costs, as bars and as a table.
func (p *page) strategies() {
	p.section("strategies", p.text("strategies"), p.text("strategies-lead"), func() {
		p.bars()
		titles := []string{p.text("strategy"), ">" + p.text("nodes"), ">" + p.text("month"), ">" + p.text("change"), ">CPU", ">" + p.text("memory"), ">" + p.text("pending"), ">" + p.text("over-bound")}
		var rows [][]string
		for i := range p.r.Strategies {
			s := &p.r.Strategies[i]
			rows = append(rows, []string{
				p.name(s), p.count(s.NodeCount), p.money(s.MonthlyUSD), change(s, p.b),
				p.percent(s.PackedCPU), p.percent(s.PackedMemory), p.count(pendingPods(s)), p.number(overBound(s)),
			})
		}
		p.table(p.text("strategies-caption"), titles, rows)
	})
}

// bars has one bar for each strategy; a dashed line goes on to the price
// without spot discounts, a tick marks the proven bound.
func (p *page) bars() {
	top := unit.NanoUSD(1)
	for i := range p.r.Strategies {
		top = max(top, p.r.Strategies[i].MonthlyRangeUSD.High)
	}
	at := func(m unit.NanoUSD) float64 { return 100 * m.Dollars() / top.Dollars() }
	p.raw("<figure>")
	p.svg(len(p.r.Strategies)*rowHeight, p.text("bars-title"), p.text("bars-desc", p.name(p.b)))
	for i := range p.r.Strategies {
		s := &p.r.Strategies[i]
		y := i * rowHeight
		note := ""
		if s.ID == p.b.ID {
			note = " · " + p.text("baseline")
		}
		if !s.Comparable {
			note += " · " + p.text("not-comparable")
		}
		p.label(0, y+16, "", p.name(s)+note)
		p.label(100, y+16, "e", p.money(s.MonthlyUSD))
		class := "f-bar"
		if s.ID == p.b.ID {
			class = "f-base"
		} else if ours(s.ID) {
			class = "f-tatami"
		}
		p.bar(0, at(s.MonthlyUSD), y+22, class)
		if s.MonthlyRangeUSD.High > s.MonthlyUSD {
			p.line(at(s.MonthlyUSD), at(s.MonthlyRangeUSD.High), y+22+barHeight/2, y+22+barHeight/2, "range")
			p.line(at(s.MonthlyRangeUSD.High), at(s.MonthlyRangeUSD.High), y+24, y+20+barHeight, "mark")
		}
		if s.LowerBoundHourlyUSD > 0 {
			x := at(s.LowerBoundHourlyUSD.Monthly())
			p.line(x, x, y+20, y+24+barHeight, "mark")
		}
	}
	p.raw("</svg>")
	p.el("figcaption", `class="tag"`, p.text("bars-caption"))
	p.raw("</figure>")
}

// ours says whether a strategy is Tatami's.
func ours(id compare.ID) bool { return id == compare.Tatami || id == compare.TatamiSpot }

// svg opens a picture with a name and a description for those who can't see it.
func (m *markup) svg(height int, title, desc string) {
	m.raw(`<svg role="img" width="100%%" height="%d">`, height)
	m.el("title", "", title)
	m.el("desc", "", desc)
}

func (m *markup) label(x float64, y int, class, text string) {
	m.raw(`<text x="%s%%" y="%d" class="%s">`, coord(x), y, class)
	m.esc(text)
	m.raw("</text>")
}

func (m *markup) bar(from, to float64, y int, class string) {
	m.raw(`<rect x="%s%%" y="%d" width="%s%%" height="%d" rx="3" class="%s"/>`, coord(from), y, coord(max(to-from, 0.3)), barHeight, class)
}

func (m *markup) line(x1, x2 float64, y1, y2 int, class string) {
	m.raw(`<line x1="%s%%" x2="%s%%" y1="%d" y2="%d" class="%s"/>`, coord(x1), coord(x2), y1, y2, class)
}

// coord is short: pages hold thousands.
func coord(x float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", x), "0"), ".")
}

// waterfall shows by which steps the baseline becomes Tatami's plan.
func (p *page) waterfall() {
	steps := p.r.Waterfall
	if len(steps) < 2 {
		return
	}
	p.section("waterfall", p.text("waterfall"), p.text("waterfall-lead"), func() {
		top, sum := unit.NanoUSD(1), unit.NanoUSD(0)
		for _, s := range steps {
			sum += s.MonthlyDeltaUSD
			top = max(top, sum)
		}
		at := func(m unit.NanoUSD) float64 { return 100 * m.Dollars() / top.Dollars() }
		p.raw("<figure>")
		p.svg((len(steps)+1)*rowHeight, p.text("waterfall"), p.text("waterfall-desc"))
		var rows [][]string
		before := unit.NanoUSD(0)
		for i, s := range steps {
			after := before + s.MonthlyDeltaUSD
			class, amount := "f-down", p.signed(s.MonthlyDeltaUSD)
			switch {
			case i == 0:
				class, amount = "f-base", p.money(s.MonthlyDeltaUSD)
			case s.MonthlyDeltaUSD > 0:
				class = "f-up"
			}
			p.waterfallRow(i, p.stepName(s), amount, at(min(before, after)), at(max(before, after)), class)
			rows = append(rows, []string{p.stepName(s), amount})
			before = after
		}
		p.waterfallRow(len(steps), p.text("waterfall-end"), p.money(before), 0, at(before), "f-tatami")
		p.raw("</svg></figure>")
		rows = append(rows, []string{p.text("waterfall-end"), p.money(before)})
		p.details(p.text("as-table"), func() {
			p.table(p.text("waterfall"), []string{p.text("step"), ">" + p.text("month")}, rows)
		})
	})
}

func (p *page) waterfallRow(i int, name, amount string, from, to float64, class string) {
	y := i * rowHeight
	p.label(0, y+16, "", name)
	p.label(100, y+16, "e", amount)
	p.bar(from, to, y+22, class)
}

func (p *page) stepName(s compare.Step) string {
	return p.text("step-name-"+string(s.Step), p.name(p.b))
}

// trace shows the cost of each strategy over time, and when pods were waiting.
func (p *page) trace() {
	if p.r.Trace == nil {
		return
	}
	t := p.r.Trace
	p.section("trace", p.text("trace"), p.text("trace-lead", t.Name, duration(t.LengthSeconds), fmt.Sprint(t.Seed)), func() {
		var top unit.NanoUSD = 1
		var rows [][]string
		for _, s := range p.r.Strategies {
			if s.Trace == nil {
				continue
			}
			for _, q := range s.Trace.Series {
				top = max(top, q.HourlyUSD)
			}
			rows = append(rows, []string{
				p.name(&s), p.money(s.Trace.CostUSD), p.money(s.Trace.MonthlyUSD), p.count(int(s.Trace.UnmetPodSeconds)),
				duration(s.Trace.UnmetSeconds), p.count(s.Trace.PeakNodes), p.count(s.Trace.Interruptions), p.count(s.Trace.PodsMoved),
			})
		}
		p.raw(`<div class="lines"><div class="plot">`)
		for i := range p.r.Strategies {
			if p.r.Strategies[i].Trace != nil {
				p.overTime(&p.r.Strategies[i], top)
			}
		}
		p.raw("</div></div>")
		p.el("p", `class="tag"`, p.text("trace-caption", p.money(top)))
		p.table(p.text("trace"), []string{
			p.text("strategy"), ">" + p.text("cost"), ">" + p.text("month"), ">" + p.text("unmet-pods"), ">" + p.text("unmet"),
			">" + p.text("peak"), ">" + p.text("interruptions"), ">" + p.text("moved"),
		}, rows)
	})
}

// overTime draws dollars per hour as an area, and below it where pods waited.
func (p *page) overTime(s *compare.Strategy, top unit.NanoUSD) {
	const width, height = 1000, 50
	length := float64(max(p.r.Trace.LengthSeconds, 1))
	var path, lacking strings.Builder
	fmt.Fprintf(&path, "M0 %d", height)
	y := func(q compare.Sample) float64 { return height - 46*q.HourlyUSD.Dollars()/top.Dollars() }
	for i, q := range s.Trace.Series {
		end := p.r.Trace.LengthSeconds
		if i+1 < len(s.Trace.Series) {
			end = s.Trace.Series[i+1].AtSeconds
		}
		from, to := width*float64(q.AtSeconds)/length, width*float64(end)/length
		fmt.Fprintf(&path, "L%s %sH%s", coord(from), coord(y(q)), coord(to))
		if q.WaitingSeconds > 0 {
			wide := max(width*float64(q.WaitingSeconds)/length, 1.5)
			fmt.Fprintf(&lacking, `<rect x="%s" y="%d" width="%s" height="6" class="lacking"/>`, coord(from), height, coord(wide))
		}
	}
	fmt.Fprintf(&path, "V%dZ", height)
	class := "area"
	if ours(s.ID) {
		class += " t"
	}
	p.raw(`<div class="row"><p><strong>`)
	p.esc(p.name(s))
	p.raw("</strong><br>")
	p.esc(p.money(s.Trace.CostUSD) + " · " + p.text("waiting", duration(s.Trace.UnmetSeconds)))
	p.raw(`</p><svg role="img" viewBox="0 0 %d 56" preserveAspectRatio="none">`, width)
	p.el("title", "", p.text("trace-title", p.name(s)))
	p.raw(`<path d="%s" class="%s"/>%s</svg></div>`, path.String(), class, lacking.String())
}
