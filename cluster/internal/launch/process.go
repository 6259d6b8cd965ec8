package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/tatami-platform/tatami/cluster/internal/box"
	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/server"
)

// start runs the server process. It inherits the lock, the listener and the
// host's network, so that none of them can be lost to a race.
func (p *Platform) start(c instance.Config, lock, listener *os.File, life box.Life) (*exec.Cmd, error) {
	if err := server.WriteConfig(c); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Path("log"), 0o700); err != nil {
		return nil, err
	}
	// What does not go through the log: panics.
	crash, err := os.Create(c.Path("log", "crash.log"))
	if err != nil {
		return nil, err
	}
	defer crash.Close()
	// Not bound to a context: it outlives this command.
	cmd := exec.Command(p.host.Program, server.Verb, c.DataDir) //nolint:noctx // as said
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = crash, crash
	cmd.ExtraFiles = []*os.File{lock, listener}
	cmd.SysProcAttr = box.Attributes(c.RealNode, life)
	if c.RealNode {
		ns, err := box.OpenHostNetwork()
		if err != nil {
			return nil, err
		}
		defer ns.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, ns)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	return cmd, nil
}

// settle waits out the moments in which the lock is held and there is no server:
// one that was killed is still being taken apart by the kernel, or another `up`
// is about to start one. It returns the server's process, or 0 for none.
func settle(ctx context.Context, dataDir string) (int, error) {
	for deadline := time.Now().Add(killPatience); ; time.Sleep(20 * time.Millisecond) {
		alive, err := instance.Alive(dataDir)
		if err != nil || !alive {
			return 0, err
		}
		if pid := serverPID(dataDir); pid != 0 {
			return pid, nil
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if time.Now().After(deadline) {
			return 0, errors.New("the lock is held, but no server process is found")
		}
	}
}

const (
	// stopPatience covers kubelet, the API server's open requests and the store.
	stopPatience = 15 * time.Second
	killPatience = 10 * time.Second
)

// stop ends the server of a data folder and waits until the kernel has freed
// its lock, which is when all its processes are gone.
func stop(ctx context.Context, dataDir string) error {
	pid, err := settle(ctx, dataDir)
	if err != nil || pid == 0 {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	if waitDead(ctx, dataDir, pid, stopPatience) {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	if waitDead(context.WithoutCancel(ctx), dataDir, pid, killPatience) {
		return nil
	}
	return fmt.Errorf("process %d does not end", pid)
}

// waitDead also waits for the process itself: the kernel ends the containers
// of the first process of a namespace before that one is dead.
func waitDead(ctx context.Context, dataDir string, pid int, patience time.Duration) bool {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		if alive, err := instance.Alive(dataDir); err == nil && !alive && dead(pid) {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}
