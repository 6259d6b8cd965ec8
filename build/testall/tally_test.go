package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The module made here has one test of every outcome, so that the counts prove
// that nothing is counted twice or lost.
func TestRunCountsEveryOutcomeOnce(t *testing.T) {
	dir := t.TempDir()
	writeModule(t, dir, map[string]string{
		"a/a.go": "package a\n",
		"a/a_test.go": `package a

import "testing"

func TestPass(t *testing.T) {}
func TestSkip(t *testing.T) { t.Skip("needs a moon") }
func TestFail(t *testing.T) { t.Error("one is not two") }
func TestSub(t *testing.T) {
	t.Run("good", func(t *testing.T) {})
	t.Run("bad", func(t *testing.T) { t.Error("sub is bad") })
}
`,
		"broken/b.go":      "package broken\n",
		"broken/b_test.go": "package broken\n\nvar x int = \"text\"\n",
		"panics/p.go":      "package panics\n",
		"panics/p_test.go": "package panics\n\nimport (\"os\"; \"testing\")\n\nfunc TestMain(m *testing.M) { os.Exit(3) }\n",
		"dies/d.go":        "package dies\n",
		"dies/d_test.go":   "package dies\n\nimport (\"os\"; \"testing\")\n\nfunc TestDies(t *testing.T) { os.Exit(3) }\n",
		"none/n.go":        "package none\n",
	})
	tally, out := runIn(t, dir)
	// Failures: go vet (broken), TestFail, TestSub/bad, broken, panics, TestDies.
	if tally.passed != 2 || len(tally.failed) != 6 || len(tally.skipped) != 1 {
		t.Errorf("got %d passed, failed %q, skipped %q", tally.passed, tally.failed, tally.skipped)
	}
	for _, want := range []string{"one is not two", "sub is bad", "needs a moon", "cannot use \"text\"", "  example.com/x/dies TestDies\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	if !strings.HasSuffix(out, "\n2 passed, 6 failed, 1 skipped\n") {
		t.Errorf("the summary is not the last line:\n%s", out)
	}
}

func TestRunSucceedsOnlyWhenSomethingRan(t *testing.T) {
	for _, tt := range []struct {
		name, test string
		bad        bool
	}{
		{"a passing test", "func TestPass(t *testing.T) {}", false},
		{"no test at all", "func helper(t *testing.T) {}", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeModule(t, dir, map[string]string{
				"a.go":      "package a\n",
				"a_test.go": "package a\n\nimport \"testing\"\n\n" + tt.test + "\n",
			})
			tally, out := runIn(t, dir)
			if tally.bad() != tt.bad {
				t.Errorf("bad = %t, want %t:\n%s", tally.bad(), tt.bad, out)
			}
		})
	}
}

func TestRunRefusesAFolderWithoutModule(t *testing.T) {
	r := runner{out: &strings.Builder{}, timeout: time.Minute}
	if _, err := r.run(context.Background(), []string{t.TempDir()}); err == nil {
		t.Error("a folder without go.mod was accepted")
	}
}

func TestFindModulesSkipsTestData(t *testing.T) {
	dir := t.TempDir()
	for _, m := range []string{".", "cluster", "cluster/testdata/x", ".cache/y"} {
		if err := os.MkdirAll(filepath.Join(dir, m), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, m, "go.mod"), []byte("module x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := findModules(dir)
	if err != nil || len(got) != 2 || got[0] != dir || got[1] != filepath.Join(dir, "cluster") {
		t.Errorf("findModules = %q, %v; want the root and cluster", got, err)
	}
}

func TestReason(t *testing.T) {
	for _, tt := range []struct {
		name   string
		output []string
		want   string
	}{
		{"with a place", []string{"=== RUN   TestX\n", "    x_test.go:9: needs root: run as root\n", "--- SKIP: TestX (0.00s)\n"}, "needs root: run as root"},
		{"silent", []string{"=== RUN   TestX\n", "--- SKIP: TestX (0.00s)\n"}, "no reason given"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := reason(tt.output); got != tt.want {
				t.Errorf("reason = %q, want %q", got, tt.want)
			}
		})
	}
}

func runIn(t *testing.T, dir string) (*tally, string) {
	t.Helper()
	var out strings.Builder
	r := runner{out: &out, timeout: time.Minute}
	tally, err := r.run(context.Background(), []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	tally.report(&out)
	return tally, out.String()
}

func writeModule(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	files["go.mod"] = "module example.com/x\n\ngo 1.26\n"
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
