package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
)

func (t *tool) down() *cobra.Command {
	var cluster clusterFlags
	var req control.DownRequest
	cmd := &cobra.Command{
		Use:     "down [flags]",
		GroupID: groupCluster,
		Short:   "Stop Kubernetes on this machine",
		Long: "Stops the cluster and removes what it set up on this machine: processes, mounts,\n" +
			"networks, and kubectl's context. The data stays unless --purge is given.",
		Example: lines(t.Name+" down", t.Name+" down --purge", t.Name+" down --name test"),
		Args:    noArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if req.Cluster, err = cluster.ref(); err != nil {
				return usageError(cmd, err)
			}
			req.Kubeconfig, err = kubeconfigPath(req.Kubeconfig)
			return wrapUsage(cmd, err)
		},
	}
	cmd.RunE = t.onPlatform(func(cmd *cobra.Command, _ []string) error { return t.runDown(cmd.Context(), req) })
	cluster.add(cmd)
	cmd.Flags().BoolVar(&req.Purge, "purge", false, "remove the cluster's data as well")
	addKubeconfig(cmd, &req.Kubeconfig, "remove kubectl's context from")
	return cmd
}

func (t *tool) runDown(ctx context.Context, req control.DownRequest) error {
	err := t.Platform.Down(ctx, req, t.progress)
	idle := errors.Is(err, control.ErrNotRunning)
	if err != nil && !idle {
		return err
	}
	t.progress.Done()
	left, err := t.Platform.Status(ctx, req.Cluster)
	if err != nil && !errors.Is(err, control.ErrNotRunning) {
		// It is down; that nobody can say where its data lies changes nothing.
		left = control.Status{}
	}
	c := t.Streams.Out
	if idle {
		fmt.Fprintf(c, "Cluster %s was not running.\n", req.Cluster.Name)
	} else {
		fmt.Fprintf(c, "Cluster %s is down.\n", req.Cluster.Name)
	}
	switch {
	case left.DataDir != "" && !req.Purge:
		fmt.Fprintf(c, "Its data stays in %s.\n\n", left.DataDir)
		printCommands(c, []row{
			{t.on(req.Cluster, "up"), []string{"start it again"}},
			{t.on(req.Cluster, "down --purge"), []string{"remove its data"}},
		})
	case req.Purge:
		fmt.Fprintln(c, "Its data is removed.")
	}
	return nil
}
