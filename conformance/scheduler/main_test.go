package scheduler

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"k8s.io/client-go/kubernetes"

	"github.com/tatami-platform/tatami/conformance/target"
	"github.com/tatami-platform/tatami/internal/control"
)

// shared is the one cluster of this package; nil with -short.
var shared *kubernetes.Clientset

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		return m.Run()
	}
	c, err := target.Start(fmt.Sprintf("scheduler%d", os.Getpid()), control.NodeNone)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Stop()
	shared = c.Client
	return m.Run()
}
