package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
)

// buildFlags are the flags of `image build`.
type buildFlags struct {
	cluster clusterFlags
	ref     control.Ref
	spec    control.ImageSpec
	labels  []string
	output  string
	load    bool
}

func (t *tool) imageBuild() *cobra.Command {
	f := &buildFlags{}
	cmd := &cobra.Command{
		Use:   "build PROGRAM|FOLDER -t NAME [flags] [-- ARGUMENT...]",
		Short: "Build an image from a static program",
		Long: "Builds an image from a static program for Linux, or from a folder that becomes the\n" +
			"root of the image, and loads it into the cluster; with --output it writes a tar\n" +
			"file instead, and needs no cluster. The same input always gives the same digest.\n\n" +
			"What follows -- are the default arguments of the program. NAME is completed as\n" +
			"Kubernetes does it: hello means docker.io/library/hello:latest. As nothing can be\n" +
			"pulled under a name that only this cluster knows, pods need a tag other than\n" +
			"latest, or imagePullPolicy: IfNotPresent.",
		Example: lines(
			"CGO_ENABLED=0 go build -o hello . && "+t.Name+" image build hello -t hello:dev",
			t.Name+" image build ./root -t hello:dev --entrypoint /hello --env PORT=8080",
			t.Name+" image build hello -t hello:dev --output hello.tar -- --verbose",
		),
		PreRunE: func(cmd *cobra.Command, args []string) error { return wrapUsage(cmd, f.resolve(cmd, args)) },
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !f.load {
			return t.runBuild(cmd.Context(), f)
		}
		return t.onPlatform(func(cmd *cobra.Command, _ []string) error { return t.runBuild(cmd.Context(), f) })(cmd, args)
	}
	f.add(cmd)
	return cmd
}

func (f *buildFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.spec.Name, "tag", "t", "", "call the image `NAME`, e.g. hello:dev (required)")
	flags.StringArrayVar(&f.spec.Entrypoint, "entrypoint", nil,
		"run `PATH` of the image; repeat the flag for fixed arguments (default: the only program)")
	flags.StringArrayVar(&f.spec.Env, "env", nil, "set `KEY=VALUE` in the environment; repeatable")
	flags.StringArrayVar(&f.labels, "label", nil, "add `KEY=VALUE` as a label; repeatable")
	flags.StringVar(&f.spec.User, "user", "", "run as `UID[:GID]` (default 65532:65532)")
	flags.StringVar(&f.spec.Platform, "platform", "", "refuse a program that is not for `OS/ARCH` (default: take any)")
	flags.StringVar(&f.output, "output", "", "write a tar to `FILE` (- is stdout) instead of loading")
	flags.BoolVar(&f.load, "load", false, "load into the cluster; needed only beside --output")
	f.cluster.add(cmd)
	for _, flag := range []string{"tag", "entrypoint", "env", "label", "user"} {
		complete(cmd, flag, nil)
	}
	complete(cmd, "platform", []string{"linux/amd64", "linux/arm64"})
}

var (
	userForm     = regexp.MustCompile(`^[0-9]{1,10}(:[0-9]{1,10})?$`)
	platformForm = regexp.MustCompile(`^linux/[a-z0-9]+(/v[0-9]+)?$`)
)

// resolve refuses wrong values before anything is built.
func (f *buildFlags) resolve(cmd *cobra.Command, args []string) error {
	sources := args
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		sources, f.spec.Args = args[:dash], args[dash:]
	}
	switch {
	case len(sources) == 0:
		return errors.New("a program or a folder to build from is missing")
	case len(sources) > 1:
		return fmt.Errorf("one program or folder is expected, but got %q as well; arguments for the program follow --", sources[1])
	}
	f.spec.Source = sources[0]
	f.load = f.load || f.output == ""
	if err := f.resolveSpec(); err != nil {
		return err
	}
	if err := writableFile(f.output); err != nil {
		return err
	}
	var err error
	f.ref, err = f.cluster.ref()
	return err
}

// resolveSpec checks what goes into the image.
func (f *buildFlags) resolveSpec() error {
	switch {
	case f.spec.Name == "":
		return errors.New("the image needs a name: -t NAME")
	case f.spec.User != "" && !userForm.MatchString(f.spec.User):
		return fmt.Errorf("--user %s: it must be a number, or two such as 1000:1000; the image has no names of users", f.spec.User)
	case f.spec.Platform != "" && !platformForm.MatchString(f.spec.Platform):
		return fmt.Errorf("--platform %s: it must be such as linux/amd64 or linux/arm64", f.spec.Platform)
	}
	if _, err := pairs("--env", f.spec.Env); err != nil {
		return err
	}
	var err error
	f.spec.Labels, err = pairs("--label", f.labels)
	return err
}

// pairs splits KEY=VALUE.
func pairs(flag string, all []string) (map[string]string, error) {
	split := map[string]string{}
	for _, pair := range all {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%s %s: it must be KEY=VALUE", flag, pair)
		}
		split[key] = value
	}
	return split, nil
}

func writableFile(output string) error {
	if output == "" || output == "-" {
		return nil
	}
	if info, err := os.Stat(output); err == nil && info.IsDir() {
		return fmt.Errorf("--output %s: it is a folder", output)
	}
	if info, err := os.Stat(filepath.Dir(output)); err != nil || !info.IsDir() {
		return fmt.Errorf("--output %s: there is no folder %s", output, filepath.Dir(output))
	}
	return nil
}

func (t *tool) runBuild(ctx context.Context, f *buildFlags) error {
	if f.output == "-" && t.Streams.Out.terminal() {
		return &control.Problem{
			What: "an image archive is not for a terminal",
			Next: "write it to a file, or pipe it into another program",
		}
	}
	t.progress.Step("build the image")
	file, err := os.CreateTemp(f.tempDir(t.TempDir), ".tatami-image-*.tar")
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	// Once it is renamed to --output there is nothing left to remove.
	defer os.Remove(file.Name())
	image, err := t.Images.Build(ctx, f.spec, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if f.load {
		t.progress.Step("load the image")
		if _, err := t.Platform.LoadImages(ctx, f.ref, []string{file.Name()}); err != nil {
			return fmt.Errorf("load the image: %w", err)
		}
	}
	if err := t.keepArchive(f.output, file.Name()); err != nil {
		return err
	}
	t.progress.Done()
	t.printBuilt(f, image)
	return nil
}

// tempDir is beside the archive that is asked for, so that a rename puts it in
// place at once.
func (f *buildFlags) tempDir(fallback string) string {
	if f.output == "" || f.output == "-" {
		return fallback
	}
	return filepath.Dir(f.output)
}

func (t *tool) keepArchive(output, temp string) error {
	switch output {
	case "":
		return nil
	case "-":
		return copyTo(t.Streams.Out, temp)
	}
	if err := errors.Join(os.Chmod(temp, 0o644), os.Rename(temp, output)); err != nil { //nolint:gosec // An archive is as public as the program in it.
		return fmt.Errorf("write %s: %w", output, err)
	}
	return nil
}

func (t *tool) printBuilt(f *buildFlags, image control.Image) {
	c := t.Streams.Out
	if f.output == "-" {
		c = t.Streams.Err
	}
	rows := []row{
		{"image", []string{image.Name}},
		{"digest", []string{image.Digest}},
		{"platform", []string{image.Platform}},
		{"size", []string{size(image.SizeBytes)}},
	}
	if f.output != "" && f.output != "-" {
		rows = append(rows, row{"archive", []string{f.output}})
	}
	if f.load {
		rows = append(rows, row{"loaded", []string{"into cluster " + f.ref.Name}})
	}
	printRows(c, slices.DeleteFunc(rows, func(r row) bool { return r.lines[0] == "" }))
	if strings.HasSuffix(image.Name, ":latest") {
		t.progress.Note("Kubernetes pulls images tagged latest anew each time, which fails here: set imagePullPolicy: IfNotPresent, or use another tag")
	}
}
