package cli_test

import (
	"context"
	"slices"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// fakeCloud sells m5.large at one price, or lets nobody in. The real one is
// tested in adapter/ec2.
type fakeCloud struct{ fault string }

func (f fakeCloud) Refresh(_ context.Context, base *catalog.Book, region string, p control.Progress) (*catalog.Book, error) {
	p.Step("ask the cloud for " + region)
	if f.fault == "no-credentials" {
		return nil, &control.Problem{What: "there are no AWS credentials", Next: "log in"}
	}
	var shapes []catalog.Shape
	for _, s := range base.Shapes() {
		shapes = append(shapes, *s)
	}
	markets := slices.DeleteFunc(base.Markets(), func(m catalog.Market) bool { return m.Region.Name == region })
	return catalog.NewBook(shapes, append(markets, catalog.Market{
		Region: catalog.Region{Name: region, Zones: []catalog.Zone{{Name: region + "a"}}},
		Prices: map[string]catalog.Price{"m5.large": {OnDemand: unit.USD / 20, Band: catalog.BandUnknown}},
	}))
}
