package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
)

func (t *tool) imageLoad() *cobra.Command {
	var cluster clusterFlags
	var ref control.Ref
	cmd := &cobra.Command{
		Use:   "load FILE... [flags]",
		Short: "Load image archives into the cluster",
		Long: "Loads the images in tar files, as written by `docker save`, `podman save` or\n" +
			"`" + t.Name + " image build --output`, into the cluster, and prints their names. The\n" +
			"files are checked first and may be compressed with gzip; - reads from stdin.",
		Example: lines(
			t.Name+" image load hello.tar",
			"docker save hello:dev | "+t.Name+" image load -",
		),
		PreRunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(cmd, errors.New("an image archive to load is missing"))
			}
			for _, path := range args {
				if err := readableFile(path); err != nil {
					return usageError(cmd, err)
				}
			}
			var err error
			ref, err = cluster.ref()
			return wrapUsage(cmd, err)
		},
	}
	cmd.RunE = t.onPlatform(func(cmd *cobra.Command, args []string) error { return t.runLoad(cmd.Context(), ref, args) })
	cluster.add(cmd)
	return cmd
}

func readableFile(path string) error {
	if path == "-" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no such file", path)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder, not an image archive", path)
	}
	return nil
}

// runLoad checks all archives before it loads any.
func (t *tool) runLoad(ctx context.Context, ref control.Ref, paths []string) error {
	dir, err := os.MkdirTemp(t.TempDir, "tatami-load-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	ready := make([]string, len(paths))
	for i, path := range paths {
		t.progress.Step("check " + path)
		if ready[i], err = t.checkedArchive(ctx, path, dir); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	t.progress.Step("load the images")
	names, err := t.Platform.LoadImages(ctx, ref, ready)
	if err != nil {
		return fmt.Errorf("load the images: %w", err)
	}
	t.progress.Done()
	for _, n := range names {
		fmt.Fprintln(t.Streams.Out, n)
	}
	return nil
}

// checkedArchive returns a file with the plain archive: path itself, or a copy
// of what came compressed or from stdin.
func (t *tool) checkedArchive(ctx context.Context, path, dir string) (string, error) {
	from := t.Streams.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		from = f
	}
	in := bufio.NewReader(from)
	head, err := in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if path != "-" && string(head) != "\x1f\x8b" {
		_, err := t.Images.Check(ctx, in, io.Discard)
		return path, err
	}
	plain, err := os.CreateTemp(dir, "*.tar")
	if err != nil {
		return "", fmt.Errorf("make a temporary file: %w", err)
	}
	_, err = t.Images.Check(ctx, in, plain)
	return plain.Name(), errors.Join(err, plain.Close())
}

func copyTo(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}
