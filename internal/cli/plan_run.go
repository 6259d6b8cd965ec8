package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/cli/planview"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
	"github.com/tatami-platform/tatami/internal/core/nodes/sim"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

const (
	// defaultRegion is the one whose prices are exact in the built-in catalog.
	defaultRegion = "us-east-1"
	// defaultZones is how many zones of a region most clusters use.
	defaultZones = 3
	// runAgain is for a plan that was interrupted: nothing of it is kept.
	runAgain = "run it again"
	// defaultSteps is the effort of a plan without a deadline: a second or two at
	// most, and the same answer on every machine.
	defaultSteps = 500
)

func (t *tool) runPlan(ctx context.Context, f *planFlags) error {
	report, err := t.report(ctx, f, f.from)
	if err != nil {
		return err
	}
	t.progress.drop()
	if err := t.printPlan(f, &report); err != nil {
		return err
	}
	switch why := f.failAbove.failure(&report); {
	case why != "":
		fmt.Fprintf(t.Streams.Err, "%s %s\n", t.Streams.Err.paint(styleBad, "above:"), why)
		return exitCode(ExitDifference)
	case len(report.Errors) > 0:
		return exitCode(ExitPartial)
	}
	return nil
}

// report reads, compares, and returns the one value from which all is printed.
func (t *tool) report(ctx context.Context, f *planFlags, from control.Sources) (compare.Report, error) {
	if t.Workloads == nil {
		return compare.Report{}, errors.New("this program cannot read workloads")
	}
	trace, err := readTrace(f.trace)
	if err != nil {
		return compare.Report{}, err
	}
	t.progress.Step("read the workloads")
	from.Stdin = t.Streams.In
	demand, err := t.Workloads.Read(ctx, from)
	if err != nil {
		return compare.Report{}, err
	}
	if err := checkTrace(trace, demand.Snapshot.Demand); err != nil {
		return compare.Report{}, err
	}
	prices := f.prices
	if region := demand.Snapshot.Region; region != "" && !f.regionGiven {
		prices.region = region
	}
	book, err := t.book(ctx, &prices)
	if err != nil {
		return compare.Report{}, err
	}
	demand.Snapshot.Region = prices.region
	stopped := func() bool { return ctx.Err() != nil }
	req, err := t.request(f, demand, book, stopped)
	if err != nil {
		return compare.Report{}, err
	}
	req.Trace = trace
	if f.redact {
		req = compare.Anonymise(req)
	}
	req.Stopped = stopped
	report := compare.Run(req)
	if err := ctx.Err(); err != nil {
		return report, &control.Problem{What: "the plan was not finished", Why: err, Next: runAgain}
	}
	return report, nil
}

// request puts demand, prices and settings together. Strategies end early when
// stopped says so.
func (t *tool) request(f *planFlags, d control.Demand, book *catalog.Book, stopped func() bool) (compare.Request, error) {
	s := d.Snapshot
	s.Now = t.Now().UTC()
	region, err := book.Region(s.Region)
	if err != nil {
		return compare.Request{}, err
	}
	if s.Offers, err = book.Offerings(catalog.Query{Region: s.Region, Zones: f.zonesOf(d, region)}); err != nil {
		return compare.Request{}, &control.Problem{What: "--zones", Why: err, Next: "name zones of " + s.Region}
	}
	services, err := catalog.RegionServices(s.Region)
	sources := []catalog.Source{region.OnDemand, region.Spot}
	if err == nil {
		sources = append(sources, services.Source)
	}
	s, faults := compare.Complete(s)
	if len(s.Nodes) == 0 && slices.Contains(f.strategies, string(compare.Current)) {
		return compare.Request{}, &control.Problem{
			What: "--strategy current: the nodes of today are not known", Next: "give them with --current, or read a cluster with --context",
		}
	}
	arch := f.arch.value
	if arch == "" {
		arch = string(catalog.AMD64)
		if len(s.Pools) > 0 {
			arch = compare.AnyArch
		}
	}
	set := compare.Settings{Policy: f.policy(), Effort: nodes.Effort{Steps: defaultSteps}, Services: services, Seed: f.seed, Stop: stopped}
	if f.deadline > 0 {
		set.Effort.Steps = 0
		set.Deadline, set.Clock = time.Duration(f.deadline), t.Now
	}
	for _, list := range d.Forbidden {
		faults = append(faults, "the cluster refused to list "+list)
	}
	notCovered := make([]compare.NotCovered, len(d.NotCovered))
	for i, n := range d.NotCovered {
		notCovered[i] = compare.NotCovered{Object: n.Object, Field: n.Field, Why: n.Why}
	}
	return compare.Request{
		Snapshot: &s, Entries: compare.Entries(set, f.ids(len(s.Nodes) > 0)), Arch: arch, SpotPercent: int(f.spot), Preset: f.preset.value,
		Seed: f.seed, Clock: t.Now, Progress: func(step string) { t.progress.Step("compare: " + step) },
		Name: d.Name, Digest: d.Digest, Workloads: d.Workloads, NotCovered: notCovered, Errors: faults,
		Book: compare.PriceBook{Name: cmp.Or(f.prices.file, "built-in"), Offers: len(s.Offers), Sources: distinct(sources)},
		Tool: compare.Tool{Name: "tatami", Version: t.Info.Version}, Deadline: time.Duration(f.deadline),
	}, nil
}

func distinct(sources []catalog.Source) []catalog.Source {
	var out []catalog.Source
	for _, s := range sources {
		if s.Name != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// zonesOf are the zones asked for, else those of the nodes, else the first few.
func (f *planFlags) zonesOf(d control.Demand, region catalog.Region) []string {
	if len(f.zones) > 0 {
		return f.zones
	}
	var known, used []string
	for _, z := range region.Zones {
		known = append(known, z.Name)
	}
	for _, n := range d.Snapshot.Nodes {
		if z := n.Offering.Zone; slices.Contains(known, z) && !slices.Contains(used, z) {
			used = append(used, z)
		}
	}
	if len(used) > 0 {
		slices.Sort(used)
		return used
	}
	return known[:min(defaultZones, len(known))]
}

func (f *planFlags) policy() nodes.Policy {
	all := nodes.Policies()
	i := slices.IndexFunc(all, func(p nodes.Policy) bool { return p.Name == f.preset.value })
	return all[max(i, 0)]
}

// readTrace takes the name of a pattern or of a file; nil without either.
func readTrace(from string) (*sim.Trace, error) {
	if from == "" {
		return nil, nil
	}
	trace, patternErr := sim.Pattern(from)
	if patternErr == nil {
		return &trace, nil
	}
	file, err := os.Open(from)
	if kind, _, _ := strings.Cut(from, ":"); errors.Is(err, os.ErrNotExist) && slices.Contains(sim.Patterns(), kind) {
		return nil, &control.Problem{What: "--trace", Why: patternErr, Next: "name a pattern such as wave:3"}
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, &control.Problem{What: "--trace: there is no file " + from, Why: patternErr, Next: "name a CSV file with the columns time and factor, or a pattern such as wave:3"}
	}
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	defer file.Close()
	trace, err = sim.ParseCSV(from, file)
	if err != nil {
		return nil, &control.Problem{What: "--trace", Why: err, Next: "correct the file; its first line is e.g. time,workload,factor"}
	}
	return &trace, nil
}

// maxNamed bounds how many workloads an error lists.
const maxNamed = 10

// checkTrace refuses rows about workloads that are not planned.
func checkTrace(t *sim.Trace, groups []workload.Group) error {
	if t == nil {
		return nil
	}
	p, unknown := t.Unknown(groups)
	if !unknown {
		return nil
	}
	var known []string
	for i := range groups {
		if name := groups[i].Owner.String(); !slices.Contains(known, name) {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	list := strings.Join(known[:min(len(known), maxNamed)], ", ")
	if n := len(known) - maxNamed; n > 0 {
		list += fmt.Sprintf(" and %d more", n)
	}
	return &control.Problem{
		What: fmt.Sprintf("--trace: %s: line %d is about an unknown workload", t.Name, p.Line), Why: fmt.Errorf("there is no %q in the input", p.Workload),
		Next: "name one of " + list + ", or leave the workload empty for all",
	}
}

// printPlan writes the report in the form that was asked for.
func (t *tool) printPlan(f *planFlags, r *compare.Report) error {
	lang, err := planview.LangNamed(f.lang.value)
	if err != nil {
		return err
	}
	c := t.Streams.Out
	switch f.output.value {
	case formJSON:
		return printJSON(c, r)
	case formHTML:
		return planview.HTML(c, r, lang)
	case formMD:
		return planview.Markdown(c, r, lang)
	case formCSV:
		return planview.CSV(c, r)
	}
	return buffered(c, func(w io.Writer) {
		planview.Table(planview.Screen{Writer: w, Width: c.Width, Color: c.Color}, r, f.output.value == formWide)
	})
}
