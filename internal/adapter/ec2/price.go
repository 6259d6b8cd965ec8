package ec2

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// product is an entry of the price list, as far as it is used.
type product struct {
	Product struct {
		Attributes struct {
			InstanceType string `json:"instanceType"`
		} `json:"attributes"`
	} `json:"product"`
	Terms struct {
		OnDemand map[string]struct {
			PriceDimensions map[string]struct {
				Unit         string            `json:"unit"`
				PricePerUnit map[string]string `json:"pricePerUnit"`
			} `json:"priceDimensions"`
		} `json:"OnDemand"`
	} `json:"terms"`
}

func (c *client) onDemand(ctx context.Context, f *found) error {
	input := &pricing.GetProductsInput{ServiceCode: aws.String("AmazonEC2")}
	for _, match := range [][2]string{
		{"regionCode", c.region},
		{"operatingSystem", "Linux"},
		{"tenancy", "Shared"},
		{"preInstalledSw", "NA"},
		{"capacitystatus", "Used"},
		{"marketoption", "OnDemand"},
	} {
		input.Filters = append(input.Filters, types.Filter{
			Type: types.FilterTypeTermMatch, Field: aws.String(match[0]), Value: aws.String(match[1]),
		})
	}
	pages := pricing.NewGetProductsPaginator(c.pricing, input)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, text := range page.PriceList {
			name, price, err := hourly(text)
			if err != nil {
				return fmt.Errorf("price list: %w", err)
			}
			if price > 0 {
				f.price(name, func(p *catalog.Price) { p.OnDemand = price })
			}
		}
	}
	return nil
}

// hourly finds the type and its price in an entry; 0 when it is priced in
// another way.
func hourly(text string) (string, unit.NanoUSD, error) {
	var p product
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return "", 0, err
	}
	name := p.Product.Attributes.InstanceType
	for _, term := range p.Terms.OnDemand {
		for _, d := range term.PriceDimensions {
			if usd, ok := d.PricePerUnit["USD"]; ok && d.Unit == "Hrs" {
				price, err := unit.ParseUSD(usd)
				return name, price, err
			}
		}
	}
	return name, 0, nil
}

// book renews the region in base.
func (f *found) book(base *catalog.Book, region string, now time.Time) (*catalog.Book, error) {
	market := catalog.Market{
		Region: catalog.Region{
			Name: region, Zones: f.zones,
			OnDemand: catalog.Source{Name: "AWS Price List API", AsOf: now},
			Spot:     catalog.Source{Name: "EC2 spot price history", AsOf: now},
		},
		Prices: map[string]catalog.Price{},
	}
	known := map[string]bool{}
	var shapes []catalog.Shape
	for _, s := range f.shapes {
		known[s.Name] = true
		p, sold := f.prices[s.Name]
		if old, ok := base.Shape(s.Name); ok && s.NetworkMbps == 0 {
			s.NetworkMbps = old.NetworkMbps
		}
		shapes = append(shapes, s)
		if sold && len(p.Zones) > 0 {
			market.Prices[s.Name] = complete(p, base.Price(s.Name, region))
		}
	}
	for _, s := range base.Shapes() {
		if !known[s.Name] {
			shapes = append(shapes, *s)
		}
	}
	markets := slices.DeleteFunc(base.Markets(), func(m catalog.Market) bool {
		if m.Region.Name == region {
			market.Region.Title = m.Region.Title
		}
		return m.Region.Name == region
	})
	return catalog.NewBook(shapes, append(markets, market))
}

// complete adds what follows from the prices, and the band that was known.
func complete(p, old catalog.Price) catalog.Price {
	var sum unit.NanoUSD
	zones := int64(0)
	for _, own := range p.Zones {
		if own > 0 {
			sum = sum.Plus(own)
			zones++
		}
	}
	p.Band = catalog.BandUnknown
	if zones == 0 {
		return p
	}
	if old.Sold() {
		p.Band = old.Band
	}
	if p.OnDemand > 0 {
		p.Saving = 100 - int(sum.MulDiv(100, int64(p.OnDemand)*zones))
	}
	return p
}
