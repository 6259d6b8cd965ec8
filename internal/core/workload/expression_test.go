package workload_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// TestExpressions holds the lines, and that they read back as what they say.
func TestExpressions(t *testing.T) {
	must := func(op workload.Operator, values ...string) workload.Requirement {
		r, err := workload.NewRequirement(op, values...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	lowest := strconv.FormatInt(math.MinInt64, 10)
	for _, tt := range []struct {
		name string
		r    workload.Requirement
		want string
	}{
		{"in", must(workload.In, "b", "a"), "[{k In [a b]}]"},
		{"not in", must(workload.NotIn, "a"), "[{k NotIn [a]}]"},
		{"not in, and there", must(workload.NotIn, "a").Intersect(must(workload.Exists)), "[{k NotIn [a]} {k Exists []}]"},
		{"exists", must(workload.Exists), "[{k Exists []}]"},
		{"does not exist", must(workload.DoesNotExist), "[{k DoesNotExist []}]"},
		{"between", must(workload.Gte, "4").Intersect(must(workload.Lt, "9")), "[{k Exists []} {k Gt [3]} {k Lt [9]}]"},
		{"between two", must(workload.Gte, "4").Intersect(must(workload.Lt, "5")), "[{k Exists []} {k Gt [3]} {k Lt [5]}]"},
		{"above, but not", must(workload.Gt, "4").Intersect(must(workload.NotIn, "7")), "[{k NotIn [7]} {k Exists []} {k Gt [4]}]"},
		{"nothing", must(workload.In, "a").Intersect(must(workload.In, "b")), "[{k DoesNotExist []} {k Exists []}]"},
		{"any integer", must(workload.Gte, lowest), "[{k Exists []} {k Gte [" + lowest + "]}]"},
		{"more values than a text lists", must(workload.NotIn, "a", "b", "c", "d", "e", "f", "g"), "[{k NotIn [a b c d e f g]}]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := workload.Requirements{"k": tt.r}.Expressions()
			if got := fmt.Sprint(lines); got != tt.want {
				t.Errorf("%q: got %s, want %s", tt.r.String(), got, tt.want)
			}
			back := workload.Requirements{}
			for _, e := range lines {
				back.Add(e.Key, must(e.Operator, e.Values...))
			}
			for _, v := range []string{"a", "b", "c", "f", "x", "3", "4", "5", "7", "8", "9", lowest} {
				if back["k"].Has(v) != tt.r.Has(v) {
					t.Errorf("read back, %q is allowed: %v", v, back["k"].Has(v))
				}
			}
			if back["k"].Allows("", false) != tt.r.Allows("", false) {
				t.Errorf("read back, absence is allowed: %v", back["k"].Allows("", false))
			}
		})
	}
}

// TestKeyTellsApart holds that a key is no text: texts shorten long lists.
func TestKeyTellsApart(t *testing.T) {
	long := []string{"a", "b", "c", "d", "e"}
	x := workload.Requirements{"k": workload.OneOf(append(long, "x")...)}
	y := workload.Requirements{"k": workload.OneOf(append(long, "y")...)}
	if x.Key() == y.Key() {
		t.Error("two requirements have one key")
	}
	if x.Key() != (workload.Requirements{"k": workload.OneOf(append([]string{"x"}, long...)...)}).Key() {
		t.Error("one requirement has two keys")
	}
}
