package cli

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/catalog/bookfile"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

func (t *tool) catalogPrices() *cobra.Command {
	var source catalogFlags
	var output *choice
	cmd := &cobra.Command{
		Use:   "prices [flags]",
		Short: "List prices of the services around the machines",
		Long: "Lists what is paid besides machines: the EKS control plane, Fargate, disks, load\n" +
			"balancers, NAT gateways, addresses and traffic, in the first tier of each. Prices\n" +
			"outside of us-east-1 are approximations.",
		Example: lines(t.Name+" catalog prices", t.Name+" catalog prices --region sa-east-1 -o json"),
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			services, err := catalog.RegionServices(source.region)
			if err != nil {
				return unknownRegion(err, "")
			}
			return t.printServices(services, output.value)
		},
	}
	source.addRegion(cmd)
	output = addOutput(cmd, formTable, formCSV, formJSON)
	return cmd
}

func (t *tool) printServices(s catalog.Services, form string) error {
	c := t.Streams.Out
	switch form {
	case formJSON:
		return printJSON(c, s)
	case formCSV:
		rows := [][]string{{"service", "per", "priceUSD", "title"}}
		for _, p := range s.Prices {
			rows = append(rows, []string{string(p.Service), p.Per, p.Price.String(), p.Title})
		}
		return csv.NewWriter(c).WriteAll(rows)
	}
	rows := make([][]string, len(s.Prices))
	for i, p := range s.Prices {
		rows[i] = []string{p.Title, cents(p.Price), p.Per}
	}
	if err := printTable(c, []column{{title: "SERVICE"}, {title: "USD"}, {title: "PER"}}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c, "\nPrices in %s. Source: %s.\n", s.Region, sourceText(s.Source))
	return err
}

// cents shows an exact price, with two decimals at least.
func cents(m unit.NanoUSD) string {
	exact := m.String()
	if two := m.Cents(); len(two) > len(exact) {
		return two
	}
	return exact
}

func (t *tool) catalogRegions() *cobra.Command {
	var source catalogFlags
	var output *choice
	cmd := &cobra.Command{
		Use:   "regions [flags]",
		Short: "List regions, their zones and where their prices come from",
		Long: "Lists the regions of the catalog, with their zones, and where the prices come from.\n" +
			"Which zone has which id differs from account to account: --refresh asks for yours.",
		Example: lines(t.Name+" catalog regions", t.Name+" catalog regions -o json"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := t.book(cmd.Context(), &source)
			if err != nil {
				return err
			}
			return t.printRegions(b, output.value)
		},
	}
	source.add(cmd)
	output = addOutput(cmd, formTable, formJSON)
	return cmd
}

func (t *tool) printRegions(b *catalog.Book, form string) error {
	c := t.Streams.Out
	if form == formJSON {
		return printJSON(c, bookfile.Regions(b))
	}
	var rows [][]string
	for _, m := range b.Markets() {
		r := m.Region
		var zones []string
		for _, z := range r.Zones {
			zones = append(zones, strings.TrimPrefix(z.Name, r.Name))
		}
		exact := "published"
		if r.OnDemand.Approximate {
			exact = "approximate"
		}
		rows = append(rows, []string{r.Name, r.Title, strings.Join(zones, " "), strconv.Itoa(len(m.Prices)), exact, day(r.OnDemand), day(r.Spot)})
	}
	return printTable(c, []column{
		{title: "REGION"},
		{title: "PLACE"},
		{title: "ZONES"},
		{title: "TYPES", right: true},
		{title: "PRICES"},
		{title: "AS OF"},
		{title: "SPOT AS OF"},
	}, rows)
}

// sources says where the prices of a region come from.
func sources(r catalog.Region) string {
	return fmt.Sprintf("On demand: %s.\nSpot: %s.\n", sourceText(r.OnDemand), sourceText(r.Spot))
}

func sourceText(s catalog.Source) string {
	text := s.Name
	if !s.AsOf.IsZero() {
		text += ", " + day(s)
	}
	if s.Approximate {
		text += " (approximation)"
	}
	return text
}

func day(s catalog.Source) string {
	if s.AsOf.IsZero() {
		return "-"
	}
	return s.AsOf.Format("2006-01-02")
}
