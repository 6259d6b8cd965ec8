package planview

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
)

const (
	// colours is how many workloads have one of their own, in the order of what
	// they ask for; the others share one.
	colours = 10
	// maxBoxes bounds the nodes drawn one by one; beyond it alike ones share a
	// box, and beyond that again the rest is counted.
	maxBoxes = 40
)

// colours gives the largest workloads a colour and a letter each.
func (p *page) colours() {
	size := map[string]float64{}
	for _, s := range p.r.Strategies {
		if s.ID != p.b.ID && s.ID != compare.Tatami {
			continue
		}
		for _, n := range s.Nodes {
			for _, pods := range n.Pods {
				size[pods.Workload] += float64(n.Count) * float64(n.CPUMillis) * pods.CPUShare
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(size), func(a, b string) int {
		return cmp.Or(cmp.Compare(size[b], size[a]), cmp.Compare(a, b))
	})
	p.names = map[string]int{}
	for i, name := range names {
		p.names[name] = min(i, colours)
	}
}

// packing shows the nodes of the baseline beside those of Tatami's plan.
func (p *page) packing() {
	after := p.r.Find(compare.Tatami)
	if after == nil {
		after = p.r.Find(compare.TatamiSpot)
	}
	if after == nil || len(after.Nodes)+len(p.b.Nodes) == 0 {
		return
	}
	p.section("packing", p.text("packing"), p.text("packing-lead"), func() {
		p.raw(`<div class="fleets">`)
		if p.b.ID != after.ID {
			p.fleet(p.b)
		}
		p.fleet(after)
		p.raw("</div>")
		p.legend()
		p.details(p.text("as-table"), func() {
			for i := range p.r.Strategies {
				p.nodeTable(&p.r.Strategies[i])
			}
		})
	})
}

func (p *page) fleet(s *compare.Strategy) {
	p.raw("<div>")
	p.el("h3", "", p.text("fleet", p.name(s), p.count(s.NodeCount), p.percent(s.PackedCPU), p.percent(s.PackedMemory)))
	p.raw(`<div class="fleet">`)
	most := int64(1)
	for _, q := range p.r.Strategies {
		for _, n := range q.Nodes {
			most = max(most, n.CPUMillis)
		}
	}
	drawn := 0
	for _, n := range s.Nodes {
		times := 1
		if s.NodeCount <= maxBoxes {
			times = n.Count
			n.Count = 1
		}
		for range times {
			if drawn < maxBoxes {
				p.box(n, most)
				drawn++
			}
		}
	}
	p.raw("</div>")
	if s.NodeCount > maxBoxes && len(s.Nodes) > maxBoxes {
		p.el("p", `class="tag"`, p.text("more-nodes", p.count(len(s.Nodes)-maxBoxes)))
	}
	p.raw("</div>")
}

// box is one node: a lane for processor and one for memory, as wide as the node
// is large, filled by its pods.
func (p *page) box(n compare.Node, most int64) {
	width := 52 + 190*math.Sqrt(float64(n.CPUMillis)/float64(most))
	label := n.InstanceType
	if n.Count > 1 {
		label = fmt.Sprintf("%d× %s", n.Count, label)
	}
	p.raw(`<svg role="img" width="%s" height="62">`, coord(width))
	p.el("title", "", fmt.Sprintf("%s %s %s: CPU %s, %s %s", label, n.CapacityType, n.Zone, percent(n.CPUShare+n.DaemonCPU), p.text("memory"), percent(n.MemoryShare+n.DaemonMemory)))
	p.raw(`<text x="1" y="11" class="s">`)
	p.esc(label)
	p.raw("</text>")
	p.lane(n, 16, width, n.DaemonCPU, func(q compare.Pods) float64 { return q.CPUShare })
	p.lane(n, 39, width, n.DaemonMemory, func(q compare.Pods) float64 { return q.MemoryShare })
	p.raw("</svg>")
}

func (p *page) lane(n compare.Node, y int, width, daemons float64, share func(compare.Pods) float64) {
	p.raw(`<rect x="1" y="%d" width="%s" height="20" class="f-empty"/>`, y, coord(width-2))
	x := 1.0
	segment := func(part float64, class, letter, title string) {
		w := min(part*(width-2), width-1-x)
		if w < 0.4 {
			return
		}
		p.raw(`<rect x="%s" y="%d" width="%s" height="20" class="seg %s">`, coord(x), y, coord(w), class)
		if w >= 14 {
			p.el("title", "", title)
		}
		p.raw("</rect>")
		if w >= 14 && letter != "" {
			p.raw(`<text x="%s" y="%d" class="pod" text-anchor="middle">%s</text>`, coord(x+w/2), y+14, letter)
		}
		x += w
	}
	segment(daemons, "f-daemon", "", "DaemonSets")
	for _, q := range n.Pods {
		class, letter := p.mark(q.Workload)
		segment(share(q), class, letter, fmt.Sprintf("%d× %s", q.Count, q.Workload))
	}
	p.raw(`<rect x="1" y="%d" width="%s" height="20" class="box"/>`, y, coord(width-2))
}

// mark is the colour and the letter of a workload.
func (p *page) mark(workload string) (class, letter string) {
	i, ok := p.names[workload]
	if !ok || i >= colours {
		return "wx", ""
	}
	return fmt.Sprintf("w%d", i), string(rune('A' + i))
}

func (p *page) legend() {
	names := slices.SortedFunc(maps.Keys(p.names), func(a, b string) int {
		return cmp.Or(cmp.Compare(p.names[a], p.names[b]), cmp.Compare(a, b))
	})
	entry := func(class, letter, name string) {
		p.raw(`<li><svg aria-hidden="true" width="18" height="16"><rect width="18" height="16" rx="3" class="%s"/><text x="9" y="12" text-anchor="middle" class="pod" style="font-size:11px;fill:#111">%s</text></svg>`, class, letter)
		p.esc(name)
		p.raw("</li>")
	}
	p.raw(`<ul class="legend">`)
	for i, name := range names {
		if i == colours {
			entry("wx", "", p.text("others", p.count(len(names)-colours)))
			break
		}
		class, letter := p.mark(name)
		entry(class, letter, name)
	}
	entry("f-daemon", "", "DaemonSets")
	entry("f-empty", "", p.text("free"))
	p.raw("</ul>")
}

// maxNodeRows keeps pages of large plans small.
const maxNodeRows = 40

func (p *page) nodeTable(s *compare.Strategy) {
	var rows [][]string
	for i, n := range s.Nodes {
		if i == maxNodeRows {
			rows = append(rows, []string{"…", p.count(len(s.Nodes) - i), "", "", "", "", "", ""})
			break
		}
		rows = append(rows, []string{
			n.InstanceType, p.count(n.Count), string(n.Arch), string(n.CapacityType), n.Zone, p.number(n.HourlyUSD.String()),
			p.percent(n.CPUShare + n.DaemonCPU), p.percent(n.MemoryShare + n.DaemonMemory),
		})
	}
	p.table(p.name(s), []string{p.text("type"), ">" + p.text("nodes"), p.text("arch"), p.text("capacity"), p.text("zone"), ">" + p.text("hour-each"), ">CPU", ">" + p.text("memory")}, rows)
}
