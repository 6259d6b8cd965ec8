package workload

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

func labels(kv ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}

func only(key, value string) Selector {
	return Selector{Requirements: Requirements{key: OneOf(value)}}
}

func TestLensKey(t *testing.T) {
	spread := Spread{TopologyKey: LabelZone, MaxSkew: 1, MinDomains: 1, Required: true, Selector: only("app", "web")}
	base := func() Group {
		return Group{
			Owner: Ref{"Deployment", "shop", "web"}, Labels: labels("app", "web"), Count: 1,
			Requests: unit.Resources{CPU: 100, Memory: unit.GiB, Pods: 1},
		}
	}
	for _, tc := range []struct {
		name   string
		change func(a, b *Group)
		budget []PodBudget
		same   bool
	}{
		{"nothing differs", func(_, _ *Group) {}, nil, true},
		{"owner, number and range are no difference", func(_, b *Group) { b.Owner.Name, b.Count, b.Replicas = "x", 9, Range{1, 9} }, nil, true},
		{"labels that nobody looks at", func(_, b *Group) { b.Labels = labels("app", "db", "hash", "123") }, nil, true},
		{"namespace that nobody looks at", func(_, b *Group) { b.Owner.Namespace = "other" }, nil, true},
		{"a label that a spread of one of them looks at", func(a, b *Group) {
			a.Spread, b.Spread = []Spread{spread}, []Spread{spread}
			b.Labels = labels("app", "db")
		}, nil, false},
		{"a label beside one that a spread looks at", func(a, b *Group) {
			a.Spread, b.Spread = []Spread{spread}, []Spread{spread}
			b.Labels = labels("app", "web", "hash", "1")
		}, nil, true},
		{"the same spread in another namespace", func(a, b *Group) {
			a.Spread, b.Spread = []Spread{spread}, []Spread{spread}
			b.Owner.Namespace = "other"
		}, nil, false},
		{"a label that a budget looks at", func(_, b *Group) { b.Labels = labels("app", "db") }, []PodBudget{{Ref: Ref{Namespace: "shop"}, Selector: only("app", "web")}}, false},
		{"a budget of another namespace", func(_, b *Group) { b.Labels = labels("app", "db") }, []PodBudget{{Ref: Ref{Namespace: "x"}, Selector: only("app", "web")}}, true},
		{"a budget for everything", func(_, b *Group) { b.Labels = nil }, []PodBudget{{Ref: Ref{Namespace: "shop"}, Selector: Selector{Everything: true}}}, true},
		{"requests", func(_, b *Group) { b.Requests.CPU++ }, nil, false},
		{"an extended resource of nothing", func(_, b *Group) { b.Requests.Extended = map[string]int64{"gpu": 0} }, nil, true},
		{"an extended resource", func(_, b *Group) { b.Requests.Extended = map[string]int64{"gpu": 1} }, nil, false},
		{"priority", func(_, b *Group) { b.Priority = 5 }, nil, false},
		{"a pin", func(_, b *Group) { b.DoNotDisrupt = true }, nil, false},
		{"the order of tolerations", func(a, b *Group) {
			a.Tolerations = []Toleration{{Key: "a"}, {Key: "b", Exists: true}}
			b.Tolerations = []Toleration{{Key: "b", Exists: true}, {Key: "a"}, {Key: "a"}}
		}, nil, true},
		{"the order of values", func(a, b *Group) {
			a.Alternatives = []Requirements{{"x": OneOf("1", "2"), "y": NoneOf("3")}}
			b.Alternatives = []Requirements{{"y": NoneOf("3"), "x": OneOf("2", "1")}}
		}, nil, true},
		{"other values", func(a, b *Group) {
			a.Alternatives = []Requirements{{"x": OneOf("1")}}
			b.Alternatives = []Requirements{{"x": NoneOf("1")}}
		}, nil, false},
		{"a term with the namespace spelled out", func(a, b *Group) {
			a.AntiAffinity = []PodTerm{{TopologyKey: "h", Selector: only("app", "web")}}
			b.AntiAffinity = []PodTerm{{TopologyKey: "h", Selector: only("app", "web"), Namespaces: []string{"shop"}}}
		}, nil, true},
		{"attraction is not repulsion", func(a, b *Group) {
			a.Affinity = []PodTerm{{TopologyKey: "h", Selector: only("app", "web")}}
			b.AntiAffinity = a.Affinity
		}, nil, false},
		{"strings that run into each other", func(a, b *Group) {
			a.HostPorts = []HostPort{{IP: "1", Protocol: "2TCP", Port: 1}}
			b.HostPorts = []HostPort{{IP: "12", Protocol: "TCP", Port: 1}}
		}, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			groups := []Group{base(), base()}
			tc.change(&groups[0], &groups[1])
			lens := NewLens(groups, tc.budget)
			if got := lens.Key(&groups[0]) == lens.Key(&groups[1]); got != tc.same {
				t.Errorf("same = %v, want %v", got, tc.same)
			}
		})
	}
}

// Groups that the lens cannot tell apart must be chosen by the same selectors.
func TestLensAgreesWithSelectors(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var groups []Group
		for range 12 {
			g := Group{Owner: Ref{"Pod", []string{"a", "b"}[r.IntN(2)], ""}, Labels: labels("k", string(rune('a'+r.IntN(3))), "l", string(rune('a'+r.IntN(3))))}
			groups = append(groups, g)
		}
		var budgets []PodBudget
		for range 3 {
			req := random(r)
			budgets = append(budgets, PodBudget{Ref: Ref{Namespace: "a"}, Selector: Selector{Requirements: Requirements{[]string{"k", "l", "m"}[r.IntN(3)]: req}}})
		}
		lens := NewLens(groups, budgets)
		signature := func(g *Group) (s [3]bool) {
			for i, b := range budgets {
				s[i] = g.Owner.Namespace == b.Ref.Namespace && b.Selector.Matches(g.Labels)
			}
			return s
		}
		for i := range groups {
			for j := range groups {
				a, b := &groups[i], &groups[j]
				if (lens.Key(a) == lens.Key(b)) != (signature(a) == signature(b)) {
					t.Fatalf("%v and %v under %v", a.Labels, b.Labels, budgets)
				}
			}
		}
	}
}

func TestMerge(t *testing.T) {
	groups := []Group{
		{Owner: Ref{Name: "a"}, Count: 2},
		{Owner: Ref{Name: "b"}, Count: 3},
		{Owner: Ref{Name: "a"}, Count: 4, Replicas: Range{1, 10}},
		{Owner: Ref{Name: "a"}, Count: 1, Replicas: Range{1, 5}},
	}
	merged, to := Merge(groups, func(g *Group) string { return g.Owner.Name })
	if len(merged) != 2 || !slices.Equal(to, []int{0, 1, 0, 0}) {
		t.Fatalf("%d groups, %v", len(merged), to)
	}
	if g := merged[0]; g.Count != 7 || g.Replicas != (Range{2 + 1 + 1, 2 + 10 + 5}) {
		t.Errorf("count %d, replicas %v", g.Count, g.Replicas)
	}
	if groups[0].Count != 2 {
		t.Error("the input was changed")
	}
	sum := func(counts []uint8) bool {
		var gs []Group
		want := 0
		for i, n := range counts {
			gs = append(gs, Group{Count: int(n), Owner: Ref{Name: string(rune('a' + i%3))}})
			want += int(n)
		}
		all, _ := Merge(gs, func(g *Group) string { return g.Owner.Name })
		for i := range all {
			want -= all[i].Count
		}
		return want == 0 && len(all) <= 3
	}
	if err := quick.Check(sum, nil); err != nil {
		t.Error(err)
	}
}
