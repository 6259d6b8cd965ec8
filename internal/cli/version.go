package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
)

// The two programs that share this command line.
const (
	ProgramSmall = "small"
	ProgramFull  = "full"
)

// Version is what `version -o json` prints. The JSON keys are a contract: the
// small program finds the full one by them.
type Version struct {
	Program    string             `json:"program"`
	Version    string             `json:"version"`
	Commit     string             `json:"commit"`
	GoVersion  string             `json:"goVersion"`
	Platform   string             `json:"platform"`
	Kubernetes control.Kubernetes `json:"kubernetes"`
}

func (t *tool) version() *cobra.Command {
	var output *choice
	cmd := &cobra.Command{
		Use:     "version [flags]",
		GroupID: groupProgram,
		Short:   "Show the version of this program and of its Kubernetes",
		Long: "Shows the version of this program and of the Kubernetes in it. The small program\n" +
			"has none, and hands the verbs that need it over to the full one.",
		Example: lines(t.Name+" version", t.Name+" version -o json"),
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := t.versionNow()
			if output.value == formJSON {
				return printJSON(t.Streams.Out, v)
			}
			kubernetes := v.Kubernetes.Version
			if kubernetes == "" {
				kubernetes = "none in the small program; the full one brings it"
			}
			fmt.Fprintf(t.Streams.Out, "Tatami %s\n\n", v.Version)
			printRows(t.Streams.Out, []row{
				{"program", []string{v.Program}},
				{"commit", []string{v.Commit}},
				{"go", []string{v.GoVersion + " " + v.Platform}},
				{"kubernetes", []string{kubernetes}},
			})
			return nil
		},
	}
	output = addOutput(cmd, formTable, formJSON)
	return cmd
}

func (t *tool) versionNow() Version {
	v := Version{
		Program: ProgramFull, Version: t.Info.Version, Commit: t.Info.Commit,
		GoVersion: t.Info.GoVersion, Platform: t.Info.HostPlatform,
		Kubernetes: control.Kubernetes{Version: t.Info.Kubernetes},
	}
	if t.Platform == nil {
		v.Program = ProgramSmall
	}
	return v
}
