package workload

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

func must(tb testing.TB, op Operator, values ...string) Requirement {
	tb.Helper()
	r, err := NewRequirement(op, values...)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestRequirementAllows(t *testing.T) {
	largest, smallest := strconv.Itoa(math.MaxInt64), strconv.Itoa(math.MinInt64)
	for _, tc := range []struct {
		name    string
		op      Operator
		values  []string
		yes, no []string
		missing bool
		text    string
	}{
		{"in", In, []string{"b", "a", "a"}, []string{"a", "b"}, []string{"c", ""}, false, "In [a b]"},
		{"in with the empty value", In, []string{""}, []string{""}, []string{"a"}, false, "In []"},
		{"not in", NotIn, []string{"a"}, []string{"b", ""}, []string{"a"}, true, "NotIn [a]"},
		{"exists", Exists, nil, []string{"a", ""}, nil, false, "Exists"},
		{"does not exist", DoesNotExist, nil, nil, []string{"a", ""}, true, "DoesNotExist"},
		{"greater", Gt, []string{"4"}, []string{"5", "005", "+5"}, []string{"4", "x", "", "4.5", "-9"}, false, "Gte 5"},
		{"less", Lt, []string{"4"}, []string{"3", "-1"}, []string{"4", "x"}, false, "Lte 3"},
		{"greater or equal", Gte, []string{"4"}, []string{"4"}, []string{"3"}, false, "Gte 4"},
		{"less or equal", Lte, []string{"4"}, []string{"4"}, []string{"5"}, false, "Lte 4"},
		{"greater than the largest", Gt, []string{largest}, nil, []string{largest, "0"}, false, "impossible"},
		{"less than the smallest", Lt, []string{smallest}, nil, []string{smallest, "0"}, false, "impossible"},
		{"at least the smallest", Gte, []string{smallest}, []string{smallest, "0"}, []string{"x"}, false, "an integer"},
		{"at most the largest", Lte, []string{largest}, []string{largest, "0"}, []string{"x"}, false, "an integer"},
		{"at least the largest", Gte, []string{largest}, []string{largest}, []string{"0"}, false, "In [" + largest + "]"},
		{"many values", In, []string{"a", "b", "c", "d", "e", "f", "g"}, []string{"g"}, []string{"h"}, false, "In [a b c d e and 2 more]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := must(t, tc.op, tc.values...)
			for _, v := range tc.yes {
				if !r.Allows(v, true) {
					t.Errorf("refuses %q", v)
				}
			}
			for _, v := range tc.no {
				if r.Allows(v, true) {
					t.Errorf("allows %q", v)
				}
			}
			if r.Allows("", false) != tc.missing {
				t.Errorf("a missing label: %v", !tc.missing)
			}
			if r.String() != tc.text {
				t.Errorf("String() = %q, want %q", r, tc.text)
			}
		})
	}
}

func TestRequirementRefusesWhatTheAPIRefuses(t *testing.T) {
	for _, tc := range []struct {
		op     Operator
		values []string
	}{
		{In, nil},
		{NotIn, nil},
		{Exists, []string{"a"}},
		{DoesNotExist, []string{"a"}},
		{Gt, nil},
		{Gt, []string{"1", "2"}},
		{Lt, []string{"x"}},
		{Gte, []string{"1.5"}},
		{Lte, []string{"9223372036854775808"}},
		{"Near", []string{"a"}},
	} {
		if _, err := NewRequirement(tc.op, tc.values...); !errors.Is(err, ErrRequirement) {
			t.Errorf("%s %q: %v", tc.op, tc.values, err)
		}
	}
}

func TestIntersectText(t *testing.T) {
	for _, tc := range []struct {
		a, b  Requirement
		want  string
		empty bool
	}{
		{must(t, Gt, "2"), must(t, Lt, "5"), "Gte 3 and Lte 4", false},
		{must(t, Gt, "3"), must(t, Lt, "5"), "In [4]", false},
		{must(t, Gt, "4"), must(t, Lt, "5"), "impossible", true},
		{must(t, NotIn, "a"), must(t, Exists), "Exists and NotIn [a]", false},
		{must(t, NotIn, "a"), must(t, NotIn, "b"), "NotIn [a b]", false},
		{must(t, NotIn, "a"), must(t, DoesNotExist), "DoesNotExist", true},
		{must(t, In, "a"), must(t, DoesNotExist), "impossible", true},
		{must(t, In, "a"), must(t, NotIn, "a"), "impossible", true},
		{must(t, In, "a", "4", "9"), must(t, Gt, "4"), "In [9]", false},
		{must(t, NotIn, "a", "7"), must(t, Gt, "4"), "Gte 5 and NotIn [7]", false},
		{NoneOf(), NoneOf(), "anything", false},
	} {
		for _, got := range []Requirement{tc.a.Intersect(tc.b), tc.b.Intersect(tc.a)} {
			if got.String() != tc.want || got.Empty() != tc.empty {
				t.Errorf("%s and %s: %s (empty %v), want %s (empty %v)", tc.a, tc.b, got, got.Empty(), tc.want, tc.empty)
			}
		}
	}
}

// pool are values in which the edges of all operators lie.
func pool() []string {
	return []string{
		"", "a", "b", "c", "0", "1", "2", "3", "03", "+2", "-1", "1.5",
		"9223372036854775807", "-9223372036854775808", "9223372036854775806", "9223372036854775808",
	}
}

func random(r *rand.Rand) Requirement {
	pick := func() string { return pool()[r.IntN(len(pool()))] }
	number := func() string { return []string{"-1", "0", "1", "2", "3", pool()[12], pool()[13]}[r.IntN(7)] }
	var out Requirement
	switch op := []Operator{In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte, Lte}[r.IntN(8)]; op {
	case In:
		out = OneOf(slices.Repeat([]string{pick(), pick()}, 1)[:1+r.IntN(2)]...)
	case NotIn:
		out = NoneOf(pick(), pick())
	case Exists, DoesNotExist:
		out, _ = NewRequirement(op)
	default:
		out, _ = NewRequirement(op, number())
	}
	out.MinValues = r.IntN(3)
	return out
}

// same compares what two requirements allow, and how they are written down.
func same(a, b Requirement) error {
	if string(appendRequirement(nil, a)) != string(appendRequirement(nil, b)) {
		return fmt.Errorf("%s is not written like %s", a, b)
	}
	return nil
}

func TestIntersectionLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		a, b, c := random(r), random(r), random(r)
		both := a.Intersect(b)
		some := a.Allows("", false) && b.Allows("", false)
		for _, v := range pool() {
			want := a.Has(v) && b.Has(v)
			if some = some || want; both.Has(v) != want {
				t.Fatalf("%s and %s, value %q: %v", a, b, v, !want)
			}
		}
		if both.Allows("", false) != (a.Allows("", false) && b.Allows("", false)) {
			t.Fatalf("%s and %s, missing label", a, b)
		}
		if some && !a.Overlaps(b) {
			t.Fatalf("%s and %s have something in common", a, b)
		}
		if a.Overlaps(b) == (both.Empty() && !both.Optional()) {
			t.Fatalf("%s and %s: Overlaps is %v, the intersection is %s", a, b, a.Overlaps(b), both)
		}
		for law, err := range map[string]error{
			"commutative": same(both, b.Intersect(a)),
			"idempotent":  same(both, both.Intersect(a).Intersect(b)),
			"associative": same(both.Intersect(c), a.Intersect(b.Intersect(c))),
			"neutral":     same(a, a.Intersect(NoneOf())),
		} {
			if err != nil {
				t.Fatalf("%s: %s, %s, %s: %v", law, a, b, c, err)
			}
		}
	}
}

func TestIntersectLeavesItsOperandsAlone(t *testing.T) {
	a, b := NoneOf("1", "5", "x"), must(t, Gt, "2")
	c := a.Intersect(b).Intersect(NoneOf("7"))
	if a.String() != "NotIn [1 5 x]" || c.String() != "Gte 3 and NotIn [5 7]" {
		t.Errorf("%s, %s", a, c)
	}
}

func FuzzRequirement(f *testing.F) {
	f.Add("In", "a", "Gt", "3", "4")
	f.Add("Gte", "-9223372036854775808", "Lt", "-9223372036854775808", "")
	f.Fuzz(func(t *testing.T, op1, v1, op2, v2, value string) {
		a, err1 := NewRequirement(Operator(op1), v1)
		b, err2 := NewRequirement(Operator(op2), v2)
		if err1 != nil || err2 != nil {
			return
		}
		both := a.Intersect(b)
		if both.Has(value) != (a.Has(value) && b.Has(value)) {
			t.Errorf("%s and %s disagree with %s on %q", a, b, both, value)
		}
		if both.Has(value) && !a.Overlaps(b) {
			t.Errorf("%s and %s have %q in common", a, b, value)
		}
		_ = both.String()
	})
}

func TestRequirements(t *testing.T) {
	rs := Requirements{"zone": OneOf("a", "b"), "arch": OneOf("arm64"), "gpu": must(t, DoesNotExist)}
	for _, tc := range []struct {
		name    string
		labels  map[string]string
		refusal string
	}{
		{"all met", map[string]string{"zone": "a", "arch": "arm64"}, ""},
		{"the first key in order is named", map[string]string{"zone": "c"}, "arch"},
		{"an unwanted label", map[string]string{"zone": "a", "arch": "arm64", "gpu": ""}, "gpu"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := rs.Refusal(tc.labels); got != tc.refusal {
				t.Errorf("Refusal() = %q", got)
			}
			if rs.Allow(tc.labels) != (tc.refusal == "") {
				t.Error("Allow() disagrees with Refusal()")
			}
		})
	}
	if !Requirements(nil).Allow(nil) || Requirements(nil).Intersect(nil) == nil {
		t.Error("nil allows everything")
	}
	pods := Requirements{"zone": OneOf("b", "c"), "team": OneOf("x"), "gpu": must(t, NotIn, "l4")}
	if got := rs.Conflict(pods); got != "" {
		t.Errorf("Conflict() = %q: keys of one side and labels that both let be missing are none", got)
	}
	pods.Add("zone", OneOf("c"))
	if rs.Conflict(pods) != "zone" || pods.Conflict(rs) != "zone" {
		t.Errorf("Conflict() = %q, %q", rs.Conflict(pods), pods.Conflict(rs))
	}
	if got := rs.Intersect(pods)["zone"]; !got.Empty() || rs["zone"].String() != "In [a b]" {
		t.Errorf("Intersect() = %s, operand %s", got, rs["zone"])
	}
}

func TestSelector(t *testing.T) {
	web := map[string]string{"app": "web"}
	for _, tc := range []struct {
		name string
		s    Selector
		want bool
	}{
		{"a missing selector chooses none", Selector{}, false},
		{"an empty one all", Selector{Everything: true}, true},
		{"by value", Selector{Requirements: Requirements{"app": OneOf("web")}}, true},
		{"by another value", Selector{Requirements: Requirements{"app": OneOf("db")}}, false},
		{"by a label that must be missing", Selector{Requirements: Requirements{"canary": NoneOf("yes")}}, true},
	} {
		if got := tc.s.Matches(web); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func BenchmarkAllow(b *testing.B) {
	rs := Requirements{"zone": OneOf("a", "b"), "arch": OneOf("amd64"), "cpu": must(b, Gt, "4"), "team": NoneOf("x")}
	labels := map[string]string{"zone": "b", "arch": "amd64", "cpu": "16", "size": "4xlarge"}
	for b.Loop() {
		if !rs.Allow(labels) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkConflict(b *testing.B) {
	rs := Requirements{"zone": OneOf("a", "b"), "arch": OneOf("amd64"), "cpu": must(b, Gt, "4")}
	o := Requirements{"zone": OneOf("b", "c"), "cpu": must(b, Lt, "9"), "team": NoneOf("x")}
	for b.Loop() {
		if rs.Conflict(o) != "" {
			b.Fatal("conflict")
		}
	}
}
