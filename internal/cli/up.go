package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
)

// defaultUpTimeout leaves a slow machine time to import images.
const defaultUpTimeout = 5 * time.Minute

// upFlags are the flags of `up` as given.
type upFlags struct {
	cluster clusterFlags
	port    port
	node    choice
	timeout positive
	output  *choice
	req     control.UpRequest
}

func (t *tool) up() *cobra.Command {
	f := &upFlags{}
	cmd := &cobra.Command{
		Use:     "up [flags]",
		GroupID: groupCluster,
		Short:   "Start Kubernetes on this machine",
		Long: "Starts Kubernetes on this machine, or finds it running, and returns when it is\n" +
			"ready. kubectl gets a context for it. Run again, it does only what is left to do.\n" +
			"The data stays when the cluster stops.\n\n" +
			"Where the machine can run containers (Linux, root, containerd), it becomes a node\n" +
			"itself; elsewhere the cluster runs without a real node, and says why.",
		Example: lines(
			t.Name+" up",
			t.Name+" up --shop",
			t.Name+" up -f ./manifests --timeout 2m",
			t.Name+" up --name test --ephemeral --node none",
		),
		Args:    noArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return wrapUsage(cmd, f.resolve()) },
	}
	cmd.RunE = t.onPlatform(func(cmd *cobra.Command, _ []string) error { return t.runUp(cmd, f) })
	f.add(cmd)
	return cmd
}

func (f *upFlags) add(cmd *cobra.Command) {
	f.node = choice{value: string(control.NodeAuto), allowed: []string{
		string(control.NodeAuto), string(control.NodeReal), string(control.NodeNone),
	}}
	f.timeout = positive(defaultUpTimeout)
	f.cluster.add(cmd)
	flags := cmd.Flags()
	flags.Var(&f.port, "port", "port of the API server on loopback (default: the one used before, else 6443, else a free one)")
	flags.Var(&f.node, "node", "make this machine a node: auto if it can be one, real or fail, none never")
	flags.BoolVar(&f.req.Ephemeral, "ephemeral", false, "keep the data only until the cluster is stopped")
	flags.BoolVar(&f.req.Foreground, "foreground", false, "stay attached; the cluster stops with this process")
	flags.BoolVar(&f.req.Durable, "durable", false,
		"flush every write to disk: safe against power loss too, at a third of the speed")
	flags.BoolVar(&f.req.Shop, "shop", false, "deploy the sample shop with load, and wait until orders flow")
	flags.StringArrayVarP(&f.req.Manifests, "filename", "f", nil,
		"apply `FILE`, a folder or a kustomization once the cluster is ready; repeatable")
	addKubeconfig(cmd, &f.req.Kubeconfig, "write kubectl's context to")
	flags.Var(&f.timeout, "timeout", "how long to wait until the cluster is ready")
	f.output = addOutput(cmd, formTable, formJSON)
	complete(cmd, "port", nil)
	complete(cmd, "node", f.node.allowed)
	complete(cmd, "timeout", nil)
}

// resolve refuses wrong values before anything starts.
func (f *upFlags) resolve() error {
	var err error
	if f.req.Cluster, err = f.cluster.ref(); err != nil {
		return err
	}
	if f.req.Kubeconfig, err = kubeconfigPath(f.req.Kubeconfig); err != nil {
		return err
	}
	for i, path := range f.req.Manifests {
		if f.req.Manifests[i], err = manifestPath(path); err != nil {
			return err
		}
	}
	f.req.Port = int(f.port)
	f.req.Node = control.NodeMode(f.node.value)
	f.req.Timeout = time.Duration(f.timeout)
	return nil
}

func manifestPath(path string) (string, error) {
	if strings.Contains(path, "://") {
		return "", fmt.Errorf("-f %s: it is a URL; download it and give the file", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("-f %s: %w", path, err)
	}
	_, err = os.Stat(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("-f %s: there is no such file or folder", path)
	}
	if err != nil {
		return "", fmt.Errorf("-f %s: %w", path, err)
	}
	return abs, nil
}

func (t *tool) runUp(cmd *cobra.Command, f *upFlags) error {
	// What could not be printed is reported when the cluster has stopped.
	var shown error
	if f.req.Foreground {
		f.req.OnReady = func(s control.Status) { shown = t.showUp(f, s) }
	}
	status, err := t.Platform.Up(cmd.Context(), f.req, t.progress)
	if err != nil {
		return err
	}
	if f.req.Foreground {
		return shown
	}
	return t.showUp(f, status)
}

func (t *tool) showUp(f *upFlags, s control.Status) error {
	t.progress.Done()
	if f.output.value == formJSON {
		return printStatusJSON(t.Streams.Out, s)
	}
	if t.Streams.Err.terminal() {
		// Sets the summary apart from the steps above it.
		fmt.Fprintln(t.Streams.Err)
	}
	t.printUp(f.req, s)
	return nil
}

// printUp is the first thing that a new user reads: what runs, where, and what
// to try next.
func (t *tool) printUp(req control.UpRequest, s control.Status) {
	c := t.Streams.Out
	head := fmt.Sprintf("Cluster %s is up: Kubernetes %s.", s.Name, s.Kubernetes.Version)
	fmt.Fprintf(c, "%s\n\n", c.paint(styleHead, head))
	printRows(c, statusRows(c, s))
	kubectl := "kubectl --context " + s.Context
	if req.Kubeconfig != "" {
		kubectl = "kubectl --kubeconfig " + quote(s.Kubeconfig) + " --context " + s.Context
	}
	next := []row{{kubectl + " get pods -A", []string{"see what runs"}}}
	switch url := s.URLs[urlShop]; {
	case s.Shop != nil:
		if url != "" {
			next = append(next, row{"curl " + url, []string{"ask the shop"}})
		}
		next = append(next, row{kubectl + " -n shop logs deploy/worker -f", []string{"follow its orders"}})
	case len(req.Manifests) == 0:
		next = append(next, row{t.on(req.Cluster, "up --shop"), []string{"add a sample shop under load"}})
	}
	next = append(next,
		row{t.on(req.Cluster, "status"), []string{"show this again"}},
		row{t.on(req.Cluster, "check"), []string{"see that all is well"}},
		row{t.on(req.Cluster, "down"), []string{stopText(req)}},
	)
	fmt.Fprintf(c, "\n%s\n", c.paint(styleHead, "Try next:"))
	printCommands(c, next)
}

func stopText(req control.UpRequest) string {
	if req.Ephemeral {
		return "stop, and remove the data"
	}
	return "stop; the data stays"
}

// printCommands puts what a command does beside it, or above it where the
// terminal is too narrow.
func printCommands(c Console, commands []row) {
	widest := 0
	for _, r := range commands {
		widest = max(widest, len(r.label))
	}
	for _, r := range commands {
		what := c.paint(styleFade, "# "+strings.Join(r.lines, " "))
		if c.terminal() && widest+36 > c.Width {
			fmt.Fprintf(c, "  %s\n  %s\n", what, r.label)
			continue
		}
		fmt.Fprintf(c, "  %-*s  %s\n", widest, r.label, what)
	}
}

// on is a command line of this program for the same cluster.
func (t *tool) on(ref control.Ref, verb string) string {
	text := t.Name + " " + verb
	if ref.Name != defaultName {
		text += " --name " + ref.Name
	}
	if ref.DataDir != "" {
		text += " --data-dir " + quote(ref.DataDir)
	}
	return text
}

// quote makes a path one word for a shell.
func quote(path string) string {
	if strings.ContainsAny(path, " \t\n'\"\\$&|;<>()*?[]#~`!{}") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

// lines indents examples.
func lines(examples ...string) string { return "  " + strings.Join(examples, "\n  ") }

// wrapUsage turns an error about flags into one that points at the help.
func wrapUsage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return usageError(cmd, err)
}
