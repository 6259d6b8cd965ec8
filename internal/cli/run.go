package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
)

// The exit codes of every verb.
const (
	ExitDone        = 0
	ExitError       = 1
	ExitDifference  = 2
	ExitPartial     = 3
	ExitInterrupted = 130
)

// tool is one run of the program.
type tool struct {
	Deps
	progress *progress
}

// exitCode ends a verb whose output already says what is wrong.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Run executes the command line and returns the exit code. When ctx ends, the
// verb stops and the code is 130.
func Run(ctx context.Context, d Deps, args []string) int {
	t := &tool{Deps: d, progress: newProgress(d.Streams.Err, d.Now)}
	root := t.root()
	// Not nil: the library would take the arguments of the process instead.
	root.SetArgs(append([]string{}, args...))
	return t.finish(ctx, root.ExecuteContext(ctx))
}

// Root is the command tree, for the generator of its documentation.
func Root(d Deps) *cobra.Command {
	return (&tool{Deps: d, progress: newProgress(d.Streams.Err, d.Now)}).root()
}

func (t *tool) root() *cobra.Command {
	first, rest, _ := strings.Cut(t.Name, " ")
	root := &cobra.Command{
		Use:   first,
		Short: "A container platform for Kubernetes in one program",
		Long: "Tatami is a container platform for Kubernetes in one program. On a machine of\n" +
			"its own it brings its own Kubernetes: `" + t.Name + " up` starts it.",
		Example:       "  " + t.Name + " up --shop\n  " + t.Name + " status\n  " + t.Name + " down",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          t.refuseUnknown,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	if rest != "" {
		root.Use = first + "-" + rest
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: t.Name}
	}
	root.AddGroup(
		&cobra.Group{ID: groupCluster, Title: "Cluster:"},
		&cobra.Group{ID: groupCapacity, Title: "Capacity:"},
		&cobra.Group{ID: groupImage, Title: "Images:"},
		&cobra.Group{ID: groupProgram, Title: "Program:"},
	)
	root.AddCommand(t.up(), t.down(), t.status(), t.check(), t.plan(), t.catalog(), t.image(), t.version(), t.completion())
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(t.Streams.In)
	root.SetOut(t.Streams.Out)
	root.SetErr(t.Streams.Err)
	root.SetUsageFunc(t.usage)
	root.SetFlagErrorFunc(usageError)
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		c.Hidden = c.Hidden || c.Name() == "help"
	}
	return root
}

// The groups of verbs in the help text.
const (
	groupCluster  = "cluster"
	groupCapacity = "capacity"
	groupImage    = "image"
	groupProgram  = "program"
)

// finish prints err for a person and chooses the exit code.
func (t *tool) finish(ctx context.Context, err error) int {
	var code exitCode
	switch {
	case err == nil:
		t.progress.Done()
		return ExitDone
	case errors.As(err, &code):
		t.progress.Done()
		return int(code)
	}
	step := t.progress.fail()
	if ctx.Err() != nil {
		t.printError(interrupted(err, step))
		return ExitInterrupted
	}
	if errors.Is(err, control.ErrNotRunning) && control.NextStep(err) == "" {
		err = &control.Problem{What: err.Error(), Next: "start one with `" + t.Name + " up`"}
	}
	t.printError(err)
	return ExitError
}

// interrupted says what was going on, and keeps the advice of the platform.
func interrupted(err error, step string) error {
	what := "interrupted"
	if step != "" {
		what += " at: " + step
	}
	next := control.NextStep(err)
	if next == "" {
		next = "run the same command again to go on"
	}
	return &control.Problem{What: what, Next: next}
}

// printError prints what and why on one line, and what to do next on another.
func (t *tool) printError(err error) {
	w := t.Streams.Err
	indent := func(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n       ") }
	fmt.Fprintf(w, "%s %s\n", w.paint(styleBad, "error:"), indent(err.Error()))
	if next := control.NextStep(err); next != "" {
		fmt.Fprintf(w, "%s  %s\n", w.paint(styleHead, "next:"), indent(next))
	}
}

// usageError points at the help of the command that was used wrongly.
func usageError(cmd *cobra.Command, err error) error {
	return &control.Problem{What: err.Error(), Next: "run '" + cmd.CommandPath() + " --help'"}
}

// refuseUnknown names verbs that are near to an unknown one.
func (t *tool) refuseUnknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	problem := &control.Problem{
		What: fmt.Sprintf("unknown command %q for '%s'", args[0], cmd.CommandPath()),
		Next: "run '" + cmd.CommandPath() + " --help'",
	}
	cmd.SuggestionsMinimumDistance = 2
	var near []string
	for _, s := range cmd.SuggestionsFor(args[0]) {
		near = append(near, "'"+cmd.CommandPath()+" "+s+"'")
	}
	if len(near) > 0 {
		problem.Next = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return problem
}

// onPlatform runs a verb that needs the embedded cluster, here or in the full
// program. Its flags have been checked by then.
func (t *tool) onPlatform(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if t.Platform != nil {
			return run(cmd, args)
		}
		code, err := t.Handover(cmd.Context())
		if err == nil && code != ExitDone {
			err = exitCode(code)
		}
		return err
	}
}

// noArgs refuses arguments of a verb that takes none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError(cmd, fmt.Errorf("'%s' takes no arguments, but got %q", cmd.CommandPath(), args[0]))
}

// usage prints the part of the help that follows the description.
func (t *tool) usage(cmd *cobra.Command) error {
	w := cmd.OutOrStdout()
	use := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		use = cmd.CommandPath() + " COMMAND"
		if strings.Contains(cmd.Use, " ") { // it does something without one, too
			use = cmd.UseLine() + "\n  " + use
		}
	}
	fmt.Fprintf(w, "Usage:\n  %s\n", use)
	for _, g := range cmd.Groups() {
		listCommands(w, cmd, g.Title, g.ID)
	}
	if len(cmd.Groups()) == 0 && cmd.HasAvailableSubCommands() {
		listCommands(w, cmd, "Commands:", "")
	}
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableLocalFlags() {
		width := t.Streams.Out.Width
		if width == 0 {
			width = 100
		}
		fmt.Fprintf(w, "\nFlags:\n%s", cmd.LocalFlags().FlagUsagesWrapped(max(width, 60)))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nRun '%s COMMAND --help' for the flags and examples of a command.\n", cmd.CommandPath())
	}
	return nil
}

// Verbs are the documented commands below cmd, in the order in which people
// come to need them; the library sorts them by name.
func Verbs(cmd *cobra.Command) []*cobra.Command {
	order := []string{"up", "down", "status", "check", "plan", "diff", "catalog", "prices", "regions", "image", "build", "load", "version", "completion"}
	verbs := slices.DeleteFunc(slices.Clone(cmd.Commands()), func(c *cobra.Command) bool { return !c.IsAvailableCommand() })
	slices.SortStableFunc(verbs, func(a, b *cobra.Command) int {
		return slices.Index(order, a.Name()) - slices.Index(order, b.Name())
	})
	return verbs
}

func listCommands(w io.Writer, cmd *cobra.Command, title, group string) {
	fmt.Fprintf(w, "\n%s\n", title)
	for _, c := range Verbs(cmd) {
		if c.GroupID == group {
			fmt.Fprintf(w, "  %-12s %s\n", c.Name(), c.Short)
		}
	}
}
