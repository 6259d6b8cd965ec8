package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
)

// checkInterval is the pause between two tries of a check that --wait allows.
const checkInterval = time.Second

// checkFlags are the flags of `check`.
type checkFlags struct {
	cluster clusterFlags
	ref     control.Ref
	output  *choice
	wait    time.Duration
	pre     bool
}

func (t *tool) check() *cobra.Command {
	f := &checkFlags{}
	cmd := &cobra.Command{
		Use:     "check [flags]",
		GroupID: groupCluster,
		Short:   "Check this machine and the cluster for problems",
		Long: "Checks this machine and the cluster, one statement after the other, and says what\n" +
			"to do about each that does not hold: √ holds, ‼ is a warning, × is a failure.\n\n" +
			"The exit code is 1 when a check failed; warnings don't count.",
		Example: lines(
			t.Name+" check --pre",
			t.Name+" check --wait 2m",
			t.Name+" check -o short",
		),
		Args: noArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if f.wait < 0 {
				return usageError(cmd, fmt.Errorf("--wait: %s is negative", f.wait))
			}
			var err error
			f.ref, err = f.cluster.ref()
			return wrapUsage(cmd, err)
		},
	}
	cmd.RunE = t.onPlatform(func(cmd *cobra.Command, _ []string) error { return t.runCheck(cmd.Context(), f) })
	f.cluster.add(cmd)
	cmd.Flags().BoolVar(&f.pre, "pre", false, "check only whether this machine can run a cluster")
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "try again what does not hold, for `DURATION` over all checks")
	complete(cmd, "wait", nil)
	f.output = addOutput(cmd, formTable, formShort, formJSON)
	return cmd
}

func (t *tool) runCheck(ctx context.Context, f *checkFlags) error {
	scope := control.ScopeAll
	if f.pre {
		scope = control.ScopePre
	}
	checks := t.Platform.Checks(f.ref, scope)
	for i := range checks {
		checks[i].Run = t.watched(checks[i])
	}
	view := &checkView{out: t.Streams.Out, short: f.output.value == formShort}
	var seen func(control.Result)
	if f.output.value != formJSON {
		seen = func(r control.Result) { t.progress.above(func() { view.result(r) }) }
	}
	report := control.RunChecks(ctx, checks, f.wait, checkInterval, seen)
	if err := ctx.Err(); err != nil {
		return err
	}
	t.progress.drop()
	if f.output.value == formJSON {
		if err := printJSON(t.Streams.Out, report); err != nil {
			return err
		}
	} else {
		view.summary(report)
	}
	if !report.Healthy {
		return exitCode(ExitError)
	}
	return nil
}

// watched shows on a terminal which check runs, and why it is tried again. No
// other stream gets a word: the results are the output.
func (t *tool) watched(c control.Check) func(context.Context) (string, error) {
	if !t.Streams.Err.terminal() {
		return c.Run
	}
	began := false
	return func(ctx context.Context) (string, error) {
		if !began {
			t.progress.drop()
			t.progress.Step(c.Name)
			began = true
		}
		text, err := c.Run(ctx)
		if err != nil {
			t.progress.Detail("waiting: " + err.Error())
		}
		return text, err
	}
}

// checkView prints results as they come.
type checkView struct {
	out     Console
	short   bool
	section string
	any     bool
}

func (v *checkView) result(r control.Result) {
	if v.short && r.Outcome != control.Failed && r.Outcome != control.Warned {
		return
	}
	c := v.out
	if r.Section != v.section {
		if v.any {
			fmt.Fprintln(c)
		}
		fmt.Fprintf(c, "%s\n%s\n", c.paint(styleHead, r.Section), strings.Repeat("-", len([]rune(r.Section))))
		v.section = r.Section
	}
	v.any = true
	mark, style := outcomeMark(r.Outcome)
	line := c.paint(style, mark) + " " + r.Name
	switch {
	case r.Outcome == control.Skipped:
		line += c.paint(styleFade, " (skipped)")
	case r.Text != "":
		line += c.paint(styleFade, " ("+r.Text+")")
	}
	fmt.Fprintln(c, line)
	if r.Error != "" {
		fmt.Fprintf(c, "    %s\n", indentMore(r.Error))
	}
	if r.Hint != "" {
		fmt.Fprintf(c, "    %s %s\n", c.paint(styleHead, "next:"), indentMore(r.Hint))
	}
}

func indentMore(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}

func outcomeMark(o control.Outcome) (mark, style string) {
	switch o {
	case control.Passed:
		return markGood, styleGood
	case control.Warned:
		return markWarn, styleWarn
	case control.Failed:
		return markBad, styleBad
	case control.Skipped:
		return markSkip, styleFade
	}
	return "?", styleFade
}

// summary is one line that says it all.
func (v *checkView) summary(report control.Report) {
	count := map[control.Outcome]int{}
	for _, r := range report.Results {
		count[r.Outcome]++
	}
	parts := []string{fmt.Sprintf("%d passed", count[control.Passed])}
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			parts = append(parts, "1 "+one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(count[control.Warned], "warning", "warnings")
	add(count[control.Failed], "failed", "failed")
	add(count[control.Skipped], "skipped", "skipped")
	mark, style := outcomeMark(control.Passed)
	if !report.Healthy {
		mark, style = outcomeMark(control.Failed)
	}
	if v.any {
		fmt.Fprintln(v.out)
	}
	fmt.Fprintf(v.out, "%s %s\n", v.out.paint(style, mark), strings.Join(parts, ", "))
}
