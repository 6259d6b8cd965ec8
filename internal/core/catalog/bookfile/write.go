package bookfile

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// WriteCSV writes the whole book. A shape is described in its first row only.
func WriteCSV(w io.Writer, b *catalog.Book) error {
	out := csv.NewWriter(w)
	for _, r := range b.Regions() {
		if err := out.Write(regionCells(r)); err != nil {
			return err
		}
	}
	columns := newBuilder(b, "").columns()
	if err := out.Write(columns); err != nil {
		return err
	}
	record := make([]string, len(columns))
	err := eachRow(b, func(cells []cell) error {
		clear(record)
		for i, c := range cells {
			record[i] = c.value
		}
		return out.Write(record)
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// WriteJSON writes the whole book, with the rows that WriteCSV would write.
func WriteJSON(w io.Writer, b *catalog.Book) error {
	file := struct {
		Regions []Region         `json:"regions"`
		Rows    []map[string]any `json:"rows"`
	}{Regions: Regions(b)}
	err := eachRow(b, func(cells []cell) error {
		row := map[string]any{}
		for _, c := range cells {
			switch {
			case c.value == "":
			case c.text:
				row[c.name] = c.value
			default:
				row[c.name] = json.RawMessage(c.value)
			}
		}
		file.Rows = append(file.Rows, row)
		return nil
	})
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(file)
}

// Region is a region as JSON: a source without a date has no key for it.
type Region struct {
	catalog.Region

	OnDemand Source `json:"onDemandSource"`
	Spot     Source `json:"spotSource"`
}

// Source is a [catalog.Source] as JSON.
type Source struct {
	Name        string    `json:"name"`
	AsOf        time.Time `json:"asOf,omitzero"`
	Approximate bool      `json:"approximate,omitempty"`
}

// Regions are those of the book, to be written as JSON.
func Regions(b *catalog.Book) []Region {
	var out []Region
	for _, r := range b.Regions() {
		out = append(out, Region{r, Source(r.OnDemand), Source(r.Spot)})
	}
	return out
}

// cell is a value of a row. Text is what JSON writes with quotes.
type cell struct {
	name, value string
	text        bool
}

// eachRow calls f for each shape in each region that sells it, and once for a
// shape that no region sells.
func eachRow(b *catalog.Book, f func([]cell) error) error {
	fields, markets := shapeFields(), b.Markets()
	for _, s := range b.Shapes() {
		described := false
		write := func(region string, p catalog.Price) error {
			cells := priceCells(s.Name, region, p)
			if !described {
				for _, f := range fields {
					v := f.get(s)
					_, err := strconv.Atoi(v)
					cells = append(cells, cell{f.name, v, err != nil && v != "true" && v != "false"})
				}
			}
			described = true
			return f(cells)
		}
		for _, m := range markets {
			if p, ok := m.Prices[s.Name]; ok {
				if err := write(m.Region.Name, p); err != nil {
					return err
				}
			}
		}
		if !described && len(markets) > 0 {
			if err := write(markets[0].Region.Name, catalog.Price{Band: catalog.BandUnknown}); err != nil {
				return err
			}
		}
	}
	return nil
}

func priceCells(name, region string, p catalog.Price) []cell {
	cells := []cell{{colType, name, true}, {colRegion, region, true}, {colOnDemand, dollars(p.OnDemand), false}, {name: colSpot}, {name: colSaving}, {name: colBand}, {name: colZones, text: true}}
	if p.Spot > 0 || len(p.Zones) > 0 {
		// A 0 says that it does not follow from the saving.
		cells[3].value, cells[4].value = p.Spot.String(), strconv.Itoa(p.Saving)
	}
	if p.Band != catalog.BandUnknown {
		cells[5].value = strconv.Itoa(int(p.Band))
	}
	var zones []string
	for _, z := range slices.Sorted(maps.Keys(p.Zones)) {
		if own := p.Zones[z]; own > 0 {
			z += "=" + own.String()
		}
		zones = append(zones, z)
	}
	cells[6].value = strings.Join(zones, " ")
	return cells
}

// dollars leaves out a price that is not there.
func dollars(m unit.NanoUSD) string {
	if m == 0 {
		return ""
	}
	return m.String()
}

func regionCells(r catalog.Region) []string {
	var zones []string
	for _, z := range r.Zones {
		if z.ID != "" {
			z.Name += "/" + z.ID
		}
		zones = append(zones, z.Name)
	}
	cells := []string{regionMark, r.Name, r.Title, strings.Join(zones, " ")}
	for _, s := range []catalog.Source{r.OnDemand, r.Spot} {
		asOf := ""
		if !s.AsOf.IsZero() {
			asOf = s.AsOf.Format(time.RFC3339Nano)
		}
		cells = append(cells, s.Name, asOf, strconv.FormatBool(s.Approximate))
	}
	return cells
}
