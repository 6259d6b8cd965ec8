package planview

import (
	"strings"

	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
)

// changes lists what could be done, each solved for.
func (p *page) changes() {
	if len(p.r.Recommendations) == 0 {
		return
	}
	p.section("changes", p.text("changes"), p.text("changes-lead"), func() {
		var rows [][]string
		for _, c := range p.r.Recommendations {
			money := "–"
			if c.MonthlyDeltaUSD != 0 {
				money = p.signed(c.MonthlyDeltaUSD)
			}
			rows = append(rows, []string{
				p.recommendation(c), money, p.text("level-" + c.Confidence), p.text("level-" + c.Effort),
			})
		}
		p.table(p.text("changes"), []string{p.text("what"), ">" + p.text("month"), p.text("confidence"), p.text("effort")}, rows)
	})
}

func (p *page) recommendation(c compare.Recommendation) string {
	number, _, _ := strings.Cut(c.Target, " ")
	return p.text("change-"+c.Code, p.name(p.b), c.Proposed, number)
}

// risk says what may be taken back, and how much a node carries.
func (p *page) risk() {
	p.section("risk", p.text("risk"), p.text("risk-lead"), func() {
		var rows [][]string
		for i := range p.r.Strategies {
			s := &p.r.Strategies[i]
			rows = append(rows, []string{
				p.name(s), p.text("level-" + string(s.Risk.Level)), p.decimal(s.Risk.InterruptionsPerDay, 2), p.percent(s.Risk.SpotShare),
				p.percent(s.Risk.LargestNodeShare), p.money(s.MonthlyRangeUSD.Low), p.money(s.MonthlyRangeUSD.High),
			})
		}
		p.table(p.text("risk"), []string{
			p.text("strategy"), p.text("level"), ">" + p.text("per-day"), ">" + p.text("spot-share"), ">" + p.text("blast"), ">" + p.text("low"), ">" + p.text("high"),
		}, rows)
	})
}

// maxPending keeps pages of broken inputs small.
const maxPending = 60

// pending names the pods that no node takes.
func (p *page) pending() {
	var rows [][]string
	for i := range p.r.Strategies {
		s := &p.r.Strategies[i]
		for _, q := range s.Pending {
			if len(rows) < maxPending {
				rows = append(rows, []string{q.PodGroup, p.name(s), p.count(q.Count), q.Reason})
			}
		}
	}
	if len(rows) == 0 {
		return
	}
	p.section("pending", p.text("pending-title"), p.text("pending-lead"), func() {
		p.table(p.text("pending-title"), []string{p.text("workload"), p.text("strategy"), ">" + p.text("pods"), p.text("why")}, rows)
	})
}
