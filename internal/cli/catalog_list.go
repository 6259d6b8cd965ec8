package cli

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// catalogRow is a type as programs see it. The names of its keys, and their
// order, are a contract: those of -o csv too. The region is named where it is
// not the default one, so that the prices are not read as those of another.
type catalogRow struct {
	Type      string        `json:"type"`
	Arch      catalog.Arch  `json:"arch"`
	VCPU      int           `json:"vcpu"`
	MemoryMiB int64         `json:"memoryMiB"`
	GPUs      int           `json:"gpus"`
	MaxPods   int           `json:"maxPods"`
	OnDemand  *unit.NanoUSD `json:"onDemandUSDHour"`
	Saving    *int          `json:"spotSavingPercent"`
	Band      *catalog.Band `json:"interruptionBand"`
	Region    string        `json:"region,omitempty"`

	shape *catalog.Shape
	price catalog.Price
}

type catalogList struct {
	region catalog.Region
	rows   []catalogRow
}

func newCatalogList(b *catalog.Book, region string, filter *catalog.Attributes) *catalogList {
	l := &catalogList{rows: []catalogRow{}}
	l.region, _ = b.Region(region)
	for _, s := range b.Shapes() {
		p := b.Price(s.Name, region)
		if !p.Sold() || !filter.Allow(s) {
			continue
		}
		r := catalogRow{
			Type: s.Name, Arch: s.Arch, VCPU: s.VCPU, MemoryMiB: int64(s.Memory / unit.MiB),
			GPUs: s.GPU.Count, MaxPods: s.MaxPods, shape: s, price: p,
		}
		if region != defaultRegion {
			r.Region = region
		}
		if p.OnDemand > 0 {
			r.OnDemand = &p.OnDemand
		}
		if r.spot() > 0 {
			r.Saving = &p.Saving
			if p.Band != catalog.BandUnknown {
				r.Band = &p.Band
			}
		}
		l.rows = append(l.rows, r)
	}
	return l
}

// spot is the lowest price of the region's zones; 0 is none.
func (r *catalogRow) spot() unit.NanoUSD {
	low := r.price.Spot
	for _, own := range r.price.Zones {
		if own > 0 && (low == 0 || own < low) {
			low = own
		}
	}
	return low
}

// The orders; what is not known comes last.
const sortType = "type"

func sortOrders() []string {
	return []string{sortType, "vcpu", "memory", "price", "vcpu-price", "memory-price", "spot", "saving", "band"}
}

func (l *catalogList) sort(order string, reverse bool) {
	if order != sortType {
		sign := 1.0
		if reverse {
			sign = -1
		}
		slices.SortStableFunc(l.rows, func(a, b catalogRow) int {
			x, y := a.key(order), b.key(order)
			if math.IsInf(x, 1) || math.IsInf(y, 1) {
				return cmp.Compare(x, y)
			}
			return cmp.Compare(sign*x, sign*y)
		})
	} else if reverse {
		slices.Reverse(l.rows)
	}
}

func (r *catalogRow) key(order string) float64 {
	unknown := math.Inf(1)
	money := func(m unit.NanoUSD, by float64) float64 {
		if m == 0 {
			return unknown
		}
		return m.Dollars() / by
	}
	switch order {
	case "vcpu":
		return float64(r.VCPU)
	case "memory":
		return float64(r.MemoryMiB)
	case "price":
		return money(r.price.OnDemand, 1)
	case "vcpu-price":
		return money(r.price.OnDemand, float64(r.VCPU))
	case "memory-price":
		return money(r.price.OnDemand, float64(r.MemoryMiB))
	case "spot":
		return money(r.spot(), 1)
	case "saving":
		if r.Saving != nil {
			return float64(*r.Saving)
		}
	case "band":
		if r.Band != nil {
			return float64(*r.Band)
		}
	}
	return unknown
}

func (l *catalogList) csv(w io.Writer) error {
	rows := [][]string{{
		"type", "arch", "vcpu", "memoryMiB", "gpus", "maxPods", "onDemandUSDHour", "spotSavingPercent", "interruptionBand",
	}}
	named := l.region.Name != defaultRegion
	if named {
		rows[0] = append(rows[0], "region")
	}
	for _, r := range l.rows {
		cells := []string{
			r.Type, string(r.Arch), strconv.Itoa(r.VCPU), strconv.FormatInt(r.MemoryMiB, 10), strconv.Itoa(r.GPUs),
			strconv.Itoa(r.MaxPods), "", "", "",
		}
		if r.OnDemand != nil {
			cells[6] = r.OnDemand.String()
		}
		if r.Saving != nil {
			cells[7] = strconv.Itoa(*r.Saving)
		}
		if r.Band != nil {
			cells[8] = strconv.Itoa(int(*r.Band))
		}
		if named {
			cells = append(cells, r.Region)
		}
		rows = append(rows, cells)
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// table prints the types for people: in 80 columns, or in 120 when it is wide.
func (l *catalogList) table(c Console, wide bool) error {
	columns := []column{
		{title: "TYPE"},
		{title: "ARCH"},
		{title: "VCPU", right: true},
		{title: "MEMORY", right: true},
		{title: "GPUS", right: true},
		{title: "PODS", right: true},
		{title: "USD/HOUR", right: true},
		{title: "SAVING", right: true},
		{title: "TAKEN", right: true},
	}
	if wide {
		columns[4] = column{title: "GPUS"}
		columns = slices.Insert(columns, 7, column{title: "SPOT", right: true})
		columns = slices.Insert(columns, 5, column{title: "DISK", right: true}, column{title: "GBPS", right: true})
	}
	rows := make([][]string, len(l.rows))
	for i := range l.rows {
		rows[i] = l.rows[i].cells(c, wide)
	}
	if err := printTable(c, columns, rows); err != nil {
		return err
	}
	place := l.region.Name
	if l.region.Title != "" {
		place += " (" + l.region.Title + ")"
	}
	text := fmt.Sprintf("%s in %s.\n", types(len(rows)), place)
	if len(rows) > 0 {
		text = "\n" + text + "Spot: SAVING against on demand, and the share TAKEN back in a month.\n" + sources(l.region)
	}
	_, err := io.WriteString(c, text)
	return err
}

func types(n int) string {
	if n == 1 {
		return "1 type"
	}
	return thousands(int64(n)) + " types"
}

func (r *catalogRow) cells(c Console, wide bool) []string {
	dash := c.paint(styleFade, "-")
	orDash := func(s string) string {
		if s == "" || s == "0" {
			return dash
		}
		return s
	}
	saving, taken := dash, dash
	if r.Saving != nil {
		saving, taken = strconv.Itoa(*r.Saving)+"%", r.price.Band.String()
		switch r.price.Band {
		case 0, 1:
			taken = c.paint(styleGood, taken)
		case 4:
			taken = c.paint(styleWarn, taken)
		default:
		}
	}
	cells := []string{
		r.Type, string(r.Arch), strconv.Itoa(r.VCPU), memory(r.MemoryMiB), orDash(strconv.Itoa(r.GPUs)),
		strconv.Itoa(r.MaxPods), orDash(hourly(r.price.OnDemand)), saving, taken,
	}
	if !wide {
		return cells
	}
	cells[4] = orDash(accelerators(r.shape))
	cells = slices.Insert(cells, 7, orDash(hourly(r.spot())))
	gbps := strconv.FormatFloat(float64(r.shape.NetworkMbps)/1000, 'g', 4, 64)
	return slices.Insert(cells, 5, orDash(disk(r.shape.LocalDisk)), orDash(gbps))
}

// memory shows GiB with a decimal where there is one, and TiB from 10 on.
func memory(mib int64) string {
	gib := float64(mib) / 1024
	if gib >= 10*1024 {
		return strings.TrimSuffix(strconv.FormatFloat(gib/1024, 'f', 1, 64), ".0") + " TiB"
	}
	return strings.TrimSuffix(strconv.FormatFloat(gib, 'f', 1, 64), ".0") + " GiB"
}

// hourly shows a price with four decimals; "" for none.
func hourly(m unit.NanoUSD) string {
	if m == 0 {
		return ""
	}
	return strconv.FormatFloat(m.Dollars(), 'f', 4, 64)
}

// accelerators names them in as many letters as fit.
func accelerators(s *catalog.Shape) string {
	const longest = 13
	var parts []string
	for _, a := range []catalog.Accelerators{s.GPU, s.Accelerator} {
		name := a.Name
		if len(name) > longest {
			name = name[:longest-1] + "…"
		}
		switch {
		case name == "":
		case a.Count == 0:
			parts = append(parts, "part of "+name)
		default:
			parts = append(parts, strconv.Itoa(a.Count)+" "+name)
		}
	}
	return strings.Join(parts, ", ")
}

func disk(b unit.Bytes) string {
	switch {
	case b == 0:
		return ""
	case b < 1000*unit.GB:
		return strconv.FormatInt(int64(b/unit.GB), 10) + " GB"
	}
	return strconv.FormatFloat(float64(b)/1e12, 'f', 1, 64) + " TB"
}
