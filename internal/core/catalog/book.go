package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// ErrUnknown is wrapped by errors about a region, zone or shape that a book
// does not know; their text lists what it knows.
var ErrUnknown = errors.New("the catalog does not know it")

// Zone is an availability zone.
type Zone struct {
	Name string `json:"name"`         // "us-east-1a"
	ID   string `json:"id,omitempty"` // "use1-az1"; empty when it is not known
}

// Region is a place where machines are sold.
type Region struct {
	Name  string `json:"name"`            // "us-east-1"
	Title string `json:"title,omitempty"` // "N. Virginia"
	Zones []Zone `json:"zones"`
	// OnDemand and Spot say where the prices come from.
	OnDemand Source `json:"onDemandSource"`
	Spot     Source `json:"spotSource"`
}

// Price is what an hour of a shape costs in a region. The zero value is a shape
// that is not sold there.
type Price struct {
	// OnDemand is 0 when nothing is known.
	OnDemand unit.NanoUSD
	// Spot is the price that holds in every zone without one of its own in
	// Zones; 0 when there is none.
	Spot unit.NanoUSD
	// Saving of spot against on-demand, in percent.
	Saving int
	// Band is BandUnknown when spot is sold and nothing is known of it.
	Band Band
	// Zones, by name, are those that sell the shape, with a spot price where it
	// differs from Spot. Nil means all zones of the region.
	Zones map[string]unit.NanoUSD
}

// Sold says whether the shape can be bought at all.
func (p Price) Sold() bool {
	sold := p.OnDemand > 0 || p.Spot > 0
	for _, own := range p.Zones {
		sold = sold || own > 0
	}
	return sold
}

// Market is what a region sells, by name of the shape.
type Market struct {
	Region Region
	Prices map[string]Price
}

// Book knows shapes and what they cost in each region. It is immutable, and may
// be read from several goroutines.
type Book struct {
	shapes  []*Shape
	index   map[string]int
	markets []market
}

// market holds prices in the order of the book's shapes.
type market struct {
	region Region
	prices []Price
}

// NewBook makes a book. Names of shapes and regions must be unique, and each
// price must be of a shape that is there.
func NewBook(shapes []Shape, markets []Market) (*Book, error) {
	b, err := newBook(shapes)
	if err != nil {
		return nil, err
	}
	for _, m := range markets {
		if _, err := b.market(m.Region.Name); err == nil {
			return nil, fmt.Errorf("the region %s is there twice", m.Region.Name)
		}
		sold := market{m.Region, make([]Price, len(b.shapes))}
		for name, p := range m.Prices {
			i, ok := b.index[name]
			if !ok {
				return nil, fmt.Errorf("a price in %s is of type %s, which has no shape: %w", m.Region.Name, name, ErrUnknown)
			}
			sold.prices[i] = p
		}
		b.markets = append(b.markets, sold)
	}
	b.sortMarkets()
	return b, nil
}

// newBook makes a book without prices.
func newBook(shapes []Shape) (*Book, error) {
	b := &Book{index: make(map[string]int, len(shapes))}
	own := slices.Clone(shapes)
	for i := range own {
		b.shapes = append(b.shapes, &own[i])
	}
	slices.SortFunc(b.shapes, compareShapes)
	for i, s := range b.shapes {
		if _, twice := b.index[s.Name]; twice {
			return nil, fmt.Errorf("the type %s is there twice", s.Name)
		}
		b.index[s.Name] = i
	}
	return b, nil
}

func (b *Book) sortMarkets() {
	slices.SortFunc(b.markets, func(a, b market) int { return strings.Compare(a.region.Name, b.region.Name) })
}

// compareShapes orders by category, generation and family, then by size.
func compareShapes(a, b *Shape) int {
	return cmp.Or(
		strings.Compare(a.Category, b.Category), a.Generation-b.Generation, strings.Compare(a.Family, b.Family),
		a.VCPU-b.VCPU, cmp.Compare(a.Memory, b.Memory), compareBool(a.Metal, b.Metal), strings.Compare(a.Name, b.Name),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Shapes are all shapes by category, generation and family, the smallest of
// each first. The caller owns the slice, not the shapes.
func (b *Book) Shapes() []*Shape { return slices.Clone(b.shapes) }

// Shape finds a shape by name, e.g. "m7g.xlarge".
func (b *Book) Shape(name string) (*Shape, bool) {
	i, ok := b.index[name]
	if !ok {
		return nil, false
	}
	return b.shapes[i], true
}

// Regions are all regions by name.
func (b *Book) Regions() []Region {
	out := make([]Region, len(b.markets))
	for i, m := range b.markets {
		out[i] = m.region
	}
	return out
}

// Region finds a region by name; the error lists the known ones.
func (b *Book) Region(name string) (Region, error) {
	m, err := b.market(name)
	if err != nil {
		return Region{}, err
	}
	return m.region, nil
}

// Price is what a shape costs in a region; the zero value when it is not sold
// there, or one of them is not known.
func (b *Book) Price(shape, region string) Price {
	i, ok := b.index[shape]
	m, err := b.market(region)
	if !ok || err != nil {
		return Price{}
	}
	return m.prices[i]
}

// Markets are all regions with what they sell, as [NewBook] takes them.
func (b *Book) Markets() []Market {
	out := make([]Market, len(b.markets))
	for i, m := range b.markets {
		out[i] = Market{m.region, map[string]Price{}}
		for j, p := range m.prices {
			if p.Sold() {
				p.Zones = maps.Clone(p.Zones)
				out[i].Prices[b.shapes[j].Name] = p
			}
		}
	}
	return out
}

func (b *Book) market(name string) (*market, error) {
	known := make([]string, len(b.markets))
	for i := range b.markets {
		if b.markets[i].region.Name == name {
			return &b.markets[i], nil
		}
		known[i] = b.markets[i].region.Name
	}
	return nil, fmt.Errorf("region %q: %w; it has %s", name, ErrUnknown, strings.Join(known, ", "))
}
