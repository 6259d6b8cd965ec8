package target

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/tatami-platform/tatami/internal/control"
)

// Target is the cluster to run a suite on.
type Target struct {
	Kubeconfig string
	Context    string
	// Kubernetes is the version whose suite fits, e.g. "v1.37.2".
	Kubernetes string
}

// Read takes the JSON of one status. A suite needs a cluster that is ready and
// a real node that is ready: on simulated ones no container runs.
func Read(r io.Reader) (Target, error) {
	var s control.Status
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return Target{}, fmt.Errorf("reading the output of tatami status -o json: %w", err)
	}
	if !s.Ready {
		return Target{}, fmt.Errorf("cluster %q is %s, not ready: run tatami up", s.Name, s.State)
	}
	for _, node := range s.Nodes {
		if node.Kind == control.KindReal && node.Ready {
			return Target{Kubeconfig: s.Kubeconfig, Context: s.Context, Kubernetes: s.Kubernetes.Version}, nil
		}
	}
	return Target{}, fmt.Errorf("cluster %q has no real node that is ready: run tatami check", s.Name)
}
