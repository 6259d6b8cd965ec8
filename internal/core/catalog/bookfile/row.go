package bookfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// row is a line of the file: cells by name of the column, and where each is.
type row struct {
	cells map[string]string
	place func(column string) (line, col int)
}

// fault is about one cell of the row.
func (r row) fault(column, format string, args ...any) *Fault {
	f := &Fault{What: column + " " + strconv.Quote(r.cells[column]) + ": " + fmt.Sprintf(format, args...)}
	f.Line, f.Column = r.place(column)
	f.Next = "correct this value; `tatami catalog --save example.csv` writes a file with all columns to compare with"
	return f
}

// builder collects rows until they are a book.
type builder struct {
	base    *catalog.Book
	region  string
	fields  []field
	shapes  map[string]*catalog.Shape
	markets map[string]*catalog.Market
}

func newBuilder(base *catalog.Book, region string) *builder {
	return &builder{base, region, shapeFields(), map[string]*catalog.Shape{}, map[string]*catalog.Market{}}
}

func (b *builder) book() (*catalog.Book, error) {
	if len(b.shapes) == 0 {
		return nil, &Fault{What: "the file has no types", Next: "write one with `tatami catalog --save FILE`"}
	}
	var shapes []catalog.Shape
	for _, s := range b.shapes {
		shapes = append(shapes, *s)
	}
	var markets []catalog.Market
	for _, m := range b.markets {
		markets = append(markets, *m)
	}
	return catalog.NewBook(shapes, markets)
}

// add takes a row into the book.
func (b *builder) add(r row) error {
	s, err := b.shape(r)
	if err != nil {
		return err
	}
	name := r.cells[colRegion]
	if name == "" {
		name = b.region
	}
	m, err := b.market(r, name)
	if err != nil {
		return err
	}
	if _, twice := m.Prices[s.Name]; twice {
		return r.fault(colType, "this type is there twice in %s", name)
	}
	p, err := price(r, m.Region)
	if err != nil {
		return err
	}
	m.Prices[s.Name] = p
	return nil
}

// shape fills in what the row says. What its first row leaves empty is taken
// from the base.
func (b *builder) shape(r row) (*catalog.Shape, error) {
	name := r.cells[colType]
	s := b.shapes[name]
	first := s == nil
	if first {
		named, err := catalog.NamedShape(name)
		if err != nil {
			return nil, r.fault(colType, "this is %v", catalog.ErrName)
		}
		if known, ok := b.base.Shape(name); ok {
			named = *known
		} else {
			// What EC2 has sold lately; pods as where nothing limits them.
			named.Arch, named.Current, named.MaxPods = catalog.AMD64, true, 110
		}
		s = &named
	}
	for _, f := range b.fields {
		cell := r.cells[f.name]
		if cell == "" {
			continue
		}
		before := f.get(s)
		if err := f.set(s, cell); err != nil {
			return nil, r.fault(f.name, "%v", err)
		}
		if !first && f.get(s) != before {
			return nil, r.fault(f.name, "an earlier row of %s says %s", name, before)
		}
	}
	if s.VCPU == 0 || s.Memory == 0 {
		return nil, r.fault(colType, "this type needs vcpu and memoryMiB, because the built-in catalog does not know it")
	}
	b.shapes[name] = s
	return s, nil
}

// market finds the region; one that no line describes is the base's, or has a
// single zone.
func (b *builder) market(r row, name string) (*catalog.Market, error) {
	if m := b.markets[name]; m != nil {
		return m, nil
	}
	if !plain(name) {
		return nil, r.fault(colRegion, "this is not a region")
	}
	region, err := b.base.Region(name)
	if err != nil {
		region = catalog.Region{Name: name, Zones: []catalog.Zone{{Name: name + "a"}}}
	}
	file := catalog.Source{Name: "catalog file"}
	region.OnDemand, region.Spot = file, file
	m := &catalog.Market{Region: region, Prices: map[string]catalog.Price{}}
	b.markets[name] = m
	return m, nil
}

// price reads what the row says about money.
func price(r row, region catalog.Region) (p catalog.Price, err error) {
	if p.OnDemand, err = money(r, colOnDemand); err != nil {
		return p, err
	}
	if p.Spot, err = money(r, colSpot); err != nil {
		return p, err
	}
	if err = saving(r, &p); err != nil {
		return p, err
	}
	if p.Band, err = band(r.cells[colBand]); err != nil {
		return p, r.fault(colBand, "%v", err)
	}
	if p.Zones, err = zonePrices(r.cells[colZones], region); err != nil {
		return p, r.fault(colZones, "%v", err)
	}
	return p, nil
}

// money reads dollars per hour; 0 when the cell is empty.
func money(r row, column string) (unit.NanoUSD, error) {
	cell := r.cells[column]
	if cell == "" {
		return 0, nil
	}
	m, err := unit.ParseUSD(cell)
	if err != nil || m < 0 {
		return 0, r.fault(column, "it must be dollars per hour, such as 0.096")
	}
	return m, nil
}

// saving and price of spot follow from each other where one is missing.
func saving(r row, p *catalog.Price) (err error) {
	cell := r.cells[colSaving]
	if cell == "" {
		if p.Spot > 0 && p.OnDemand > 0 {
			p.Saving = 100 - int(p.Spot.MulDiv(100, int64(p.OnDemand)))
		}
		return nil
	}
	if p.Saving, err = strconv.Atoi(cell); err != nil || p.Saving > 100 {
		return r.fault(colSaving, "it must be percent, at most 100")
	}
	if r.cells[colSpot] == "" {
		p.Spot = p.OnDemand.MulDiv(int64(100-p.Saving), 100)
	}
	return nil
}

func band(cell string) (catalog.Band, error) {
	if cell == "" {
		return catalog.BandUnknown, nil
	}
	for b := catalog.BandUnknown; b <= 4; b++ {
		if cell == b.String() || cell == strconv.Itoa(int(b)) {
			return b, nil
		}
	}
	return 0, errors.New("it must be a number from 0 (under 5 %) to 4 (over 20 %), or empty")
}

// zonePrices reads names of zones with blanks between, some with a spot price:
// "us-east-1a us-east-1b=0.0312". Empty is all.
func zonePrices(cell string, region catalog.Region) (map[string]unit.NanoUSD, error) {
	if cell == "" {
		return nil, nil
	}
	out := map[string]unit.NanoUSD{}
	for w := range strings.FieldsSeq(cell) {
		name, text, own := strings.Cut(w, "=")
		if !slices.ContainsFunc(region.Zones, func(z catalog.Zone) bool { return z.Name == name }) {
			return nil, fmt.Errorf("%s has no zone %q", region.Name, name)
		}
		var p unit.NanoUSD
		if own {
			var err error
			if p, err = unit.ParseUSD(text); err != nil || p < 0 {
				return nil, fmt.Errorf("%q is not dollars per hour", text)
			}
		}
		out[name] = p
	}
	return out, nil
}
