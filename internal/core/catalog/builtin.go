package catalog

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// homeRegion is the one whose prices are in the table of families.
const homeRegion = "us-east-1"

var (
	//go:embed data/families.txt
	familyTable string
	//go:embed data/spot.txt
	spotTable string
	//go:embed data/regions.txt
	regionTable string
)

// Builtin is the book that comes with the program: the shapes of EC2, and ten
// regions. Outside of us-east-1 a shape is sold where the Spot Instance Advisor
// knew it or another size of its family; prices there are approximations.
//
// It takes a few milliseconds; whoever needs it often keeps it.
func Builtin() *Book {
	b, err := parseBuiltin()
	if err != nil {
		// The tables are part of the program, and the tests read them.
		panic(fmt.Errorf("the built-in catalog: %w", err))
	}
	return b
}

func parseBuiltin() (*Book, error) {
	shapes, prices, err := parseFamilies(familyTable)
	if err != nil {
		return nil, fmt.Errorf("families.txt: %w", err)
	}
	regions, err := parseRegions(regionTable)
	if err != nil {
		return nil, fmt.Errorf("regions.txt: %w", err)
	}
	spots, err := parseSpot(spotTable)
	if err != nil {
		return nil, fmt.Errorf("spot.txt: %w", err)
	}
	b, err := newBook(shapes)
	if err != nil {
		return nil, err
	}
	for _, r := range regions {
		column := slices.Index(spots.regions, r.Name)
		m := market{r.Region, make([]Price, len(b.shapes))}
		for i, s := range b.shapes {
			price, sold := spots.find(s, column)
			if sold || r.Name == homeRegion {
				price.OnDemand = r.onDemand(s, prices[s.Name])
				if price.Band != BandUnknown {
					price.Spot = price.OnDemand.MulDiv(int64(100-price.Saving), 100)
				}
				m.prices[i] = price
			}
		}
		b.markets = append(b.markets, m)
	}
	b.sortMarkets()
	return b, nil
}

// cents5 rounds half up to the five decimals in which AWS sets prices.
func cents5(m unit.NanoUSD) unit.NanoUSD { return (m + 5_000) / 10_000 * 10_000 }

// spots is the table of spot: for each type, and each family, a cell for each
// region. A cell of a type has Saving and Band; those of a family say whether
// the region has any size of it.
type spots struct {
	regions  []string
	types    map[string][]Price
	families map[string][]bool
}

// find returns a price with Saving and Band, and whether the region sells the
// shape. Without a figure Band is BandUnknown.
func (t *spots) find(s *Shape, column int) (Price, bool) {
	unknown := Price{Band: BandUnknown}
	if column < 0 {
		return unknown, false
	}
	if cells, ok := t.types[s.Name]; ok {
		return cells[column], cells[column].Band != BandUnknown
	}
	family := t.families[s.Family]
	return unknown, family != nil && family[column]
}

func parseSpot(text string) (*spots, error) {
	t := &spots{types: map[string][]Price{}, families: map[string][]bool{}}
	return t, eachLine(text, func(_ bool, w []string) error {
		switch {
		case w[0] == "columns":
			t.regions = w[1:]
			return nil
		case len(w) != len(t.regions)+1:
			return fmt.Errorf("%d cells for %d regions", len(w)-1, len(t.regions))
		}
		family, _, _ := strings.Cut(w[0], ".")
		cells, some := make([]Price, len(t.regions)), t.families[family]
		if some == nil {
			some = make([]bool, len(t.regions))
			t.families[family] = some
		}
		for i, cell := range w[1:] {
			var err error
			if cells[i], err = spotCell(cell); err != nil {
				return err
			}
			some[i] = some[i] || cells[i].Band != BandUnknown
		}
		t.types[w[0]] = cells
		return nil
	})
}

// spotCell reads a saving and the letter of a band, e.g. "62b".
func spotCell(cell string) (Price, error) {
	if cell == "-" {
		return Price{Band: BandUnknown}, nil
	}
	last := len(cell) - 1
	saving, err := strconv.Atoi(cell[:last])
	band := strings.IndexByte("abcde", cell[last])
	if err != nil || saving > 100 || band < 0 {
		return Price{}, fmt.Errorf("%q is not a saving and a band", cell)
	}
	return Price{Saving: saving, Band: Band(band)}, nil
}
