package requirements

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	karpenter "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/scheduling"

	"github.com/tatami-platform/tatami/internal/adapter/kube"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// keys and values are such that random requirements often meet.
func keys() []string { return []string{"zone", "cpu", "team"} }

func values() []string {
	return []string{"", "a", "b", "c", "0", "1", "2", "3", "4", "03", "2x", "9223372036854775807", "9223372036854775808"}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func labels(r *rand.Rand) map[string]string {
	l := map[string]string{}
	for _, key := range keys() {
		if r.IntN(3) > 0 {
			l[key] = pick(r, values())
		}
	}
	return l
}

// some are up to n values.
func some(r *rand.Rand, n int) []string {
	var out []string
	for range r.IntN(n + 1) {
		out = append(out, pick(r, values()))
	}
	return out
}

// TestNodeAffinity gives the same pods to the scheduler's library and to the
// adapter that reads manifests. One in a few expressions is not valid.
func TestNodeAffinity(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	operators := []corev1.NodeSelectorOperator{
		corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpExists,
		corev1.NodeSelectorOpDoesNotExist, corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt,
	}
	matches := 0
	for range 4_000 {
		pod := &corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Name: "pod"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{}},
		}
		if r.IntN(3) == 0 {
			pod.Spec.NodeSelector = map[string]string{pick(r, keys()): pick(r, values())}
		}
		if r.IntN(5) > 0 {
			selector := &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{}}
			for range r.IntN(4) {
				var term corev1.NodeSelectorTerm
				for range r.IntN(4) {
					e := corev1.NodeSelectorRequirement{Key: pick(r, keys()), Operator: pick(r, operators)}
					switch e.Operator {
					case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
						e.Values = []string{pick(r, values())}
					case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
						e.Values = some(r, 4)
					default: // it takes none
					}
					term.MatchExpressions = append(term.MatchExpressions, e)
				}
				selector.NodeSelectorTerms = append(selector.NodeSelectorTerms, term)
			}
			pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: selector}}
		}
		ours := alternatives(t, pod)
		theirs := nodeaffinity.GetRequiredNodeAffinity(pod)
		for range 25 {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: labels(r)}}
			want, _ := theirs.Match(node) // an error is about a term that matches nothing
			got := len(ours) == 0 || slices.ContainsFunc(ours, func(rs workload.Requirements) bool { return rs.Allow(node.Labels) })
			if got != want {
				spec, _ := json.Marshal(pod.Spec)
				t.Fatalf("%s on %v: %v, Kubernetes says %v; we read %v", spec, node.Labels, got, want, ours)
			}
			if want {
				matches++
			}
		}
	}
	if matches < 10_000 {
		t.Errorf("only %d of 100,000 matched: the cases are too strict to say much", matches)
	}
}

func alternatives(t *testing.T, pod *corev1.Pod) []workload.Requirements {
	t.Helper()
	text, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	reader := kube.Workloads{Now: func() time.Time { return time.Time{} }}
	d, err := reader.Read(t.Context(), control.Sources{Paths: []string{"-"}, Stdin: strings.NewReader(string(text))})
	if err != nil {
		t.Fatal(err)
	}
	return d.Snapshot.Demand[0].Alternatives
}

// expression is one requirement in both languages.
func expression(t *testing.T, r *rand.Rand, key string) (workload.Requirement, *scheduling.Requirement) {
	t.Helper()
	op := pick(r, []workload.Operator{
		workload.In, workload.NotIn, workload.Exists, workload.DoesNotExist,
		workload.Gt, workload.Lt, workload.Gte, workload.Lte,
	})
	var vs []string
	switch op {
	case workload.In, workload.NotIn:
		vs = append(some(r, 3), pick(r, values()))
	case workload.Gt, workload.Lt, workload.Gte, workload.Lte:
		vs = []string{strconv.Itoa(r.IntN(6))}
		// Of more than the largest number Karpenter makes DoesNotExist, which lets
		// the label be missing; in Kubernetes no node matches, and so it is here.
		if op != workload.Gt && r.IntN(8) == 0 {
			vs[0] = "9223372036854775807"
		}
	default: // it takes none
	}
	minimum := r.IntN(3)
	ours, err := workload.NewRequirement(op, vs...)
	if err != nil {
		t.Fatal(err)
	}
	ours.MinValues = minimum
	return ours, scheduling.NewRequirementWithFlexibility(key, corev1.NodeSelectorOperator(op), &minimum, vs...)
}

// TestKarpenterIntersection compares values, emptiness and overlap of single
// requirements and of their intersections.
func TestKarpenterIntersection(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	same := func(ours workload.Requirement, theirs *scheduling.Requirement, what string) {
		for _, v := range values() {
			if ours.Has(v) != theirs.Has(v) {
				t.Fatalf("%s: value %q in %s: %v, Karpenter's %s says %v", what, v, ours, ours.Has(v), theirs, theirs.Has(v))
			}
		}
		if ours.Empty() != (theirs.Len() == 0) {
			t.Fatalf("%s: %s is empty: %v, Karpenter's is %s", what, ours, ours.Empty(), theirs)
		}
		if list, finite := ours.Values(); finite && !slices.Equal(list, slices.Sorted(slices.Values(theirs.Values()))) {
			t.Fatalf("%s: %s, Karpenter has %s", what, ours, theirs)
		}
	}
	for range 50_000 {
		a, ka := expression(t, r, "cpu")
		b, kb := expression(t, r, "cpu")
		c, kc := expression(t, r, "cpu")
		same(a, ka, "one")
		ab, kab := a.Intersect(b), ka.Intersection(kb)
		same(ab, kab, "two")
		same(ab.Intersect(c), kab.Intersection(kc), "three")
		// Karpenter looks at values only; that both let the label be missing is a
		// case of its own there.
		if got, want := a.Overlaps(b) && !(ab.Empty() && ab.Optional()), ka.HasIntersection(kb); got != want {
			t.Fatalf("%s overlaps %s: %v, Karpenter says %v", a, b, got, want)
		}
		if kab.MinValues != nil && ab.MinValues != *kab.MinValues {
			t.Fatalf("%s and %s need %d values, Karpenter says %d", a, b, ab.MinValues, *kab.MinValues)
		}
	}
}

// TestKarpenterCompatible compares whole sets, with one expression for each key:
// of several Karpenter forgets whether the label must exist.
func TestKarpenterCompatible(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	set := func() (workload.Requirements, scheduling.Requirements) {
		ours, theirs := workload.Requirements{}, scheduling.NewRequirements()
		for _, key := range keys() {
			if r.IntN(2) == 0 {
				a, ka := expression(t, r, key)
				ours.Add(key, a)
				theirs.Add(ka)
			}
		}
		return ours, theirs
	}
	var yes [2]int
	for range 30_000 {
		a, ka := set()
		b, kb := set()
		if got, want := a.Conflict(b) == "", ka.Intersects(kb) == nil; got != want {
			t.Fatalf("%v with %v: %v, Karpenter says %v", a, b, got, want)
		} else if got {
			yes[0]++
		}
		node := labels(r)
		if got, want := a.Allow(node), scheduling.NewLabelRequirements(node).Compatible(ka) == nil; got != want {
			t.Fatalf("%v on %v: %v, Karpenter says %v", a, node, got, want)
		} else if got {
			yes[1]++
		}
	}
	if min(yes[0], yes[1]) < 3_000 {
		t.Errorf("only %v of 30,000 agreed: the cases are too strict to say much", yes)
	}
}

// The operators are spelled alike.
func TestOperators(t *testing.T) {
	for ours, theirs := range map[workload.Operator]corev1.NodeSelectorOperator{
		workload.Gte: karpenter.NodeSelectorOpGte,
		workload.Lte: karpenter.NodeSelectorOpLte,
		workload.In:  corev1.NodeSelectorOpIn,
	} {
		if string(ours) != string(theirs) {
			t.Errorf("%s is %s", ours, theirs)
		}
	}
}
