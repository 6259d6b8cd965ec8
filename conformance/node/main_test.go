package node

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tatami-platform/tatami/conformance/target"
)

const (
	probeImage  = "conformance.tatami.dev/probe:dev"
	clusterName = "conformance"
	upTimeout   = 3 * time.Minute
	// atOnce is how many cases run at the same time: they mostly wait.
	atOnce = "10"
)

// shared is the one cluster of this package.
var shared struct {
	skip    string
	dataDir string
	config  *rest.Config
	client  *kubernetes.Clientset
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	switch {
	case testing.Short():
		shared.skip = "a cluster is too slow for -short"
	case runtime.GOOS != "linux" || os.Geteuid() != 0:
		shared.skip = "a real node needs Linux and root"
	}
	if shared.skip != "" {
		return m.Run()
	}
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = parallel.Value.Set(atOnce)
	}
	stop, err := startCluster()
	defer stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// startCluster runs `tatami up --foreground`, which takes the cluster down when
// it is told to end, or when these tests die in whatever way.
func startCluster() (stop func(), err error) {
	dir, err := os.MkdirTemp("/tmp", "ttc")
	if err != nil {
		return func() {}, err
	}
	stop = func() { _ = os.RemoveAll(dir) }
	bin, err := tatami()
	if err != nil {
		return stop, err
	}
	shared.dataDir = filepath.Join(dir, "d")
	// The kernel sends the signal when the thread that started the process
	// ends; so this thread must last as long as the tests.
	runtime.LockOSThread()
	up := exec.Command(bin, "up", "--foreground", "--ephemeral", "--node", "real", "-o", "json", "--name", clusterName,
		"--data-dir", shared.dataDir, "--kubeconfig", filepath.Join(dir, "kubeconfig"))
	up.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	messages := &strings.Builder{}
	up.Stderr = messages
	out, err := up.StdoutPipe()
	if err != nil {
		return stop, err
	}
	if err := up.Start(); err != nil {
		return stop, err
	}
	ended := make(chan error, 1)
	go func() { ended <- up.Wait() }()
	stop = func() {
		select {
		case err := <-ended:
			_, _ = fmt.Fprintf(os.Stderr, "the cluster ended before the tests: %v\n%s", err, messages)
		default:
			_ = up.Process.Signal(syscall.SIGTERM)
			if err := <-ended; err != nil {
				_, _ = fmt.Fprintf(os.Stderr, "the cluster did not end well: %v\n%s", err, messages)
			}
		}
		_ = os.RemoveAll(dir)
	}
	tg, err := readStatus(out)
	if err == nil {
		err = prepare(bin, dir, tg)
	}
	if err != nil {
		stop()
		return func() {}, fmt.Errorf("starting a cluster: %w\n%s", err, messages)
	}
	return stop, nil
}

func readStatus(out io.Reader) (target.Target, error) {
	type answer struct {
		tg  target.Target
		err error
	}
	done := make(chan answer, 1)
	go func() {
		tg, err := target.Read(out)
		done <- answer{tg, err}
	}()
	select {
	case a := <-done:
		return a.tg, a.err
	case <-time.After(upTimeout):
		return target.Target{}, fmt.Errorf("not ready within %s", upTimeout)
	}
}

// prepare makes the clients and gives the node the image of the probe.
func prepare(bin, dir string, tg target.Target) error {
	config, err := clientcmd.BuildConfigFromFlags("", tg.Kubeconfig)
	if err != nil {
		return err
	}
	// The cases share the client; its throttle would make them wait for each other.
	config.QPS = -1
	shared.config = config
	if shared.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), upTimeout)
	defer cancel()
	program := filepath.Join(dir, "probe")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", program, "../probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the probe: %w\n%s", err, out)
	}
	load := exec.CommandContext(ctx, bin, "image", "build", program, "-t", probeImage,
		"--name", clusterName, "--data-dir", shared.dataDir)
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("loading the probe: %w\n%s", err, out)
	}
	return nil
}

// tatami finds the built program.
func tatami() (string, error) {
	path := os.Getenv("TATAMI_BIN")
	if path == "" {
		path = "../../bin/tatami"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: run make build", err)
	}
	return path, nil
}
