package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/catalog/bookfile"
)

// catalogFlags say which prices a verb works with.
type catalogFlags struct {
	region, file string
	refresh      bool
}

func (c *catalogFlags) add(cmd *cobra.Command) {
	c.addRegion(cmd)
	cmd.Flags().StringVar(&c.file, "catalog", "", "take types and prices from `FILE`, CSV or JSON, instead of the built-in catalog")
	cmd.Flags().BoolVar(&c.refresh, "refresh", false, "ask AWS for the types and prices of the region, with your AWS credentials")
}

func (c *catalogFlags) addRegion(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.region, "region", defaultRegion, "`REGION` that prices are for")
	must(cmd.RegisterFlagCompletionFunc("region", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, r := range catalog.Builtin().Regions() {
			names = append(names, cobra.CompletionWithDesc(r.Name, r.Title))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}))
}

// book makes the catalog that the flags ask for, with the region in it.
func (t *tool) book(ctx context.Context, c *catalogFlags) (*catalog.Book, error) {
	b, err := readCatalog(c.file, c.region)
	if err != nil {
		return nil, err
	}
	if c.refresh {
		if b, err = t.Catalog.Refresh(ctx, b, c.region, t.progress); err != nil {
			return nil, err
		}
		t.progress.Done()
	}
	if _, err := b.Region(c.region); err != nil {
		return nil, unknownRegion(err, c.file)
	}
	return b, nil
}

func unknownRegion(err error, file string) error {
	next := "choose one of them with --region; other regions can be had with --refresh, or from a file with --catalog"
	if file != "" {
		next = "choose one of them with --region, or add the region to " + file
	}
	return &control.Problem{What: err.Error(), Next: next}
}

// readCatalog reads a catalog file whose rows are of the region where they name
// none; without a file it is the built-in catalog.
func readCatalog(path, region string) (*catalog.Book, error) {
	base := catalog.Builtin()
	if path == "" {
		return base, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, &control.Problem{
			What: "read the catalog", Why: err,
			Next: "write one with `tatami catalog --save FILE`, and change what differs",
		}
	}
	b, err := bookfile.Read(content, base, region)
	if f, ok := errors.AsType[*bookfile.Fault](err); ok {
		return nil, &control.Problem{What: path, Why: f, Next: f.Next}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}
