package target

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/tatami-platform/tatami/internal/control"
)

// read takes the JSON of one status. A suite needs a cluster that is ready, and
// where it asks for a real node, one that is ready: on simulated ones no
// container runs.
func read(r io.Reader, mode control.NodeMode) (control.Status, error) {
	var s control.Status
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return s, fmt.Errorf("reading the output of tatami up -o json: %w", err)
	}
	if !s.Ready {
		return s, fmt.Errorf("cluster %q is %s, not ready: run tatami up", s.Name, s.State)
	}
	for _, node := range s.Nodes {
		if node.Kind == control.KindReal && node.Ready {
			return s, nil
		}
	}
	if mode == control.NodeReal {
		return s, fmt.Errorf("cluster %q has no real node that is ready: run tatami check", s.Name)
	}
	return s, nil
}
