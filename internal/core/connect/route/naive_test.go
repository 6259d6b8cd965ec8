package route

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// naive is the specification read word by word, without any index.
type naive struct {
	route       *connect.Route
	rule, match int
	host        string
	m           connect.Match
}

func covers(pattern, host string) bool {
	suffix, wild := strings.CutPrefix(pattern, "*")
	return pattern == "" || pattern == host || wild && strings.HasSuffix(host, suffix) && len(host) > len(suffix)
}

// hostRank orders hostnames: characters of an exact one, then of any.
func hostRank(pattern string) (exact, all int) {
	if strings.HasPrefix(pattern, "*") {
		return 0, len(pattern)
	}
	return len(pattern), len(pattern)
}

func hostOf(authority string) string {
	host, _, _ := strings.Cut(authority, ":")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func better(a, b string) int {
	ae, aa := hostRank(a)
	be, ba := hostRank(b)
	return cmp.Or(cmp.Compare(be, ae), cmp.Compare(ba, aa))
}

// naiveMatch is "route/rule" or a status.
func naiveMatch(c *connect.Config, address string, h *message.Head) string {
	host := hostOf(h.Authority)
	var l *connect.Listener
	for _, other := range c.Listeners {
		if other.Address == address && covers(other.Hostname, host) && (l == nil || better(other.Hostname, l.Hostname) < 0) {
			l = other
		}
	}
	if l == nil {
		return "404"
	}
	var all []naive
	for _, r := range c.Routes {
		if len(r.Listeners) > 0 && !slices.Contains(r.Listeners, l.Name) {
			continue
		}
		hosts := r.Hostnames
		if len(hosts) == 0 {
			hosts = []string{l.Hostname}
		}
		for _, name := range hosts {
			if !covers(name, host) {
				continue
			}
			for i, rule := range r.Rules {
				matches := rule.Matches
				if len(matches) == 0 {
					matches = []connect.Match{{}}
				}
				for j, m := range matches {
					if m.Path.Value == "" {
						m.Path.Value = "/"
					}
					if fulfilled(m, h) {
						all = append(all, naive{r, i, j, name, m})
					}
				}
			}
		}
	}
	if len(all) == 0 {
		return "404"
	}
	first := slices.MinFunc(all, precedence)
	return fmt.Sprintf("%s/%d", first.route.Name, first.rule)
}

func precedence(a, b naive) int {
	kind := func(n naive) int {
		return slices.Index([]connect.PathKind{connect.PathExact, connect.PathRegex, connect.PathPrefix}, n.m.Path.Kind)
	}
	without := func(n naive) int {
		if n.m.Method == "" {
			return 1
		}
		return 0
	}
	return cmp.Or(
		better(a.host, b.host),
		cmp.Compare(kind(a), kind(b)),
		cmp.Compare(len(b.m.Path.Value), len(a.m.Path.Value)),
		cmp.Compare(without(a), without(b)),
		cmp.Compare(len(b.m.Headers), len(a.m.Headers)),
		cmp.Compare(len(b.m.Query), len(a.m.Query)),
		a.route.Created.Compare(b.route.Created),
		strings.Compare(a.route.Name, b.route.Name),
		cmp.Compare(a.rule, b.rule),
		cmp.Compare(a.match, b.match),
	)
}

func fulfilled(m connect.Match, h *message.Head) bool {
	path, query, _ := strings.Cut(h.Path, "?")
	switch m.Path.Kind {
	case connect.PathExact:
		if path != m.Path.Value {
			return false
		}
	case connect.PathRegex:
		if !regexp.MustCompile("^(" + m.Path.Value + ")$").MatchString(path) {
			return false
		}
	default:
		trimmed := strings.TrimSuffix(m.Path.Value, "/") + "/"
		if !strings.HasPrefix(path+"/", trimmed) {
			return false
		}
	}
	if m.Method != "" && m.Method != h.Method {
		return false
	}
	for _, v := range m.Headers {
		var values []string
		for _, f := range h.Fields {
			if strings.EqualFold(f.Name, v.Name) {
				values = append(values, f.Value)
			}
		}
		if (values != nil && holds(v, strings.Join(values, ","))) == v.Invert {
			return false
		}
	}
	values, _ := url.ParseQuery(query)
	for _, v := range m.Query {
		list, present := values[v.Name]
		if (present && holds(v, list[0])) == v.Invert {
			return false
		}
	}
	return true
}

func holds(v connect.ValueMatch, s string) bool {
	switch v.Kind {
	case connect.ValueExact:
		return s == v.Value
	case connect.ValueRegex:
		return regexp.MustCompile("^(" + v.Value + ")$").MatchString(s)
	case connect.ValuePrefix:
		return strings.HasPrefix(s, v.Value)
	case connect.ValueSuffix:
		return strings.HasSuffix(s, v.Value)
	default:
		return true
	}
}

// The worlds are small, so that everything collides with everything.
var (
	someHosts  = []string{"", "a.b.c", "b.c", "*.c", "*.b.c", "*.a.b.c", "x.a.b.c", "d"}
	someAsked  = []string{"a.b.c", "b.c", "x.a.b.c", "y.x.a.b.c", "c", "d", "q.c", "A.B.C:80", "X.a.b.C.", "e", "", "x.new.c"}
	someValues = []string{"1", "2", "1,2", "12", "dog"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func somePath(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(4) {
		b.WriteString("/" + pick(r, []string{"a", "b", "ab", "", "c-d"}))
	}
	if b.Len() == 0 || r.IntN(4) == 0 {
		b.WriteByte('/')
	}
	return b.String()
}

func someCondition(r *rand.Rand, name string) connect.ValueMatch {
	kinds := []connect.ValueKind{connect.ValueExact, connect.ValueRegex, connect.ValuePresent, connect.ValuePrefix, connect.ValueSuffix}
	return connect.ValueMatch{Name: name, Kind: pick(r, kinds), Value: pick(r, someValues), Invert: r.IntN(4) == 0}
}

func someMatch(r *rand.Rand) connect.Match {
	m := connect.Match{}
	switch r.IntN(6) {
	case 0:
	case 1, 2:
		m.Path = connect.PathMatch{Kind: connect.PathExact, Value: somePath(r)}
	case 3:
		m.Path = connect.PathMatch{Kind: connect.PathRegex, Value: pick(r, []string{"/a.*", "/.b?", "/[ab]+/.*", "/.*/b", "/.?"})}
	default:
		m.Path = connect.PathMatch{Kind: connect.PathPrefix, Value: somePath(r)}
	}
	if r.IntN(3) == 0 {
		m.Method = pick(r, []string{"GET", "POST"})
	}
	for _, name := range []string{"X-One", "user-agent"} {
		if r.IntN(4) == 0 {
			m.Headers = append(m.Headers, someCondition(r, name))
		}
	}
	for _, name := range []string{"q", "r s"} {
		if r.IntN(5) == 0 {
			m.Query = append(m.Query, someCondition(r, name))
		}
	}
	return m
}

func someRoute(r *rand.Rand, name string, listeners []string) *connect.Route {
	route := &connect.Route{Name: name, Created: time.Unix(int64(r.IntN(3)), 0)}
	if r.IntN(2) == 0 {
		route.Listeners = []string{pick(r, listeners)}
	}
	for range r.IntN(3) {
		if host := pick(r, someHosts); host != "" && !slices.Contains(route.Hostnames, host) {
			route.Hostnames = append(route.Hostnames, host)
		}
	}
	for range 1 + r.IntN(3) {
		rule := connect.Rule{}
		for range r.IntN(4) {
			rule.Matches = append(rule.Matches, someMatch(r))
		}
		route.Rules = append(route.Rules, rule)
	}
	return route
}

func someConfig(r *rand.Rand, routes int) *connect.Config {
	c := &connect.Config{}
	hosts := map[string]bool{}
	for range 1 + r.IntN(4) {
		hosts[pick(r, someHosts)] = true
	}
	var names []string
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		names = append(names, "l"+host)
		c.Listeners = append(c.Listeners, httpListener("l"+host, host))
	}
	for i := range routes {
		c.Routes = append(c.Routes, someRoute(r, fmt.Sprintf("r%d", i), names))
	}
	return c
}

func someRequest(r *rand.Rand) *Request {
	h := &message.Head{Method: pick(r, []string{"GET", "POST", "PUT"}), Authority: pick(r, someAsked), Path: somePath(r)}
	if r.IntN(2) == 0 {
		h.Path += "?" + pick(r, []string{"q=1", "q=%31", "q=2&q=1", "r+s=dog", "r%20s=d%6Fg&q=12", "q", "q=1%2c2"})
	}
	for _, name := range []string{"x-one", "User-Agent", "X-ONE"} {
		if r.IntN(3) == 0 {
			h.Add(message.Lookup(name), name, pick(r, someValues))
		}
	}
	return &Request{Head: h}
}

func TestMatchEqualsNaive(t *testing.T) {
	found := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := someConfig(r, 1+r.IntN(20))
		a := compileAll(t, c).Address(addr)
		req := &Request{}
		for range 100 {
			req.Head = someRequest(r).Head
			got, want := name(a.Match(req)), naiveMatch(c, addr, req.Head)
			if got != want {
				t.Fatalf("seed %d: %+v is %s, want %s", seed, req.Head, got, want)
			}
			if want != "404" {
				found++
			}
		}
	}
	if found < 10000 {
		t.Errorf("only %d of 30,000 requests have a rule; the test says too little", found)
	}
}

// A table that was changed step by step is the one that is built at once.
func TestCompileIncrementally(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		c := someConfig(r, 12)
		var names []string
		for _, l := range c.Listeners {
			names = append(names, l.Name)
		}
		table := compileAll(t, c)
		for step := range 15 {
			was := c
			c = &connect.Config{Listeners: slices.Clone(c.Listeners), Routes: slices.Clone(c.Routes)}
			at := r.IntN(len(c.Routes))
			switch r.IntN(5) {
			case 0:
				if len(c.Routes) > 1 {
					c.Routes = slices.Delete(c.Routes, at, at+1)
				}
			case 1:
				c.Routes = slices.Insert(c.Routes, at, someRoute(r, fmt.Sprintf("n%d", step), names))
			case 2:
				c.Routes[at] = someRoute(r, c.Routes[at].Name, names)
			case 3:
				other := r.IntN(len(c.Routes))
				c.Routes[at], c.Routes[other] = c.Routes[other], c.Routes[at]
			default:
				l := *c.Listeners[0]
				if r.IntN(2) == 0 {
					l.Hostname = "*.new.c"
				}
				c.Listeners[0] = &l
			}
			next, err := Compile(c, table)
			if err != nil {
				t.Fatal(err)
			}
			before := table
			table = next
			for range 60 {
				req := someRequest(r)
				if got, want := name(before.Address(addr).Match(req)), naiveMatch(was, addr, req.Head); got != want {
					t.Fatalf("seed %d, step %d: in the table before, %+v is %s, want %s", seed, step, req.Head, got, want)
				}
				if got, want := name(table.Address(addr).Match(req)), naiveMatch(c, addr, req.Head); got != want {
					t.Fatalf("seed %d, step %d: %+v is %s, want %s", seed, step, req.Head, got, want)
				}
			}
		}
	}
}

// Precedence is a total order: never both ways, never none, and transitive.
func TestCompareIsTotalOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	table := compileAll(t, someConfig(r, 25))
	var all []*match
	for _, route := range table.Routes() {
		for i := range route.matches {
			all = append(all, &route.matches[i])
		}
	}
	for i, a := range all {
		for j, b := range all {
			if got := compare(a, b); (got == 0) != (i == j) || got != -compare(b, a) {
				t.Fatalf("compare(%d, %d) is %d, the other way %d", i, j, got, compare(b, a))
			}
		}
	}
	for range 200_000 {
		a, b, c := pick(r, all), pick(r, all), pick(r, all)
		if compare(a, b) < 0 && compare(b, c) < 0 && compare(a, c) >= 0 {
			t.Fatal("not transitive")
		}
	}
}

func FuzzMatch(f *testing.F) {
	c := someConfig(rand.New(rand.NewPCG(3, 3)), 30)
	c.Listeners = []*connect.Listener{httpListener("l", "")}
	for _, r := range c.Routes {
		r.Listeners = nil
	}
	a := compileAll(f, c).Address(addr)
	f.Add("a.b.c", "/a/b?q=1", "GET", "1")
	f.Add("X.A.b.C.:80", "//a/%2e?q=%31&r+s=%", "POST", "")
	f.Fuzz(func(t *testing.T, host, target, method, value string) {
		target, err := Normalize(target)
		if err != nil {
			return
		}
		h := &message.Head{Method: method, Authority: host, Path: target}
		h.Add(message.IDUserAgent, "User-Agent", value)
		got := a.Match(&Request{Head: h})
		if got.Prefix > len(target) {
			t.Fatalf("prefix %d of %q", got.Prefix, target)
		}
		// What url.ParseQuery and hostOf know only for what is well formed.
		if strings.ContainsAny(target, ";%") || strings.ContainsAny(host, "[]:") || strings.HasSuffix(host, ".") || !isASCII(host+target+value) {
			return
		}
		if want := naiveMatch(c, addr, h); name(got) != want && strings.HasPrefix(target, "/") {
			t.Fatalf("%q %q %q %q is %s, want %s", method, host, target, value, name(got), want)
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 || r == '\n' })
}
