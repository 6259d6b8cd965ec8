package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// regionRow is a region of the built-in table: column is its place there.
type regionRow struct {
	Region
	factors  []regionFactor
	services Services
}

// regionFactor is what prices are multiplied by, in billionths, for shapes that
// match.
type regionFactor struct {
	kinds, vendors []string
	value          int64
}

// onDemand is the price in the region of a shape with that price at home.
func (r *regionRow) onDemand(s *Shape, home unit.NanoUSD) unit.NanoUSD {
	if r.Name == homeRegion {
		return home
	}
	return cents5(home.MulDiv(r.factor(s), int64(unit.USD)))
}

// factor is that of the last line that matches.
func (r *regionRow) factor(s *Shape) int64 {
	for _, f := range slices.Backward(r.factors) {
		if f.matches(s) {
			return f.value
		}
	}
	return int64(unit.USD)
}

func (f regionFactor) matches(s *Shape) bool {
	kind := slices.Contains(f.kinds, "*") || slices.Contains(f.kinds, s.Category) || slices.Contains(f.kinds, s.Family)
	return kind && (f.vendors == nil || slices.Contains(f.vendors, s.Vendor))
}

func parseRegions(text string) ([]*regionRow, error) {
	byName := map[string]*regionRow{}
	var rows, columns []*regionRow
	err := eachLine(text, func(_ bool, w []string) error {
		switch {
		case w[0] == "region" && len(w) > 4:
			r, err := parseRegion(w[1], w[2], w[3:])
			rows, byName[w[1]] = append(rows, r), r
			return err
		case w[0] == "columns":
			for _, name := range w[1:] {
				if byName[name] == nil {
					return fmt.Errorf("the region %q has no line", name)
				}
				columns = append(columns, byName[name])
			}
			return nil
		case w[0] == "factor" && len(w) == len(columns)+2:
			return addFactor(columns, w[1], w[2:])
		case w[0] == "price" && len(w) > len(columns)+3:
			return addServicePrice(columns, w[1], w[2], w[3:])
		}
		return fmt.Errorf("%q is not a line of this table, or has too few words", w[0])
	})
	return rows, err
}

func parseRegion(name, id string, words []string) (*regionRow, error) {
	r := &regionRow{Region: Region{Name: name, OnDemand: factorSource(), Spot: spotSource()}}
	if name == homeRegion {
		r.OnDemand = shapeSource()
	}
	r.services = Services{Region: name, Source: serviceSource(name)}
	for i, w := range words {
		letter, n, ok := strings.Cut(w, "=")
		if !ok {
			r.Title = strings.Join(words[i:], " ")
			return r, nil
		}
		r.Zones = append(r.Zones, Zone{name + letter, id + "-az" + n})
	}
	return r, errors.New("the region has no title")
}

func addFactor(columns []*regionRow, what string, cells []string) error {
	kinds, vendors, some := strings.Cut(what, "/")
	f := regionFactor{kinds: strings.Split(kinds, ",")}
	if some {
		f.vendors = strings.Split(vendors, ",")
	}
	for i, cell := range cells {
		if cell == "-" {
			continue
		}
		v, err := unit.ParseUSD(cell)
		if err != nil {
			return err
		}
		f.value = int64(v)
		columns[i].factors = append(columns[i].factors, f)
	}
	return nil
}

func addServicePrice(columns []*regionRow, key, per string, words []string) error {
	title := strings.Join(words[len(columns):], " ")
	for i, r := range columns {
		v, err := unit.ParseUSD(words[i])
		if err != nil {
			return err
		}
		r.services.Prices = append(r.services.Prices, ServicePrice{Service(key), per, title, v})
	}
	return nil
}
