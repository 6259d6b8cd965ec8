package target

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tatami-platform/tatami/internal/control"
)

// Patience bounds a start of the cluster and what prepares it.
const Patience = 3 * time.Minute

// Cluster is an ephemeral cluster that runs.
type Cluster struct {
	// Program is the built program that started it.
	Program string
	Name    string
	// Dir is for the suite's own files; it goes with the cluster.
	Dir, DataDir string
	// Config does not limit the client: the cases of a suite share it, and would
	// wait for each other.
	Config *rest.Config
	Client *kubernetes.Clientset

	up       *exec.Cmd
	ended    chan error
	messages *strings.Builder
}

// Start runs `tatami up --foreground`, which takes the cluster down when it is
// told to end, or when the suite dies in whatever way. It must be called by the
// goroutine of TestMain: the kernel ends the cluster together with the thread
// that started it, so that thread must last.
func Start(name string, mode control.NodeMode) (*Cluster, error) {
	program, err := findProgram()
	if err != nil {
		return nil, err
	}
	// Short: Unix sockets lie in it.
	dir, err := os.MkdirTemp("/tmp", "ttc")
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		Program: program, Name: name, Dir: dir, DataDir: filepath.Join(dir, "d"),
		ended: make(chan error, 1), messages: &strings.Builder{},
	}
	runtime.LockOSThread()
	c.up = exec.CommandContext(context.Background(), program, "up", "--foreground", "--ephemeral", "--node", string(mode),
		"-o", "json", "--name", name, "--data-dir", c.DataDir, "--kubeconfig", filepath.Join(dir, "kubeconfig"))
	c.up.SysProcAttr = attributes()
	c.up.Stderr = c.messages
	out, err := c.up.StdoutPipe()
	if err == nil {
		err = c.up.Start()
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	go func() { c.ended <- c.up.Wait() }()
	if err := c.connect(out, mode); err != nil {
		c.Stop()
		return nil, fmt.Errorf("starting a cluster: %w\n%s", err, c.messages)
	}
	return c, nil
}

// Stop ends the cluster and removes its files.
func (c *Cluster) Stop() {
	select {
	case err := <-c.ended:
		fmt.Fprintf(os.Stderr, "the cluster ended before the tests: %v\n%s", err, c.messages)
	default:
		_ = c.up.Process.Signal(syscall.SIGTERM)
		if err := <-c.ended; err != nil {
			fmt.Fprintf(os.Stderr, "the cluster did not end well: %v\n%s", err, c.messages)
		}
	}
	_ = os.RemoveAll(c.Dir)
}

// connect waits for the status and makes the client.
func (c *Cluster) connect(out io.Reader, mode control.NodeMode) error {
	type answer struct {
		s   control.Status
		err error
	}
	done := make(chan answer, 1)
	go func() {
		s, err := read(out, mode)
		done <- answer{s, err}
	}()
	var a answer
	select {
	case a = <-done:
	case <-time.After(Patience):
		a.err = fmt.Errorf("not ready within %s", Patience)
	}
	if a.err != nil {
		return a.err
	}
	config, err := clientcmd.BuildConfigFromFlags("", a.s.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	c.Config = config
	c.Client, err = kubernetes.NewForConfig(config)
	return err
}

func findProgram() (string, error) {
	path, err := filepath.Abs(cmp.Or(os.Getenv("TATAMI_BIN"), "../../bin/tatami"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil { //nolint:gosec // whoever runs the tests names the program
		return "", fmt.Errorf("%w: run make build", err)
	}
	return path, nil
}
