package launch

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tatami-platform/tatami/cluster/internal/box"
	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/internal/control"
)

// Down implements control.Platform. It also clears up after a server that was
// killed, so it does its work whether one runs or not.
func (p *Platform) Down(ctx context.Context, req control.DownRequest, pr control.Progress) error {
	dir, alive, err := p.find(req.Cluster)
	if err != nil {
		return err
	}
	if !exists(dir) {
		return errors.Join(p.removeEphemeral(req.Cluster), notRunning(req.Cluster))
	}
	c := instance.Config{Name: req.Cluster.Name, DataDir: dir}
	if st, err := instance.ReadState(dir); err == nil && st.Config.DataDir != "" {
		c = st.Config
	}
	if alive {
		pr.Step("stopping")
		if err := stop(ctx, dir); err != nil {
			return &control.Problem{What: "could not stop the cluster", Why: err, Next: "run `tatami down` again, as the user who started it"}
		}
	}
	pr.Step("clearing up")
	if err := p.clear(c, req); err != nil {
		return err
	}
	pr.Done()
	if !alive {
		return notRunning(req.Cluster)
	}
	return nil
}

func (p *Platform) clear(c instance.Config, req control.DownRequest) error {
	if err := box.RemoveCgroup(c); err != nil {
		return err
	}
	if err := removeFromKubeconfig(c, req.Kubeconfig); err != nil {
		return err
	}
	if c.Ephemeral || req.Purge {
		if err := purge(c.DataDir); err != nil {
			return err
		}
	}
	return p.removeEphemeral(req.Cluster)
}

// purge removes a data folder, and refuses a folder that is not ours.
func purge(dir string) error {
	if !exists(dir) {
		return nil
	}
	if !exists(instance.Config{DataDir: dir}.Path(instance.MarkerFile)) {
		return &control.Problem{
			What: "will not remove " + dir,
			Why:  errors.New("it is not a Tatami data folder"),
			Next: "remove it by hand if you are sure",
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the data: %w", err)
	}
	return nil
}

// removeEphemeral removes what a killed ephemeral instance left.
func (p *Platform) removeEphemeral(ref control.Ref) error {
	if ref.DataDir != "" {
		return nil
	}
	dir, err := p.folder(ref, true)
	if err != nil {
		return err
	}
	return purge(dir)
}
