package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience bounds every wait of the rig.
const Patience = 15 * time.Second

// Options say how a proxy is started.
type Options struct {
	Kind Kind
	// Config is YAML; it is written to a file that Rewrite changes. Empty: Args say
	// what is served.
	Config string
	// Args are further flags.
	Args []string
	// Access keeps the access log, all of it, for Log.
	Access bool
}

// Proxy is a process of tatami-proxy that serves.
type Proxy struct {
	PID int
	// Admin is the address of its admin endpoint, Config the path of its file.
	Admin  string
	Config string

	t      testing.TB
	cmd    *exec.Cmd
	stderr lines
	stdout lines
	ended  chan struct{}
	err    error // of its end; valid when ended is closed
}

var (
	adminLine  = regexp.MustCompile(`admin endpoint on (\S+)`)
	listenLine = regexp.MustCompile(`listening on (\S+) \(([^)]*)\)`)
)

// Start starts a proxy and waits until it is ready. It ends with the test, which
// fails if the proxy did not live until then.
func (p Program) Start(tb testing.TB, o Options) *Proxy {
	tb.Helper()
	x := p.Launch(tb, o)
	x.WaitReady()
	return x
}

// Launch starts a proxy and does not wait; it may end with an error, which Wait
// returns.
func (p Program) Launch(tb testing.TB, o Options) *Proxy {
	tb.Helper()
	x := &Proxy{t: tb, ended: make(chan struct{})}
	args := []string{"--admin", "127.0.0.1:0", "--drain-timeout", "10s"}
	if o.Config != "" {
		x.Config = filepath.Join(tb.TempDir(), "proxy.yaml")
		x.Rewrite(o.Config)
		args = append(args, "--config", x.Config)
	}
	if o.Kind == Portable {
		args = append(args, "--portable")
	}
	if o.Access {
		args = append(args, "--access-log", "all")
	}
	// Not the test's context: it ends before the clean-up, which ends the process well.
	x.cmd = exec.CommandContext(context.Background(), p.Path, append(args, o.Args...)...)
	x.cmd.SysProcAttr = attributes()
	x.cmd.Stderr, x.cmd.Stdout = &x.stderr, &x.stdout
	if err := x.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	x.PID = x.cmd.Process.Pid
	go func() {
		x.err = x.cmd.Wait()
		close(x.ended)
	}()
	tb.Cleanup(x.cleanup)
	return x
}

// Rewrite replaces the configuration file at once, as an editor or ConfigMap does.
func (x *Proxy) Rewrite(config string) {
	x.t.Helper()
	next := x.Config + ".next"
	if err := os.WriteFile(next, []byte(config), 0o600); err != nil {
		x.t.Fatal(err)
	}
	if err := os.Rename(next, x.Config); err != nil {
		x.t.Fatal(err)
	}
}

// Addr is where the listener of a name really listens: host:port, or a path.
func (x *Proxy) Addr(listener string) string {
	x.t.Helper()
	var addr string
	x.until("listener "+listener, func() bool {
		for _, m := range listenLine.FindAllStringSubmatch(x.stderr.String(), -1) {
			if m[2] == listener {
				addr = m[1]
			}
		}
		return addr != ""
	})
	return addr
}

// WaitReady waits for the admin endpoint to say so.
func (x *Proxy) WaitReady() {
	x.t.Helper()
	x.until("admin endpoint", func() bool {
		m := adminLine.FindStringSubmatch(x.stderr.String())
		if m == nil {
			return false
		}
		x.Admin = m[1]
		return true
	})
	x.until("readiness", func() bool {
		_, err := x.get("/ready")
		return err == nil
	})
}

// WaitStderr waits for a text among the messages of the proxy.
func (x *Proxy) WaitStderr(text string) {
	x.t.Helper()
	x.until("message "+text, func() bool { return strings.Contains(x.stderr.String(), text) })
}

// until polls, and fails the test when it takes too long or the proxy ended.
func (x *Proxy) until(what string, done func() bool) {
	x.t.Helper()
	deadline := time.Now().Add(Patience)
	for !done() {
		select {
		case <-x.ended:
			if done() {
				return
			}
			x.t.Fatalf("waiting for %s: the proxy ended: %v\n%s", what, x.err, x.stderr.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("waiting for %s: not within %s\n%s", what, Patience, x.stderr.String())
		}
	}
}

// Get reads a page of the admin endpoint.
func (x *Proxy) Get(path string) string {
	x.t.Helper()
	text, err := x.get(path)
	if err != nil {
		x.t.Fatal(err)
	}
	return text
}

func (x *Proxy) get(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+x.Admin+path, nil)
	if err != nil {
		return "", err
	}
	// No connection stays: they would be counted among the proxy's descriptors.
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, text)
	}
	return string(text), err
}

// Signal sends a signal to the process.
func (x *Proxy) Signal(s syscall.Signal) {
	x.t.Helper()
	if err := x.cmd.Process.Signal(s); err != nil {
		x.t.Error(err)
	}
}

// Wait waits for the end of the process and returns its error, nil for exit code 0.
func (x *Proxy) Wait() error {
	x.t.Helper()
	select {
	case <-x.ended:
		return x.err
	case <-time.After(2 * Patience):
		x.t.Fatalf("the proxy did not end\n%s", x.stderr.String())
		return nil
	}
}

// Stop ends the process in order, by SIGTERM, and returns its error.
func (x *Proxy) Stop() error {
	x.t.Helper()
	x.Signal(syscall.SIGTERM)
	return x.Wait()
}

// Kill ends the process at once.
func (x *Proxy) Kill() {
	_ = x.cmd.Process.Kill()
	<-x.ended
}

// Ended says whether the process is gone.
func (x *Proxy) Ended() bool {
	select {
	case <-x.ended:
		return true
	default:
		return false
	}
}

// Stderr is what the proxy has said, Log its access log so far.
func (x *Proxy) Stderr() string { return x.stderr.String() }

// Log is the access log so far.
func (x *Proxy) Log() string { return x.stdout.String() }

// cleanup ends what a test left, and tells of panics.
func (x *Proxy) cleanup() {
	if !x.Ended() {
		_ = x.cmd.Process.Signal(syscall.SIGTERM)
		// Twice cuts the drain short: tests leave connections open.
		time.Sleep(20 * time.Millisecond)
		_ = x.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-x.ended:
		case <-time.After(Patience):
			x.t.Error("the proxy did not end when it was told to")
			x.Kill()
		}
	}
	if text := x.stderr.String(); strings.Contains(text, "panic:") || strings.Contains(text, "fatal error:") {
		x.t.Errorf("the proxy died:\n%s", text)
	} else if x.t.Failed() && text != "" {
		x.t.Logf("the proxy said:\n%s", text)
	}
}

// lines is a buffer that is read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
