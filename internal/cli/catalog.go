package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/catalog/bookfile"
)

// catalogListFlags are the flags of `catalog`.
type catalogListFlags struct {
	source  catalogFlags
	filter  catalog.Attributes
	sort    *choice
	reverse bool
	save    string
	output  *choice
}

func (t *tool) catalog() *cobra.Command {
	f := &catalogListFlags{}
	cmd := &cobra.Command{
		Use:     "catalog [flags]",
		GroupID: groupCapacity,
		Short:   "List instance types, their prices and what spot saves",
		Long: "Lists the instance types of EC2 that a region sells: what they have, what an hour\n" +
			"costs on demand, what spot saves in percent, and how many spot machines are taken\n" +
			"back in a month. Without flags it is the built-in catalog and needs no network;\n" +
			"the last lines say where the figures are from, and of which day.\n\n" +
			"Flags choose types as EC2's attribute-based selection does, but nothing is left\n" +
			"out by default. -o csv and -o json print the bands of interruption as numbers: 0\n" +
			"is under 5 %, 1 is 5-10 %, 2 is 10-15 %, 3 is 15-20 %, 4 is over 20 %. For a\n" +
			"region other than " + defaultRegion + " they have one column or key more: region.\n\n" +
			"Own prices are used by every verb that takes --catalog: write a file with --save,\n" +
			"and change it. What such a file leaves out about a known type is filled in.",
		Example: lines(
			t.Name+" catalog --vcpu 4..8 --memory-per-vcpu 4 --generation current --sort price",
			t.Name+" catalog --region sa-east-1 --arch arm64 -o csv",
			t.Name+" catalog --gpus 1.. --accelerator-manufacturer nvidia -o wide",
			t.Name+" catalog --allow 'm7g.*,c7g.*' --exclude '*.metal' -o json",
			t.Name+" catalog --save catalog.csv",
			t.Name+" catalog --catalog catalog.csv --sort -saving",
		),
		Args: t.refuseUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error { return t.runCatalog(cmd.Context(), f) },
	}
	f.source.add(cmd)
	addFilter(cmd, &f.filter)
	f.sort = &choice{value: sortType, allowed: sortOrders()}
	addFlag(cmd, (*sortFlag)(f), "sort", "order: "+strings.Join(sortOrders(), ", ")+"; a - in front turns it around", sortOrders())
	cmd.Flags().StringVar(&f.save, "save", "", "write the whole catalog to `FILE` as well: JSON when it ends in .json, else CSV")
	f.output = addOutput(cmd, formTable, formWide, formCSV, formJSON)
	cmd.AddCommand(t.catalogPrices(), t.catalogRegions())
	return cmd
}

// sortFlag is a choice with a minus sign in front, perhaps.
type sortFlag catalogListFlags

// String is the value.
func (f *sortFlag) String() string {
	if f.sort == nil {
		return ""
	}
	return f.sort.String()
}

// Set refuses what is no order.
func (f *sortFlag) Set(s string) error {
	order, reverse := strings.CutPrefix(s, "-")
	f.reverse = reverse
	return f.sort.Set(order)
}

// Type is shown as the value in the help text.
func (f *sortFlag) Type() string { return "ORDER" }

func (t *tool) runCatalog(ctx context.Context, f *catalogListFlags) error {
	b, err := t.book(ctx, &f.source)
	if err != nil {
		return err
	}
	if f.save != "" {
		if err := saveBook(f.save, b); err != nil {
			return err
		}
	}
	list := newCatalogList(b, f.source.region, &f.filter)
	if len(list.rows) == 0 && len(b.Shapes()) > 0 && f.filter.Allowed != nil {
		t.progress.Note("no type matches; names are written like m7g.large or 'm7g.*'")
	}
	list.sort(f.sort.value, f.reverse)
	switch f.output.value {
	case formJSON:
		return printJSON(t.Streams.Out, list.rows)
	case formCSV:
		return list.csv(t.Streams.Out)
	}
	return list.table(t.Streams.Out, f.output.value == formWide)
}

var errNotRegular = errors.New("it is not a regular file")

// saveBook replaces the file only when all of it can be written, and nothing
// but a file: a link stays and what it leads to is replaced.
func saveBook(path string, b *catalog.Book) error {
	var content bytes.Buffer
	write := bookfile.WriteCSV
	if strings.HasSuffix(path, ".json") {
		write = bookfile.WriteJSON
	}
	if err := write(&content, b); err != nil {
		return err
	}
	if err := replaceFile(path, content.Bytes()); err != nil {
		return &control.Problem{
			What: "save the catalog", Why: err,
			Next: "name a file in a folder that you may write to",
		}
	}
	return nil
}

func replaceFile(path string, content []byte) error {
	mode := fs.FileMode(0o644) // prices are no secret
	switch info, err := os.Stat(path); {
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("%s: %w", path, errNotRegular)
	case err == nil:
		mode = info.Mode().Perm()
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if _, linkErr := os.Lstat(path); linkErr == nil {
			return fmt.Errorf("%s: %w: it is a link to nowhere", path, errNotRegular)
		}
	}
	next, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return withoutTemp(err, path)
	}
	_, err = next.Write(content)
	err = errors.Join(err, next.Chmod(mode), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return nil
}

// withoutTemp says the folder that cannot be written to rather than a name that
// nobody knows.
func withoutTemp(err error, path string) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", path, p.Err)
	}
	return err
}
