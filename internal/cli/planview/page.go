package planview

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
)

//go:embed page.css
var pageStyle string

// MaxPage is the size that a page never exceeds, in bytes.
const MaxPage = 300_000

// page is one HTML page in the making.
type page struct {
	markup
	Lang
	r     *compare.Report
	b     *compare.Strategy
	names map[string]int // workload to colour
}

// HTML writes a page that stands alone: no script, nothing loaded, both themes,
// fit for print.
func HTML(w io.Writer, r *compare.Report, l Lang) error {
	p := &page{Lang: l, r: r, b: base(r)}
	p.colours()
	title := p.text("title", r.Inputs.Name)
	p.raw("<!doctype html>\n")
	p.raw(`<html lang="%s"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">`, l.Name)
	p.raw(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><meta name="color-scheme" content="light dark">`)
	p.el("title", "", title)
	p.raw("<style>")
	p.raw("%s", pageStyle)
	p.raw("</style></head><body><main>\n")
	p.head(title)
	p.strategies()
	p.waterfall()
	p.packing()
	p.trace()
	p.changes()
	p.risk()
	p.pending()
	p.section("security", p.text("security"), p.text("security-none"), func() {})
	p.coverage()
	p.method()
	p.data()
	p.raw("</main></body></html>\n")
	_, err := w.Write(p.buf.Bytes())
	return err
}

// head is what is read when nothing else is.
func (p *page) head(title string) {
	in := p.r.Inputs
	p.raw("<header>")
	p.el("h1", "", title)
	p.el("p", `class="verdict"`, p.verdict())
	p.raw("<ul>")
	for _, line := range p.beside() {
		p.el("li", "", line)
	}
	p.raw("</ul>")
	p.raw(`<div class="cards">`)
	p.card(p.text("card-baseline", p.name(p.b)), p.money(p.b.MonthlyUSD), p.text("per-month"))
	if t := p.r.Find(p.r.Verdict.Strategy); t != nil {
		p.card(p.name(t), p.money(t.MonthlyUSD), p.text("per-month"))
		if t.Comparable && p.r.Verdict.Code != compare.VerdictMore {
			market := p.text("on-demand")
			if t.WithSpot() {
				market = p.text("spot")
			}
			p.card(p.text("card-year"), p.signed(-p.r.Verdict.AnnualSavingUSD), p.text("card-year-note", p.percent(abs(p.r.Verdict.Share)), market))
		}
	}
	p.raw("</div>")
	p.raw(`<div class="step">`)
	p.el("strong", "", p.text("first-step"))
	p.esc(p.firstStep())
	p.raw("</div>")
	p.el("p", `class="meta"`, p.text("meta", p.count(in.Workloads), p.count(in.Pods), p.number(amount(in.CPUMillis, 1000)),
		p.number(amount(in.MemoryBytes, 1<<30)), in.Region, p.date(asOf(p.r)), p.date(p.r.GeneratedAt)))
	p.raw("</header>\n")
}

func abs(x float64) float64 { return max(x, -x) }

func (p *page) card(label, value, note string) {
	p.raw("<div>")
	p.el("span", "", label)
	p.el("b", "", value)
	p.el("span", "", note)
	p.raw("</div>")
}

// name is a strategy's name in the language.
func (p *page) name(s *compare.Strategy) string { return p.strategy(s) }

func (l Lang) strategy(s *compare.Strategy) string {
	if key := "strategy-" + string(s.ID); l.has(key) {
		return l.text(key)
	}
	return s.Name
}

// verdict is the one sentence, with the dollars of a year.
func (p *page) verdict() string {
	v := p.r.Verdict
	best := p.r.Find(v.Strategy)
	if best == nil {
		best = &compare.Strategy{}
	}
	key, saving := string(v.Code), v.AnnualSavingUSD
	if v.Code == compare.VerdictNone {
		saving = -saving
		if saving.Cents() == "0.00" {
			key = "same"
		}
	}
	name := p.name(p.b)
	if key := "inline-" + string(p.b.ID); p.has(key) {
		name = p.text(key)
	}
	text := p.text("verdict-"+key, p.money(saving), p.percent(v.Share), name, p.count(pendingPods(best)), p.headlined(best, p.text("tatami")),
		p.count(pendingPods(p.b)), p.money(best.MonthlyUSD.Times(12)), p.money(p.b.MonthlyUSD.Times(12)))
	if v.OtherSavesMore() {
		other := p.r.Find(v.BestOther)
		key := "verdict-other"
		if v.Code == compare.VerdictMore {
			key = "verdict-other-places"
		}
		text += " " + p.text(key, p.headlined(other, p.name(other)), p.money(v.AnnualSavingOtherUSD-v.AnnualSavingUSD))
	}
	return text
}

// headlined is a name that says when the price rests on spot capacity.
func (p *page) headlined(s *compare.Strategy, name string) string {
	if s.WithSpot() {
		return p.text("with-spot", name)
	}
	return name
}

// beside are the facts that keep the verdict honest.
func (p *page) beside() []string {
	v := p.r.Verdict
	var out []string
	if other := p.r.Find(v.BestOther); other != nil && comparesOther(v) {
		if v.AnnualSavingOtherUSD > 0 {
			out = append(out, p.text("beside-other", p.name(other), p.money(v.AnnualSavingOtherUSD)))
		} else {
			out = append(out, p.text("beside-dearer", p.name(other), p.money(-v.AnnualSavingOtherUSD)))
		}
	}
	if t := p.r.Find(compare.TatamiSpot); t != nil && t.Comparable && v.Code != compare.VerdictMore && v.AnnualSavingSpotUSD > 0 {
		worst := p.b.MonthlyUSD.Times(12) - t.MonthlyRangeUSD.High.Times(12)
		out = append(out, p.text("beside-spot", fmt.Sprint(p.r.Inputs.SpotPercent), p.money(v.AnnualSavingSpotUSD), p.money(worst)))
	}
	if k := p.r.Find(compare.Karpenter); k != nil && k.WithSpotMonthlyUSD != nil {
		out = append(out, p.text("beside-karpenter-spot", p.money(*k.WithSpotMonthlyUSD)))
	}
	return append(out, p.text("beside-list"))
}

func (p *page) firstStep() string {
	v := p.r.Verdict
	if v.OtherSavesMore() && v.Code != compare.VerdictMore {
		if p.r.Inputs.Preset == nodes.Cheapest().Name {
			return p.text("step-other-cheapest", p.date(v.By), p.name(p.r.Find(v.BestOther)))
		}
		return p.text("step-other", p.date(v.By), p.r.Inputs.Preset, p.name(p.r.Find(v.BestOther)))
	}
	return p.text("step-"+string(v.Code), p.date(v.By))
}

// coverage says what the figures leave out.
func (p *page) coverage() {
	p.section("coverage", p.text("coverage"), p.text("coverage-lead"), func() {
		p.raw(`<ul class="plain">`)
		objects := 0
		for _, n := range p.r.NotCovered {
			if n.Code != "" {
				p.el("li", "", p.text("uncovered-"+n.Code))
				continue
			}
			objects++
		}
		for _, e := range p.r.Errors {
			p.el("li", "", p.text("partial", e))
		}
		p.raw("</ul>")
		if objects > 0 {
			p.details(p.text("coverage-objects", p.count(objects)), p.objects)
		}
	})
}

// maxObjects keeps pages of large clusters small.
const maxObjects = 200

func (p *page) objects() {
	var rows [][]string
	for _, n := range p.r.NotCovered {
		if n.Code == "" && len(rows) < maxObjects {
			rows = append(rows, []string{n.Object.String(), n.Field, n.Why})
		}
	}
	p.table(p.text("coverage"), []string{p.text("object"), p.text("field"), p.text("why")}, rows)
}

// method says what the figures rest on and how to get them again.
func (p *page) method() {
	p.section("method", p.text("method"), p.text("method-lead"), func() {
		p.raw(`<ul class="plain">`)
		for _, a := range p.r.Assumptions {
			p.el("li", "", p.assumption(a))
		}
		p.raw("</ul>")
		var rows [][]string
		for _, s := range p.r.Inputs.PriceBook.Sources {
			kind := p.text("published")
			if s.Approximate {
				kind = p.text("approximate")
			}
			rows = append(rows, []string{s.Name, s.AsOf.Format("2006-01-02"), kind})
		}
		p.table(p.text("sources"), []string{p.text("source"), p.text("as-of"), p.text("kind")}, rows)
		p.raw(`<p class="tag">`)
		p.esc(p.text("digest") + " ")
		p.el("code", "", p.r.Digest)
		p.raw("<br>")
		p.esc(p.text("input-digest") + " ")
		p.el("code", "", p.r.Inputs.Digest)
		p.raw("<br>")
		p.esc(p.r.Tool.Name + " " + p.r.Tool.Version)
		p.raw("</p>")
	})
}

// assumption is a statement in the language.
func (l Lang) assumption(a compare.Statement) string {
	if key := "assume-" + a.Code; l.has(key) {
		return l.text(key, a.Args...)
	}
	return a.Text
}

// data embeds the report itself, unless the page would become too large.
func (p *page) data() {
	text, err := json.Marshal(p.r)
	room := MaxPage - p.buf.Len() - 2_000
	var m markup
	m.esc(string(text))
	p.raw(`<div class="json">`)
	p.details(p.text("data"), func() {
		if err != nil || m.buf.Len() > room {
			p.el("p", "", p.text("data-large"))
			return
		}
		p.raw(`<pre id="plan-json" tabindex="0">`)
		p.buf.Write(m.buf.Bytes())
		p.raw("</pre>")
	})
	p.raw("</div>")
}
