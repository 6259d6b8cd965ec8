package ec2

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/smithy-go/logging"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Catalog implements [control.Catalog].
type Catalog struct {
	Now func() time.Time
	// Endpoint is a URL that answers instead of AWS; empty is AWS.
	Endpoint string
	// Options are added to those by which the SDK finds its configuration.
	Options []func(*config.LoadOptions) error
}

// pricingRegion is where the price list of all regions is served.
const pricingRegion = "us-east-1"

// client holds both APIs for one refresh.
type client struct {
	ec2     *ec2.Client
	pricing *pricing.Client
	region  string
	now     time.Time
}

// Refresh is [control.Catalog]'s.
func (c Catalog) Refresh(ctx context.Context, base *catalog.Book, region string, p control.Progress) (*catalog.Book, error) {
	p.Step("find AWS credentials")
	api, err := c.client(ctx, region)
	if err != nil {
		return nil, err
	}
	answers := &found{prices: map[string]catalog.Price{}}
	for _, s := range []struct {
		name, action string
		do           func(context.Context, *found) error
	}{
		{"ask EC2 for the zones of " + region, "ec2:DescribeAvailabilityZones", api.zones},
		{"ask EC2 for its types", "ec2:DescribeInstanceTypes", api.shapes},
		{"ask EC2 which zone has which", "ec2:DescribeInstanceTypeOfferings", api.offers},
		{"ask for prices on demand", "pricing:GetProducts", api.onDemand},
		{"ask for prices of spot", "ec2:DescribeSpotPriceHistory", api.spot},
	} {
		p.Step(s.name)
		if err := s.do(ctx, answers); err != nil {
			return nil, fault(s.action, region, err)
		}
	}
	return answers.book(base, region, api.now)
}

func (c Catalog) client(ctx context.Context, region string) (*client, error) {
	// The SDK would warn on stderr of ways to log in that do not work here.
	options := append([]func(*config.LoadOptions) error{config.WithRegion(region), config.WithLogger(logging.Nop{})}, c.Options...)
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err == nil {
		_, err = cfg.Credentials.Retrieve(ctx)
	}
	if err != nil {
		return nil, noCredentials(err)
	}
	if c.Endpoint != "" {
		cfg.BaseEndpoint = aws.String(c.Endpoint)
	}
	return &client{
		ec2:     ec2.NewFromConfig(cfg),
		pricing: pricing.NewFromConfig(cfg, func(o *pricing.Options) { o.Region = pricingRegion }),
		region:  region,
		now:     c.Now().UTC(),
	}, nil
}

// found is what AWS answered, by name of the type.
type found struct {
	zones  []catalog.Zone
	shapes []catalog.Shape
	prices map[string]catalog.Price
}

// price changes one price.
func (f *found) price(name string, change func(*catalog.Price)) {
	p := f.prices[name]
	if p.Zones == nil {
		p.Zones = map[string]unit.NanoUSD{}
	}
	change(&p)
	f.prices[name] = p
}

func (c *client) zones(ctx context.Context, f *found) error {
	out, err := c.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{
		Filters: []types.Filter{
			{Name: aws.String("zone-type"), Values: []string{"availability-zone"}},
			{Name: aws.String("state"), Values: []string{"available"}},
		},
	})
	if err != nil {
		return err
	}
	for _, z := range out.AvailabilityZones {
		f.zones = append(f.zones, catalog.Zone{Name: aws.ToString(z.ZoneName), ID: aws.ToString(z.ZoneId)})
	}
	return nil
}

func (c *client) shapes(ctx context.Context, f *found) error {
	pages := ec2.NewDescribeInstanceTypesPaginator(c.ec2, &ec2.DescribeInstanceTypesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for i := range page.InstanceTypes {
			s, ok, err := shape(&page.InstanceTypes[i])
			if err != nil {
				return err
			}
			if ok {
				f.shapes = append(f.shapes, s)
			}
		}
	}
	return nil
}

func (c *client) offers(ctx context.Context, f *found) error {
	pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(c.ec2, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, o := range page.InstanceTypeOfferings {
			f.price(string(o.InstanceType), func(p *catalog.Price) { p.Zones[aws.ToString(o.Location)] = 0 })
		}
	}
	return nil
}

// spot reads the price that holds now in each zone.
func (c *client) spot(ctx context.Context, f *found) error {
	pages := ec2.NewDescribeSpotPriceHistoryPaginator(c.ec2, &ec2.DescribeSpotPriceHistoryInput{
		ProductDescriptions: []string{"Linux/UNIX"},
		StartTime:           aws.Time(c.now),
	})
	latest := map[[2]string]time.Time{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, s := range page.SpotPriceHistory {
			key := [2]string{string(s.InstanceType), aws.ToString(s.AvailabilityZone)}
			at := aws.ToTime(s.Timestamp)
			if seen, ok := latest[key]; ok && !at.After(seen) {
				continue
			}
			latest[key] = at
			price, err := unit.ParseUSD(aws.ToString(s.SpotPrice))
			if err != nil {
				return fmt.Errorf("spot price of %s: %w", key[0], err)
			}
			f.price(key[0], func(p *catalog.Price) {
				if _, sold := p.Zones[key[1]]; sold {
					p.Zones[key[1]] = price
				}
			})
		}
	}
	return nil
}
