package cli

import (
	"github.com/spf13/cobra"
)

func (t *tool) image() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "image",
		GroupID: groupImage,
		Short:   "Build images and load them into the cluster",
		Long: "Builds images from programs and loads them into the cluster, without a registry,\n" +
			"a daemon or the internet.",
		Example: lines(
			t.Name+" image build ./hello -t hello:dev",
			t.Name+" image load hello.tar",
		),
		Args: t.refuseUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.imageBuild(), t.imageLoad())
	return cmd
}
