package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// event is one line of go test -json; `go doc test2json` describes it.
type event struct {
	Time       time.Time
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
	// FailedBuild is set on the failure of a package that did not compile.
	FailedBuild string
}

// testKey names a test; an empty test stands for the package itself.
type testKey struct{ pkg, test string }

// tally gathers the events of all modules.
type tally struct {
	passed  int
	failed  []string
	skipped []string

	started map[testKey]time.Time
	output  map[testKey][]string
	// parents are the tests that have subtests; only their subtests count.
	parents map[testKey]bool
	// failures counts the failed tests below a package or parent test, so that
	// one failure is not counted at every level.
	failures map[testKey]int
	counts   map[string]int
}

func newTally() *tally {
	return &tally{
		started:  map[testKey]time.Time{},
		output:   map[testKey][]string{},
		parents:  map[testKey]bool{},
		failures: map[testKey]int{},
		counts:   map[string]int{},
	}
}

// add takes an event in and returns the text to show for it, if any.
func (t *tally) add(e event) string {
	key := testKey{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		key.pkg = e.ImportPath
		t.output[key] = append(t.output[key], e.Output)
	case "run":
		t.started[key] = e.Time
		if parent, nested := parentOf(e.Test); nested {
			t.parents[testKey{e.Package, parent}] = true
		}
	case "output":
		t.output[key] = append(t.output[key], e.Output)
	case "pass", "fail", "skip":
		delete(t.started, key)
		if e.Test == "" {
			return t.endPackage(e)
		}
		return t.endTest(key, e.Action)
	}
	return ""
}

func (t *tally) endTest(key testKey, action string) string {
	text := ""
	switch {
	case action == "fail":
		text = t.endFailed(key)
	case action == "skip":
		t.skipped = append(t.skipped, name(key)+": "+reason(t.output[key]))
	case !t.parents[key]:
		t.passed++
		t.counts[key.pkg]++
	}
	delete(t.output, key)
	return text
}

// endFailed counts a failed test unless a subtest of it was counted already,
// and returns its output.
func (t *tally) endFailed(key testKey) string {
	if t.failures[key] == 0 {
		t.failed = append(t.failed, name(key))
	}
	up := testKey{pkg: key.pkg}
	if parent, nested := parentOf(key.test); nested {
		up.test = parent
	}
	t.failures[up]++
	return fmt.Sprintf("FAIL  %s\n%s", name(key), strings.Join(t.output[key], ""))
}

func (t *tally) endPackage(e event) string {
	key := testKey{pkg: e.Package}
	defer delete(t.output, key)
	switch e.Action {
	case "skip":
		return "" // no test files
	case "fail":
		return t.endFailedPackage(key, e)
	}
	return fmt.Sprintf("ok    %s  %.1fs  %d passed\n", short(e.Package), e.Elapsed, t.counts[e.Package])
}

// endFailedPackage counts the package itself only when none of its tests was
// counted: it did not build, or its process died.
func (t *tally) endFailedPackage(key testKey, e event) string {
	var text strings.Builder
	fmt.Fprintf(&text, "FAIL  %s  %.1fs\n", short(e.Package), e.Elapsed)
	died := ""
	// A test that was running when the process died has no event of its own.
	for running := range t.started {
		if running.pkg == e.Package {
			if !t.parents[running] {
				died = " " + running.test
			}
			text.WriteString(strings.Join(t.output[running], ""))
			delete(t.started, running)
		}
	}
	if t.failures[key] > 0 {
		return text.String()
	}
	t.failed = append(t.failed, short(e.Package)+died)
	t.failures[key]++
	if e.FailedBuild != e.Package {
		text.WriteString(strings.Join(t.output[testKey{pkg: e.FailedBuild}], ""))
	}
	text.WriteString(strings.Join(t.output[key], ""))
	return text.String()
}

// running names what runs now, with the time so far, longest first.
func (t *tally) running(now time.Time) string {
	var names []string
	for key, since := range t.started {
		if key.test != "" && !t.parents[key] {
			names = append(names, fmt.Sprintf("%s (%s)", name(key), now.Sub(since).Round(time.Second)))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// fail records a failure outside any test.
func (t *tally) fail(module, what string) {
	t.failed = append(t.failed, module+": "+what)
}

func (t *tally) bad() bool { return len(t.failed) > 0 || t.passed == 0 }

// report prints skips, failures and the summary, which is always the last line.
func (t *tally) report(w io.Writer) {
	list(w, "skipped", t.skipped)
	list(w, "failed", t.failed)
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", t.passed, len(t.failed), len(t.skipped))
}

func list(w io.Writer, title string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, item := range items {
		fmt.Fprintln(w, "  "+item)
	}
}

const modulePath = "github.com/tatami-platform/tatami"

// short is the folder of a package below the repository.
func short(pkg string) string {
	pkg = strings.TrimPrefix(pkg, modulePath)
	return strings.TrimPrefix(pkg, "/")
}

func name(key testKey) string { return short(key.pkg) + " " + key.test }

// reason is the text given to t.Skip: the output without go test's own lines.
func reason(output []string) string {
	var text []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		// "file_test.go:12: text"
		if _, after, found := strings.Cut(line, ".go:"); found {
			if _, msg, found := strings.Cut(after, ": "); found {
				line = msg
			}
		}
		text = append(text, line)
	}
	if len(text) == 0 {
		return "no reason given"
	}
	return strings.Join(text, " ")
}

// parentOf returns the test that a subtest belongs to.
func parentOf(test string) (parent string, nested bool) {
	i := strings.LastIndexByte(test, '/')
	if i < 0 {
		return "", false
	}
	return test[:i], true
}
