package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/adapter/kube/chart"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// noon is a Wednesday.
func noon() time.Time { return time.Date(2026, 9, 2, 12, 0, 0, 0, time.UTC) }

func read(tb testing.TB, from control.Sources) (control.Demand, error) {
	tb.Helper()
	return Workloads{Now: noon, Charts: chart.Render}.Read(tb.Context(), from)
}

// parse reads manifests from a text.
func parse(tb testing.TB, text string) control.Demand {
	tb.Helper()
	d, err := read(tb, control.Sources{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// podOf is the only group of a pod with this specification, indented by two.
func podOf(tb testing.TB, spec string, more ...string) workload.Group {
	tb.Helper()
	text := "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop, labels: {app: web, hash: h1}}\nspec:\n" + spec
	d := parse(tb, strings.Join(append([]string{text}, more...), "\n---\n"))
	if len(d.Snapshot.Demand) != 1 {
		tb.Fatalf("%d groups; %+v", len(d.Snapshot.Demand), d.NotCovered)
	}
	return d.Snapshot.Demand[0]
}

func write(tb testing.TB, files map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// covered says whether some entry has all the parts.
func covered(d control.Demand, parts ...string) bool {
	for _, n := range d.NotCovered {
		text := n.Object.String() + " " + n.Field + " " + n.Why
		all := true
		for _, p := range parts {
			all = all && strings.Contains(text, p)
		}
		if all {
			return true
		}
	}
	return false
}

func counts(d control.Demand) map[string]int {
	out := map[string]int{}
	for i := range d.Snapshot.Demand {
		g := &d.Snapshot.Demand[i]
		out[g.Owner.String()] += g.Count
	}
	return out
}
