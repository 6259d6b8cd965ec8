package workload

import (
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

func TestValidate(t *testing.T) {
	near := func(value string) []PodTerm { return []PodTerm{{TopologyKey: "h", Selector: only("app", value)}} }
	pod := func(app string, affinity []PodTerm) Group {
		return Group{Labels: labels("app", app), Count: 1, Requests: unit.Resources{CPU: 1, Memory: 1, Pods: 1}, Affinity: affinity}
	}
	with := func(change func(*Group)) []Group {
		g := pod("a", nil)
		change(&g)
		return []Group{g}
	}
	for _, tc := range []struct {
		name   string
		groups []Group
		want   []string // parts of the text, in order; fatal ones begin with !
	}{
		{"nothing is wrong", []Group{pod("a", nil), pod("b", near("a"))}, nil},
		{"negative", with(func(g *Group) { g.Requests.Memory = -1 }), []string{"!less than nothing of memory"}},
		{"huge", with(func(g *Group) { g.Requests.CPU = 1 << 60 }), []string{"!more cpu than any machine"}},
		{"huge extended resource", with(func(g *Group) { g.Requests.Extended = map[string]int64{"gpu": 1 << 50} }), []string{"!more gpu"}},
		{"huge pages are bytes", with(func(g *Group) { g.Requests.Extended = map[string]int64{"hugepages-2Mi": 1 << 45} }), nil},
		{"no requests", with(func(g *Group) { g.Requests = unit.Resources{Pods: 1} }), []string{"neither processor nor memory"}},
		{"no memory", with(func(g *Group) { g.Requests.Memory = 0 }), []string{"requests no memory"}},
		{"no processor", with(func(g *Group) { g.Requests.CPU = 0 }), []string{"requests no processor"}},
		{"negative number", with(func(g *Group) { g.Count = -1 }), []string{"!number of pods"}},
		{"huge number", with(func(g *Group) { g.Count = 1 << 40 }), []string{"!number of pods"}},
		{"no range", with(func(g *Group) { g.Replicas = Range{5, 2} }), []string{"!range from 5 to 2"}},
		{"no skew", with(func(g *Group) { g.Spread = []Spread{{TopologyKey: "z"}} }), []string{"!skew of at least 1"}},
		{"no topology", with(func(g *Group) { g.AntiAffinity = []PodTerm{{}} }), []string{"!topology key"}},
		{"affinity to itself", []Group{pod("a", near("a"))}, nil},
		{"a circle of two", []Group{pod("a", near("b")), pod("b", near("a"))}, []string{"circle", "circle"}},
		{"a circle of three, and one that follows", []Group{pod("a", near("b")), pod("b", near("c")), pod("c", near("a")), pod("d", near("a"))}, []string{"circle", "circle", "circle", "circle"}},
		{"a wish is no circle", []Group{pod("a", []PodTerm{{TopologyKey: "h", Weight: 5, Selector: only("app", "b")}}), pod("b", near("a"))}, nil},
		{"nobody to follow", []Group{pod("a", near("zz"))}, []string{"do not exist"}},
		{"one pod must meet all terms", []Group{pod("a", append(near("b"), near("c")...)), pod("b", nil), pod("c", nil)}, []string{"do not exist"}},
		{"none is wanted, so none is stuck", func() []Group { g := pod("a", near("zz")); g.Count = 0; return []Group{g} }(), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			faults := Validate(tc.groups, nil)
			if len(faults) != len(tc.want) {
				t.Fatalf("%d faults: %+v", len(faults), faults)
			}
			for i, want := range tc.want {
				text, fatal := strings.CutPrefix(want, "!")
				if f := faults[i]; !strings.Contains(f.Text, text) || f.Fatal != fatal {
					t.Errorf("fault %+v, want %q", f, want)
				}
			}
		})
	}
	circle := []Group{pod("a", near("b")), pod("b", near("a"))}
	if faults := Validate(circle, func(i int) bool { return i == 1 }); len(faults) != 0 {
		t.Errorf("one of the circle runs already: %+v", faults)
	}
}
