package control_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tatami-platform/tatami/internal/control"
)

// check makes a check that holds from its nth try on; n 0 never holds.
func check(name string, severity control.Severity, n int) control.Check {
	tries := 0
	return control.Check{
		Section: "host", Name: name, Severity: severity, Hint: "mend " + name,
		Run: func(context.Context) (string, error) {
			tries++
			if n == 0 || tries < n {
				return "", errors.New("not yet")
			}
			return "well", nil
		},
	}
}

func passed(name string) control.Result {
	return control.Result{Section: "host", Name: name, Outcome: control.Passed, Text: "well"}
}

func missed(name string, o control.Outcome) control.Result {
	return control.Result{Section: "host", Name: name, Outcome: o, Error: "not yet", Hint: "mend " + name}
}

func skipped(name string) control.Result {
	return control.Result{Section: "host", Name: name, Outcome: control.Skipped}
}

// runs is a list of checks and what becomes of them.
type runs struct {
	name   string
	checks []control.Check
	wait   time.Duration
	want   control.Report
	took   time.Duration
}

func TestRunChecks(t *testing.T) {
	tests := []runs{
		{
			name: "no checks are healthy",
			want: control.Report{Healthy: true, Results: []control.Result{}},
		},
		{
			name:   "all hold",
			checks: []control.Check{check("a", control.Fatal, 1), check("b", control.Failure, 1)},
			want:   control.Report{Healthy: true, Results: []control.Result{passed("a"), passed("b")}},
		},
		{
			name:   "a failure does not stop the rest",
			checks: []control.Check{check("a", control.Failure, 0), check("b", control.Failure, 1)},
			want:   control.Report{Results: []control.Result{missed("a", control.Failed), passed("b")}},
		},
		{
			name:   "a fatal failure skips the rest",
			checks: []control.Check{check("a", control.Fatal, 0), check("b", control.Failure, 1), check("c", control.Warning, 0)},
			want:   control.Report{Results: []control.Result{missed("a", control.Failed), skipped("b"), skipped("c")}},
		},
		{
			name:   "a warning leaves the report healthy and is not tried again",
			checks: []control.Check{check("a", control.Warning, 2)},
			wait:   time.Minute,
			want:   control.Report{Healthy: true, Results: []control.Result{missed("a", control.Warned)}},
		},
		{
			name:   "without wait a check gets one try",
			checks: []control.Check{check("a", control.Failure, 2)},
			want:   control.Report{Results: []control.Result{missed("a", control.Failed)}},
		},
		{
			name:   "a check is tried again until it holds",
			checks: []control.Check{check("a", control.Failure, 4)},
			wait:   time.Minute,
			want:   control.Report{Healthy: true, Results: []control.Result{passed("a")}},
			took:   3 * time.Second,
		},
		{
			name:   "the wait is shared by all checks",
			checks: []control.Check{check("a", control.Failure, 9), check("b", control.Failure, 9)},
			wait:   10500 * time.Millisecond,
			want:   control.Report{Results: []control.Result{passed("a"), missed("b", control.Failed)}},
			took:   10500 * time.Millisecond,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { synctest.Test(t, tt.test) })
	}
}

func (r runs) test(t *testing.T) {
	start := time.Now()
	var seen []control.Result
	got := control.RunChecks(t.Context(), r.checks, r.wait, time.Second, func(res control.Result) { seen = append(seen, res) })
	if diff := cmp.Diff(r.want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if !slices.Equal(seen, got.Results) {
		t.Errorf("seen %v, reported %v", seen, got.Results)
	}
	if took := time.Since(start); took != r.took {
		t.Errorf("took %s, want %s", took, r.took)
	}
}

func TestRunChecksBoundsACheckThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := control.Check{Name: "hangs", Severity: control.Failure, Run: func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}}
		start := time.Now()
		report := control.RunChecks(t.Context(), []control.Check{hang, check("b", control.Failure, 1)}, 0, time.Second, nil)
		if report.Healthy || report.Results[0].Outcome != control.Failed || report.Results[1].Outcome != control.Passed {
			t.Errorf("report %+v", report)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestRunChecksStopsWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		checks := []control.Check{check("a", control.Failure, 0), check("b", control.Failure, 1)}
		report := control.RunChecks(ctx, checks, time.Hour, time.Second, nil)
		want := control.Report{Results: []control.Result{missed("a", control.Failed), skipped("b")}}
		if diff := cmp.Diff(want, report); diff != "" {
			t.Errorf("report (-want +got):\n%s", diff)
		}
	})
}
