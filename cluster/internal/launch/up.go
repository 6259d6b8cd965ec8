package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/cluster/internal/box"
	"github.com/tatami-platform/tatami/cluster/internal/deploy"
	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/internal/control"
)

// Up implements control.Platform.
func (p *Platform) Up(ctx context.Context, req control.UpRequest, pr control.Progress) (control.Status, error) {
	objects, err := deploy.Read(req.Manifests)
	if err != nil {
		return control.Status{}, err
	}
	// Before a start, too: one that can't be read would be found out at its end.
	if _, err := loadKubeconfig(kubeconfigFile(req.Kubeconfig)); err != nil {
		return control.Status{}, err
	}
	outer := ctx
	if req.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.Timeout)
		defer cancel()
	}
	run, err := p.ensureRunning(ctx, req, pr)
	if err != nil {
		return control.Status{}, err
	}
	status, err := p.finish(ctx, req, run.config, objects, pr)
	if err != nil || !req.Foreground || run.exited == nil {
		return status, err
	}
	if req.OnReady != nil {
		req.OnReady(status)
	}
	return status, p.attend(outer, req, run)
}

// attend keeps a foreground cluster until it ends or the user interrupts.
func (p *Platform) attend(ctx context.Context, req control.UpRequest, run running) error {
	select {
	case <-run.exited:
		return p.whyEnded(run.config)
	case <-ctx.Done():
		return p.Down(context.WithoutCancel(ctx), control.DownRequest{Cluster: req.Cluster, Kubeconfig: req.Kubeconfig}, silent{})
	}
}

// running is a server that was found or started; exited is nil for one found.
type running struct {
	config instance.Config
	exited <-chan struct{}
}

// ensureRunning finds the instance or starts it.
func (p *Platform) ensureRunning(ctx context.Context, req control.UpRequest, pr control.Progress) (running, error) {
	dir, alive, err := p.find(req.Cluster)
	pid := 0
	if err == nil && alive {
		pid, err = settle(ctx, dir)
	}
	if err != nil {
		return running{}, err
	}
	if pid == 0 {
		if dir, err = p.folder(req.Cluster, req.Ephemeral); err != nil {
			return running{}, err
		}
		return p.startFresh(ctx, req, dir, pr)
	}
	run, err := p.join(ctx, req, dir, pr)
	if err == nil || ctx.Err() != nil {
		return run, err
	}
	if pid, serr := settle(ctx, dir); serr == nil && pid == 0 {
		// It was killed a moment ago, and was dying when it was found.
		return p.startFresh(ctx, req, dir, pr)
	}
	return run, err
}

// join waits for a server that somebody else started.
func (p *Platform) join(ctx context.Context, req control.UpRequest, dir string, pr control.Progress) (running, error) {
	pr.Step("found a running cluster")
	st, err := p.wait(ctx, dir, nil, pr)
	if err != nil {
		return running{}, err
	}
	c := st.Config
	if err := answers(c); err != nil {
		return running{}, err
	}
	if what := conflict(c, req); what != "" {
		return running{}, &control.Problem{
			What: fmt.Sprintf("cluster %q already runs", c.Name),
			Why:  errors.New(what),
			Next: "stop it first with `tatami down`, or start another with --name",
		}
	}
	return running{config: c}, nil
}

// conflict says in what a running cluster differs from the one asked for; empty
// when it will do.
func conflict(c instance.Config, req control.UpRequest) string {
	switch {
	case c.Name != req.Cluster.Name:
		return "its data folder is used under the name " + c.Name
	case req.Port != 0 && req.Port != c.Port:
		return fmt.Sprintf("it listens on port %d, not %d", c.Port, req.Port)
	case req.Foreground:
		return "it runs in the background"
	case req.Ephemeral && !c.Ephemeral:
		return "its data is meant to stay"
	case !req.Ephemeral && c.Ephemeral:
		return "it is ephemeral: its data goes when it stops"
	case req.Node == control.NodeReal && !c.RealNode:
		return "it runs without a real node"
	default:
		return ""
	}
}

// startFresh starts a server; without a real node when that one fails and was
// not insisted on.
func (p *Platform) startFresh(ctx context.Context, req control.UpRequest, dir string, pr control.Progress) (running, error) {
	pr.Step("checking this machine")
	real, err := p.decideNode(ctx, req, pr)
	if err != nil {
		return running{}, err
	}
	c := instance.Config{
		Name: req.Cluster.Name, DataDir: dir, RealNode: real, Ephemeral: req.Ephemeral, Durable: req.Durable,
		ProgramsDir: filepath.Dir(p.host.Program),
	}
	if err := instance.Open(c); err != nil {
		return running{}, err
	}
	run, err := p.launch(ctx, req, c, pr)
	if err == nil || !real || req.Node == control.NodeReal || ctx.Err() != nil || !nodeFailed(c) {
		return run, err
	}
	pr.Note("no real node: " + firstLine(err))
	c.RealNode = false
	return p.launch(ctx, req, c, pr)
}

// decideNode says in one line why there is no real node where there could have
// been one.
func (p *Platform) decideNode(ctx context.Context, req control.UpRequest, pr control.Progress) (bool, error) {
	if req.Node == control.NodeNone {
		return false, nil
	}
	err := p.realNode(ctx)
	if err == nil {
		return true, nil
	}
	if req.Node == control.NodeReal {
		return false, &control.Problem{
			What: "this machine can't be a real node",
			Why:  err,
			Next: "mend it (`tatami check --pre` has hints), or go on without one: --node none",
		}
	}
	pr.Note("no real node: " + firstLine(err) + " (`tatami check --pre` has hints)")
	return false, nil
}

func firstLine(err error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", ", ")
}

// clean removes what a killed server left. It needs the lock: another `up` may
// have started a server since this one looked.
func clean(c instance.Config) error {
	if c.Ephemeral {
		// It is not to be found again.
		if err := instance.Empty(c.DataDir); err != nil {
			return err
		}
	}
	if err := instance.CheckFree(c.DataDir); err != nil {
		return err
	}
	return box.RemoveCgroup(c)
}

func (p *Platform) launch(ctx context.Context, req control.UpRequest, c instance.Config, pr control.Progress) (running, error) {
	lock, err := instance.Lock(c.DataDir)
	if errors.Is(err, instance.ErrLocked) {
		// Another `up` was faster.
		if _, err := settle(ctx, c.DataDir); err != nil {
			return running{}, err
		}
		return p.join(ctx, req, c.DataDir, pr)
	}
	if err != nil {
		return running{}, err
	}
	defer lock.Close()
	if err := clean(c); err != nil {
		return running{}, err
	}
	listener, port, err := listen(ctx, req.Port, c.DataDir)
	if err != nil {
		return running{}, err
	}
	defer listener.Close()
	c.Port = port
	// The old state must not be taken for the new server's.
	if err := instance.WriteState(instance.State{Config: c, Phase: control.StateStarting, Step: "starting"}); err != nil {
		return running{}, err
	}
	life := box.Detached
	if req.Foreground {
		life = box.Attached
	}
	cmd, err := p.start(c, lock, listener, life)
	if err != nil {
		return running{}, err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	_ = lock.Close()
	if _, err := p.wait(ctx, c.DataDir, exited, pr); err != nil {
		// Interrupted or failed: nothing half-started stays.
		if alive, _ := instance.Alive(c.DataDir); alive {
			_ = stop(context.WithoutCancel(ctx), c.DataDir)
		}
		return running{}, errors.Join(err, box.RemoveCgroup(c))
	}
	return running{config: c, exited: exited}, nil
}

// wait follows a server until it is ready. A server that was found and not
// started here has no exit to watch; its lock tells.
func (p *Platform) wait(ctx context.Context, dir string, exited <-chan struct{}, pr control.Progress) (instance.State, error) {
	step := ""
	for {
		st, err := instance.ReadState(dir)
		if err == nil {
			step = show(st, step, pr)
		}
		if err == nil && st.Phase == control.StateRunning {
			return st, nil
		}
		select {
		case <-ctx.Done():
			return st, waitProblem(ctx, st)
		case <-exited:
			return st, p.whyEnded(st.Config)
		case <-time.After(30 * time.Millisecond):
		}
		if exited == nil && ended(dir) {
			return st, p.whyEnded(st.Config)
		}
	}
}

// show tells of a new step, and at the end of what does not work.
func show(st instance.State, last string, pr control.Progress) string {
	if st.Phase == control.StateRunning && st.Note != "" {
		pr.Note(firstLine(errors.New(st.Note)))
	}
	if st.Step == "" || st.Step == last {
		return last
	}
	pr.Step(st.Step)
	return st.Step
}

func ended(dir string) bool {
	alive, err := instance.Alive(dir)
	return err == nil && !alive
}

func waitProblem(ctx context.Context, st instance.State) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return &control.Problem{
		What: "the cluster was not ready in time",
		Why:  fmt.Errorf("it was still %s", st.Step),
		Next: "see " + st.Config.Path("log") + ", and give it more time with --timeout",
	}
}

func nodeFailed(c instance.Config) bool {
	st, err := instance.ReadState(c.DataDir)
	return err == nil && st.NodeFailed
}

// storeStep is how much room the store sets aside at once; without it, it ends.
const storeStep = 64 << 20

// whyEnded explains the end of a server by its last words.
func (p *Platform) whyEnded(c instance.Config) error {
	st, err := instance.ReadState(c.DataDir)
	why := errors.New("it was killed, or the machine ran out of memory")
	if err == nil && st.Error != "" {
		why = errors.New(st.Error)
	} else if words := lastWords(c.Path("log", "crash.log")); words != "" {
		why = errors.New(words)
	}
	if free, err := instance.FreeBytes(c.DataDir); err == nil && free < storeStep {
		return instance.DiskFull(c.DataDir, why)
	}
	return &control.Problem{
		What: "the cluster ended",
		Why:  why,
		Next: "see " + c.Path("log") + "; `tatami up` starts it again with its data",
	}
}

// lastWords is the first line of a crash: Go prints the reason before the
// goroutines.
func lastWords(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.HasPrefix(line, "error:") {
			return line
		}
	}
	return ""
}

// finish does what needs a running cluster: context, manifests, shop.
func (p *Platform) finish(ctx context.Context, req control.UpRequest, c instance.Config, objects []deploy.Object, pr control.Progress) (control.Status, error) {
	pr.Step("merging the kubeconfig")
	if err := mergeKubeconfig(c, req.Kubeconfig); err != nil {
		return control.Status{}, err
	}
	if len(objects) > 0 {
		pr.Step("applying manifests")
		if err := p.apply(ctx, c, objects); err != nil {
			return control.Status{}, err
		}
	}
	if req.Shop {
		if err := p.deployShop(ctx, c, pr); err != nil {
			return control.Status{}, err
		}
	}
	pr.Done()
	return p.Status(ctx, req.Cluster)
}

// silent is the progress of work that nobody watches.
type silent struct{}

func (silent) Step(string)   {}
func (silent) Detail(string) {}
func (silent) Note(string)   {}
func (silent) Done()         {}
