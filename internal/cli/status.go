package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
)

func (t *tool) status() *cobra.Command {
	var cluster clusterFlags
	var ref control.Ref
	var output *choice
	cmd := &cobra.Command{
		Use:     "status [flags]",
		GroupID: groupCluster,
		Short:   "Show what runs, and where",
		Long: "Shows the cluster, its nodes, pods, addresses and memory.\n\n" +
			"The exit code is 1 when it is not running; -o json prints the status even then.",
		Example: lines(t.Name+" status", t.Name+" status -o json", t.Name+" status --name test"),
		Args:    noArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			ref, err = cluster.ref()
			return wrapUsage(cmd, err)
		},
	}
	cmd.RunE = t.onPlatform(func(cmd *cobra.Command, _ []string) error {
		s, err := t.Platform.Status(cmd.Context(), ref)
		if err != nil && !errors.Is(err, control.ErrNotRunning) {
			return err
		}
		if output.value == formJSON {
			err = printStatusJSON(t.Streams.Out, s)
		} else {
			t.printStatus(ref, s)
			err = nil
		}
		if err == nil && s.State != control.StateRunning {
			err = exitCode(ExitError)
		}
		return err
	})
	cluster.add(cmd)
	output = addOutput(cmd, formTable, formJSON)
	return cmd
}

func (t *tool) printStatus(ref control.Ref, s control.Status) {
	c := t.Streams.Out
	title := func(state string) string { return c.paint(styleHead, fmt.Sprintf("Cluster %s %s.", s.Name, state)) }
	switch {
	case s.State == control.StateStopped:
		fmt.Fprintln(c, title("is not running"))
		var rows []row
		if s.Reason != "" {
			rows = append(rows, row{"reason", []string{s.Reason}})
		}
		if s.DataDir != "" {
			rows = append(rows, row{"data", []string{s.DataDir}})
		}
		if len(rows) > 0 {
			fmt.Fprintf(c, "\n")
			printRows(c, rows)
		}
		fmt.Fprintf(c, "\n")
		printCommands(c, []row{{t.on(ref, "up"), []string{"start it"}}})
		return
	case s.State == control.StateStarting:
		fmt.Fprintf(c, "%s\n\n", title("is starting"))
	case !s.Ready:
		fmt.Fprintf(c, "%s\n\n", title("runs Kubernetes "+s.Kubernetes.Version+", and is not ready"))
	default:
		fmt.Fprintf(c, "%s\n\n", title("runs Kubernetes "+s.Kubernetes.Version))
	}
	printRows(c, statusRows(c, s))
	if s.State == control.StateRunning && !s.Ready {
		fmt.Fprintf(c, "\n")
		printCommands(c, []row{{t.on(ref, "check"), []string{"find out why"}}})
	}
}
