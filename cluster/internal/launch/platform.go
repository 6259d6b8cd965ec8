package launch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/node"
	"github.com/tatami-platform/tatami/internal/control"
)

// Host is what the launcher knows of the machine and the user; main reads it.
type Host struct {
	// DataHome is where clusters without --data-dir keep their data.
	DataHome string
	// Program is this program's own path; helper programs lie beside it.
	Program string
	Root    bool
}

// Platform implements control.Platform.
type Platform struct{ host Host }

// New makes the platform of a host.
func New(host Host) *Platform { return &Platform{host: host} }

// LoadImages imports archives into the running cluster's node.
func (p *Platform) LoadImages(ctx context.Context, ref control.Ref, archives []string) ([]string, error) {
	c, err := p.running(ref)
	if err != nil {
		return nil, err
	}
	if !c.RealNode {
		return nil, &control.Problem{
			What: "there is no node to load the image into",
			Why:  errors.New("the cluster runs without a real node"),
			Next: "run `tatami check` to see why",
		}
	}
	images, err := node.OpenImages(c)
	if err != nil {
		return nil, err
	}
	defer images.Close() //nolint:errcheck // a connection
	var names []string
	for _, archive := range archives {
		n, err := images.Import(ctx, archive)
		if err != nil {
			return names, err
		}
		names = append(names, n...)
	}
	return names, nil
}

// folder is where an instance's data lies. An ephemeral instance has a folder
// of its own, so that it can never remove data that was meant to stay.
func (p *Platform) folder(ref control.Ref, ephemeral bool) (string, error) {
	if ref.DataDir != "" {
		return filepath.Abs(ref.DataDir)
	}
	if p.host.DataHome == "" {
		return "", &control.Problem{
			What: "there is no place for the data",
			Why:  errors.New("the user has no home folder"),
			Next: "name a folder with --data-dir",
		}
	}
	if ephemeral {
		return filepath.Join(p.host.DataHome, "ephemeral", ref.Name), nil
	}
	return filepath.Join(p.host.DataHome, "clusters", ref.Name), nil
}

// find returns the folder of the instance that runs, else the one that a plain
// `up` would use.
func (p *Platform) find(ref control.Ref) (dir string, alive bool, err error) {
	for _, ephemeral := range []bool{true, false} {
		if dir, err = p.folder(ref, ephemeral); err != nil {
			return "", false, err
		}
		if alive, err = instance.Alive(dir); alive || err != nil {
			return dir, alive, err
		}
	}
	return dir, false, nil
}

// running returns the configuration of a running instance, or ErrNotRunning.
func (p *Platform) running(ref control.Ref) (instance.Config, error) {
	dir, alive, err := p.find(ref)
	if err != nil {
		return instance.Config{}, err
	}
	if !alive {
		return instance.Config{}, notRunning(ref)
	}
	st, err := instance.ReadState(dir)
	if err != nil {
		return instance.Config{}, fmt.Errorf("state of the running cluster: %w", err)
	}
	return st.Config, nil
}

func notRunning(ref control.Ref) error {
	return &control.Problem{
		What: fmt.Sprintf("cluster %q", ref.Name),
		Why:  control.ErrNotRunning,
		Next: "start it with `tatami up`",
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func siblingOf(program, name string) string { return filepath.Join(filepath.Dir(program), name) }
