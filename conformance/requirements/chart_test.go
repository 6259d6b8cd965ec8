package requirements

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/adapter/kube"
	"github.com/tatami-platform/tatami/internal/adapter/kube/chart"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// TestKarpenterChart reads a chart as other people write them: the one in the
// module of Karpenter, where the go command put it.
func TestKarpenterChart(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/karpenter").Output()
	if err != nil {
		t.Skipf("the go command does not say where the module lies: %v", err)
	}
	reader := kube.Workloads{Now: func() time.Time { return time.Time{} }, Charts: chart.Render}
	d, err := reader.Read(t.Context(), control.Sources{
		Paths:  []string{filepath.Join(strings.TrimSpace(string(out)), "kwok", "charts")},
		Values: []string{"controller.resources.requests.cpu=1,controller.resources.requests.memory=1Gi,replicas=3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Snapshot.Demand) != 1 || len(d.Snapshot.PodBudgets) != 1 {
		t.Fatalf("%d groups, %d budgets", len(d.Snapshot.Demand), len(d.Snapshot.PodBudgets))
	}
	g := d.Snapshot.Demand[0]
	if g.Owner.Kind != "Deployment" || g.Count != 3 || g.Requests.CPU != 1000 || g.Priority != 2_000_000_000 {
		t.Errorf("%s: %d pods of %v, priority %d", g.Owner, g.Count, g.Requests, g.Priority)
	}
	own := map[string]string{"karpenter.sh/nodepool": "default", "kubernetes.io/os": "linux"}
	for _, rs := range g.Alternatives {
		if rs.Allow(own) {
			t.Errorf("Karpenter must not run on its own nodes: %v", rs)
		}
	}
	if len(g.Alternatives) == 0 || len(g.Spread) == 0 || len(g.AntiAffinity) == 0 || !g.AntiAffinity[0].Selector.Matches(g.Labels) {
		t.Errorf("%+v", g)
	}
	if !workload.Tolerates(g.Tolerations, workload.Taint{Key: "CriticalAddonsOnly", Effect: workload.NoSchedule}) {
		t.Errorf("tolerations %v", g.Tolerations)
	}
}
