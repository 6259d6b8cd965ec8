package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/cli/planview"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
	"github.com/tatami-platform/tatami/internal/core/nodes/sim"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// The output forms of `plan` beside those of the other verbs.
const (
	formWide = "wide"
	formMD   = "md"
	formHTML = "html"
	formCSV  = "csv"
)

// planFlags say what is compared, and how. `plan diff` has them too.
type planFlags struct {
	from       control.Sources
	strategies []string
	prices     catalogFlags
	// regionGiven says that the region is not just the default.
	regionGiven bool
	zones       []string
	spot        spotShare
	arch        *choice
	preset      *choice
	trace       string
	seed        uint64
	deadline    positive
	failAbove   threshold
	redact      bool
	lang        *choice
	output      *choice
}

func (t *tool) plan() *cobra.Command {
	f := &planFlags{}
	cmd := &cobra.Command{
		Use:     "plan [flags]",
		GroupID: groupCapacity,
		Short:   "Compare what a workload costs under each way of buying nodes",
		Long: "Reads workloads from manifests or from a live cluster, works out which nodes each\n" +
			"strategy would buy for them, and compares the cost: Cluster Autoscaler, Karpenter,\n" +
			"Fargate, an ECS-style Auto Scaling group, Tatami, and today's nodes where they are\n" +
			"known. It only reads, and from a cluster only with get and list.\n\n" +
			"Without a NodePool in the input any c, m or r type from the fifth generation on may\n" +
			"be bought, without bare metal and flex types. Manifests do not say on which\n" +
			"architectures an image runs: it is amd64 unless NodePools or --arch say otherwise.\n\n" +
			"The exit code is 2 when the baseline costs more than --fail-above, or when its price\n" +
			"is not of all pods, because some are pending or have requests that cannot be; and 3\n" +
			"when the cluster refused a part of what was to be read. The baseline is today's\n" +
			"nodes, which are added to --strategy where they are known, else Karpenter, else the\n" +
			"first strategy asked for.",
		Example: lines(
			t.Name+" plan -f ./k8s",
			t.Name+" plan -f chart/ --values prod.yaml --current 14xm5.xlarge -o html > plan.html",
			t.Name+" plan --context prod --arch any --spot 60 --trace wave:3",
			t.Name+" plan -f - --strategy karpenter --fail-above 500/month",
		),
		Args: noArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			err := f.check(cmd)
			if control.NextStep(err) != "" {
				return err
			}
			return wrapUsage(cmd, err)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return t.runPlan(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.from.Paths, "filename", "f", nil, "manifests: a file, folder, kustomization or Helm chart as `PATH`, or - for stdin; repeatable")
	must(cmd.MarkFlagFilename("filename", "yaml", "yml", "json"))
	flags.StringVar(&f.from.Context, "context", "", "read the live cluster of this kubeconfig context, `NAME`")
	complete(cmd, "context", nil)
	addKubeconfig(cmd, &f.from.Kubeconfig, "read the cluster of the kubeconfig")
	flags.Var(&f.failAbove, "fail-above", "exit with code 2 when the baseline costs more, e.g. 500/month or 0.70/h")
	complete(cmd, "fail-above", nil)
	f.add(cmd)
	f.output = addOutput(cmd, formTable, formWide, formJSON, formMD, formHTML, formCSV)
	f.lang = &choice{value: planview.Langs()[0], allowed: planview.Langs()}
	flags.Var(f.lang, "lang", "language of -o html and -o md")
	complete(cmd, "lang", planview.Langs())
	cmd.AddCommand(t.planDiff())
	return cmd
}

// add registers what both verbs have.
func (f *planFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.from.Namespace, "namespace", "n", "", "read one namespace, `NAME` (default: all)")
	flags.StringVarP(&f.from.Selector, "selector", "l", "", "read only workloads whose labels match `SELECTOR`")
	flags.StringArrayVar(&f.from.ValueFiles, "values", nil, "values for Helm charts from `FILE`; repeatable")
	flags.StringArrayVar(&f.from.Values, "set", nil, "one value for Helm charts as `KEY=VALUE`; repeatable")
	flags.StringVar(&f.from.Current, "current", "", "the nodes of today: a file, or a `LIST` such as 3xm5.large,2xspot:c5.xlarge")
	ids := []string{"all"}
	for _, id := range compare.IDs() {
		ids = append(ids, string(id))
	}
	flags.StringSliceVar(&f.strategies, "strategy", nil, "`ID` of a strategy: "+strings.Join(ids, ", ")+"; repeatable (default: all)")
	f.prices.add(cmd)
	cmd.Flags().Lookup("region").Usage = "`REGION` that prices are for, unless the input names one"
	flags.StringSliceVar(&f.zones, "zones", nil, "`ZONES` in which nodes may be (default: those of the nodes, else the first three)")
	f.spot = 100
	flags.Var(&f.spot, "spot", "how much of each workload may run on spot capacity in the strategy tatami-spot")
	f.arch = &choice{allowed: []string{string(catalog.AMD64), string(catalog.ARM64), compare.AnyArch}}
	flags.Var(f.arch, "arch", "architecture of images that pods say nothing about (default: amd64, or any with NodePools)")
	presets := make([]string, 0, len(nodes.Policies()))
	for _, p := range nodes.Policies() {
		presets = append(presets, p.Name)
	}
	f.preset = &choice{value: presets[0], allowed: presets}
	flags.Var(f.preset, "preset", "how Tatami weighs money against risk")
	flags.StringVar(&f.trace, "trace", "", "simulate a load over time: a CSV `FILE`, or "+strings.Join(sim.Patterns(), ", ")+" with a peak such as wave:3")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of what is drawn, such as spot interruptions")
	flags.Var(&f.deadline, "deadline", "stop improving each of Tatami's answers after this time (default: until little is left to gain)")
	flags.BoolVar(&f.redact, "redact", false, "replace names of workloads and pools by numbers")
	for name, words := range map[string][]string{
		"strategy": ids, "arch": f.arch.allowed, "preset": presets, "spot": {"off", "on"}, "trace": sim.Patterns(),
		"namespace": nil, "selector": nil, "set": nil, "zones": nil, "seed": nil, "deadline": nil,
	} {
		complete(cmd, name, words)
	}
}

// check finds faults of the flags before anything is read.
func (f *planFlags) check(cmd *cobra.Command) error {
	f.from.Live = f.from.Context != "" || f.from.Kubeconfig != ""
	switch {
	case f.from.Live && len(f.from.Paths) > 0:
		return errors.New("-f and --context exclude each other: manifests or a cluster")
	case !f.from.Live && len(f.from.Paths) == 0:
		return &control.Problem{
			What: "there is nothing to plan", Why: errors.New("neither manifests nor a cluster are named"),
			Next: "name manifests with -f PATH, or a cluster with --context NAME",
		}
	}
	return f.checkShared(cmd)
}

// checkShared is the part that both verbs have.
func (f *planFlags) checkShared(cmd *cobra.Command) error {
	f.regionGiven = cmd.Flags().Changed("region")
	known := make([]string, 0, len(compare.IDs()))
	for _, id := range compare.IDs() {
		known = append(known, string(id))
	}
	for _, s := range f.strategies {
		if s != "all" && !slices.Contains(known, s) {
			return fmt.Errorf("--strategy: there is no %q, only all, %s", s, strings.Join(known, ", "))
		}
	}
	return nil
}

// ids are the strategies asked for; nil is all. Today's nodes are among them
// where they are known, as the others are compared with them.
func (f *planFlags) ids(today bool) []compare.ID {
	var out []compare.ID
	for _, id := range compare.IDs() {
		if id == compare.Current && today {
			out = append(out, id)
			continue
		}
		if id == compare.TatamiSpot && f.spot == 0 && !slices.Contains(f.strategies, string(id)) {
			continue
		}
		if len(f.strategies) == 0 || slices.Contains(f.strategies, "all") || slices.Contains(f.strategies, string(id)) {
			out = append(out, id)
		}
	}
	return out
}

// spotShare is a flag in percent, where off is 0 and on is 100.
type spotShare int

// String is the value as it is given.
func (s *spotShare) String() string {
	switch *s {
	case 0:
		return "off"
	case 100:
		return "on"
	}
	return strconv.Itoa(int(*s))
}

// Set refuses all but off, on, and a share.
func (s *spotShare) Set(text string) error {
	switch text {
	case "off":
		*s = 0
		return nil
	case "on":
		*s = 100
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil || n < 0 || n > 100 {
		return errors.New("it must be off, on, or a percentage from 0 to 100")
	}
	*s = spotShare(n)
	return nil
}

// Type is shown as the value in the help text.
func (s *spotShare) Type() string { return "off|on|PERCENT" }

// threshold is a flag for an amount per hour or month.
type threshold struct {
	text   string
	amount unit.NanoUSD
	hourly bool
}

// String is the value as it was given.
func (t *threshold) String() string { return t.text }

// Set refuses what is no amount. Without a period it is per month.
func (t *threshold) Set(text string) error {
	digits, period, _ := strings.Cut(strings.TrimPrefix(text, "$"), "/")
	amount, err := unit.ParseUSD(digits)
	switch {
	case err != nil || amount < 0:
		return errors.New("it must be an amount of dollars such as 500, 500/month or 0.70/h")
	case period == "h" || period == "hour":
		t.hourly = true
	case period != "" && period != "month" && period != "mo":
		return errors.New("it must be per h or per month")
	}
	t.text, t.amount = text, amount
	return nil
}

// Type is shown as the value in the help text.
func (t *threshold) Type() string { return "USD[/h|/month]" }

// shown is the amount as it was understood.
func (t *threshold) shown() string {
	if t.hourly {
		return "$" + t.amount.String() + " an hour"
	}
	return "$" + t.amount.Cents() + " a month"
}

// failure says why a plan does not pass the threshold, if one is set: the
// baseline costs more, or its price is not of all pods. It is empty otherwise.
func (t *threshold) failure(r *compare.Report) string {
	s := r.Find(r.BaselineID)
	if t.text == "" || s == nil {
		return ""
	}
	cost := s.MonthlyUSD
	if t.hourly {
		cost = s.HourlyUSD
	}
	pending := 0
	for _, p := range s.Pending {
		pending += p.Count
	}
	switch {
	case cost > t.amount:
		return fmt.Sprintf("%s costs $%s a month ($%s an hour), more than %s", s.Name, s.MonthlyUSD.Cents(), s.HourlyUSD, t.shown())
	case pending > 0:
		return fmt.Sprintf("pods without a place with %s: %d; what they would cost is not known, so %s may be exceeded", s.Name, pending, t.shown())
	}
	for _, n := range r.NotCovered {
		if n.LeftOut() {
			return fmt.Sprintf("%s is left out, as its %s cannot be; what it would cost is not known, so %s may be exceeded", n.Object, n.Field, t.shown())
		}
	}
	return ""
}
