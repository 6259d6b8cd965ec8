package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (t *tool) completion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:     "completion " + strings.Join(shells, "|"),
		GroupID: groupProgram,
		Short:   "Print the completion script for a shell",
		Long: "Prints a script that completes commands and flags in a shell. Load it when the\n" +
			"shell starts, as the examples show.\n\n" +
			"For `kubectl tatami`, put an executable kubectl_complete-tatami on PATH that runs\n" +
			"`kubectl-tatami __complete \"$@\"`.",
		Example: lines(
			"echo 'source <("+t.Name+" completion bash)' >> ~/.bashrc",
			"echo 'source <("+t.Name+" completion zsh)' >> ~/.zshrc",
			t.Name+" completion fish > ~/.config/fish/completions/tatami.fish",
			t.Name+" completion powershell >> $PROFILE",
		),
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usageError(cmd, fmt.Errorf("name one shell: %s", strings.Join(shells, ", ")))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), t.Streams.Out
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			}
			return root.GenPowerShellCompletionWithDesc(out)
		},
	}
}
