package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/cli/planview"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/nodes/compare"
)

func (t *tool) planDiff() *cobra.Command {
	f := &planFlags{}
	detailed := false
	cmd := &cobra.Command{
		Use:   "diff A B [flags]",
		Short: "Compare two plans",
		Long: "Compares two plans, strategy by strategy. A and B are reports that\n" +
			"`" + t.Name + " plan -o json` has written, or manifests, which are planned first\n" +
			"with the flags given here.\n\n" +
			"With --detailed-exitcode the exit code is 2 when they differ.",
		Example: lines(
			t.Name+" plan diff before.json after.json",
			t.Name+" plan diff main/k8s branch/k8s -o md --detailed-exitcode",
		),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return usageError(cmd, fmt.Errorf("'%s' takes two reports or manifests, but got %d", cmd.CommandPath(), len(args)))
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error { return wrapUsage(cmd, f.checkShared(cmd)) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.runPlanDiff(cmd.Context(), f, args, detailed)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with code 2 when the plans differ")
	f.output = addOutput(cmd, formTable, formMD, formJSON)
	return cmd
}

func (t *tool) runPlanDiff(ctx context.Context, f *planFlags, args []string, detailed bool) error {
	var sides [2]compare.Report
	var have [2]bool
	for i, path := range args {
		var err error
		if sides[i], have[i], err = readReport(path); err != nil {
			return err
		}
	}
	partial := false
	for i, path := range args {
		if !have[i] {
			var err error
			if sides[i], err = t.side(ctx, f, path); err != nil {
				return err
			}
		}
		partial = partial || len(sides[i].Errors) > 0
	}
	t.progress.drop()
	d := compare.Difference(sides[0], sides[1])
	if err := t.printDiff(f, &d); err != nil {
		return err
	}
	switch {
	case detailed && d.Different:
		return exitCode(ExitDifference)
	case partial:
		return exitCode(ExitPartial)
	}
	return nil
}

func (t *tool) printDiff(f *planFlags, d *compare.Diff) error {
	c := t.Streams.Out
	switch f.output.value {
	case formJSON:
		return printJSON(c, d)
	case formMD:
		return buffered(c, func(w io.Writer) { planview.DiffMarkdown(w, d) })
	}
	return buffered(c, func(w io.Writer) {
		planview.DiffTable(planview.Screen{Writer: w, Width: c.Width, Color: c.Color}, d)
	})
}

// side makes a report of manifests.
func (t *tool) side(ctx context.Context, f *planFlags, path string) (compare.Report, error) {
	return t.report(ctx, f, control.Sources{
		Paths: []string{path}, ValueFiles: f.from.ValueFiles, Values: f.from.Values, Namespace: f.from.Namespace,
		Selector: f.from.Selector, Current: f.from.Current,
	})
}

// maxReport bounds what is read into memory.
const maxReport = 256 << 20

// readReport reads a file that a plan has written; ok is false when it is
// something else.
func readReport(path string) (r compare.Report, ok bool, err error) {
	if path == "-" {
		return r, false, &control.Problem{
			What: "`plan diff` cannot read stdin", Why: errors.New("it takes the names of two files or folders"),
			Next: "write the report to a file first, and name that",
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return r, false, &control.Problem{What: "there is no " + path, Next: "name a report written by `plan -o json`, or manifests"}
	}
	if info.IsDir() {
		return r, false, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return r, false, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxReport))
	if err != nil {
		return r, false, err
	}
	var head struct{ APIVersion, Kind string }
	if json.Unmarshal(content, &head) != nil || head.Kind != compare.Kind {
		return r, false, nil
	}
	if head.APIVersion != compare.APIVersion {
		return r, false, &control.Problem{
			What: path + " is a report of another version", Why: errors.New(head.APIVersion),
			Next: "make it again with this program",
		}
	}
	if err := json.NewDecoder(bytes.NewReader(content)).Decode(&r); err != nil {
		return r, false, &control.Problem{What: path + " is a damaged report", Why: err, Next: "make it again with `plan -o json`"}
	}
	return r, true, nil
}

// buffered writes what print prints in one go, so that a failing stream is an
// error.
func buffered(w io.Writer, print func(io.Writer)) error {
	var b bytes.Buffer
	print(&b)
	_, err := w.Write(b.Bytes())
	return err
}
