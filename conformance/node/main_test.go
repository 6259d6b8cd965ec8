package node

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/tatami-platform/tatami/conformance/target"
	"github.com/tatami-platform/tatami/internal/control"
)

const (
	probeImage = "conformance.tatami.dev/probe:dev"
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
	c, err := target.Start("conformance", control.NodeReal)
	if err == nil {
		defer c.Stop()
		shared.dataDir, shared.config, shared.client = c.DataDir, c.Config, c.Client
		err = loadProbe(c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// loadProbe gives the node the image of the probe.
func loadProbe(c *target.Cluster) error {
	ctx, cancel := context.WithTimeout(context.Background(), target.Patience)
	defer cancel()
	program := filepath.Join(c.Dir, "probe")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", program, "../probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the probe: %w\n%s", err, out)
	}
	load := exec.CommandContext(ctx, c.Program, "image", "build", program, "-t", probeImage, "--name", c.Name, "--data-dir", c.DataDir)
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("loading the probe: %w\n%s", err, out)
	}
	return nil
}
