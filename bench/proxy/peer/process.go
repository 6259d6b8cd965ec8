package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is what a server has to end by itself.
const stopTimeout = 2 * time.Second

// Process is a server that runs, with all processes that it started.
type Process struct {
	// Dir holds its files; it goes when the process is stopped.
	Dir string
	// Began is when it was started.
	Began time.Time

	cmd    *exec.Cmd
	output tail
	ended  chan struct{}
}

// Start runs the program in a process group of its own. It does not wait until
// it serves. Stop must be called.
func (p Program) Start(ctx context.Context, s Spec) (*Process, error) {
	if why := p.Refuses(s.Mode); why != "" {
		return nil, errors.New(why)
	}
	return p.start(ctx, values{Spec: s})
}

func (p Program) start(ctx context.Context, v values) (*Process, error) {
	dir, err := os.MkdirTemp("", p.Name)
	if err != nil {
		return nil, err
	}
	if v.Listen != "" {
		if v.Address, v.Port, err = net.SplitHostPort(v.Listen); err != nil {
			return nil, err
		}
	}
	if err := p.render(dir, v); err != nil {
		return nil, errors.Join(fmt.Errorf("configuration of %s: %w", p.Name, err), os.RemoveAll(dir))
	}
	if p.Name == backendName {
		if err := writeBodies(dir); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	run := &Process{Dir: dir, ended: make(chan struct{})}
	// The context does not end it: that would kill one process of several.
	run.cmd = exec.CommandContext(context.WithoutCancel(ctx), p.Path, p.args(v.Spec, dir)...)
	run.cmd.Env = environment(dir, v.Threads)
	run.cmd.Dir = dir
	run.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	run.cmd.Stdout, run.cmd.Stderr = &run.output, &run.output
	run.Began = time.Now()
	if err := run.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() {
		_ = run.cmd.Wait() // the state is kept in cmd
		close(run.ended)
	}()
	return run, nil
}

// Ended gives an error with the last output when the process has ended.
func (r *Process) Ended() error {
	select {
	case <-r.ended:
		return fmt.Errorf("it has ended by itself, %s: %s", r.cmd.ProcessState, strings.TrimSpace(r.output.String()))
	default:
		return nil
	}
}

// Output is the end of what it has written.
func (r *Process) Output() string { return r.output.String() }

// Rewrite replaces the configuration of a process, and says when it was in its
// place.
func (p Program) Rewrite(r *Process, s Spec) (time.Time, error) {
	err := p.render(r.Dir, values{Spec: s})
	return time.Now(), err
}

// Reload tells the process that its configuration has changed.
func (r *Process) Reload() error { return r.cmd.Process.Signal(syscall.SIGHUP) }

// Stop ends the whole group, and removes the files.
func (r *Process) Stop() {
	group := -r.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(stopTimeout):
	}
	// Also what the first process left behind; there may be nothing.
	_ = syscall.Kill(group, syscall.SIGKILL)
	<-r.ended
	os.RemoveAll(r.Dir)
}

// tail keeps the last bytes that were written.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	const keep = 16 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(p)
	if over := t.text.Len() - keep; over > 0 {
		t.text.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// FreePort gives an address of loopback that was free a moment ago.
func FreePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
