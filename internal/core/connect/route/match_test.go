package route

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

const addr = "127.0.0.1:8080"

func compileAll(tb testing.TB, c *connect.Config) *Table {
	tb.Helper()
	table, err := Compile(c, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return table
}

// get is a request as "METHOD host target" or "host target", with header fields.
func get(line string, fields ...string) *Request {
	parts := strings.Fields(line)
	method := "GET"
	if len(parts) == 3 {
		method, parts = parts[0], parts[1:]
	}
	h := &message.Head{Method: method, Authority: parts[0], Path: parts[1]}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Add(message.Lookup(name), name, value)
	}
	return &Request{Head: h}
}

// name says which rule a result is, as "route/rule".
func name(r Result) string {
	if r.Rule == nil {
		return fmt.Sprint(r.Reason.Status())
	}
	return fmt.Sprintf("%s/%d", r.Rule.Route.Config.Name, r.Rule.Index)
}

func httpListener(name, host string) *connect.Listener {
	return &connect.Listener{Name: name, Address: addr, Hostname: host}
}

func prefix(path string) connect.Match {
	return connect.Match{Path: connect.PathMatch{Kind: connect.PathPrefix, Value: path}}
}

func exact(path string) connect.Match {
	return connect.Match{Path: connect.PathMatch{Kind: connect.PathExact, Value: path}}
}

func regex(path string) connect.Match {
	return connect.Match{Path: connect.PathMatch{Kind: connect.PathRegex, Value: path}}
}

func rule(matches ...connect.Match) connect.Rule { return connect.Rule{Matches: matches} }

// Listener isolation: the conformance test GatewayHTTPListenerIsolation.
func TestListenerIsolation(t *testing.T) {
	hosts := map[string]string{
		"empty": "", "wildcard": "*.example.com", "foo": "*.foo.example.com", "abc": "abc.foo.example.com",
	}
	for _, withRoutes := range []bool{false, true} {
		c := &connect.Config{}
		for name, host := range hosts {
			c.Listeners = append(c.Listeners, httpListener(name, host))
			r := &connect.Route{Name: name, Listeners: []string{name}, Rules: []connect.Rule{rule(prefix("/" + name))}}
			if withRoutes {
				r.Hostnames = []string{"bar.com", "*.example.com", "*.foo.example.com", "abc.foo.example.com"}
			}
			c.Routes = append(c.Routes, r)
		}
		a := compileAll(t, c).Address(addr)
		for _, tc := range []struct{ host, owner string }{
			{"bar.com", "empty"},
			{"bar.example.com", "wildcard"},
			{"bar.foo.example.com", "foo"},
			{"abc.foo.example.com", "abc"},
			{"ABC.Foo.Example.COM.:8080", "abc"},
			{"x.abc.foo.example.com", "foo"},
		} {
			for path := range hosts {
				want := "404"
				if path == tc.owner {
					want = path + "/0"
				}
				if got := name(a.Match(get(tc.host + " /" + path))); got != want {
					t.Errorf("routes have hostnames %v: %s/%s is %s, want %s", withRoutes, tc.host, path, got, want)
				}
			}
		}
	}
}

// Hostnames: the conformance test HTTPRouteHostnameIntersection.
func TestHostnameIntersection(t *testing.T) {
	c := &connect.Config{
		Listeners: []*connect.Listener{
			httpListener("listener-1", "very.specific.com"),
			httpListener("listener-2", "*.wildcard.io"),
			httpListener("listener-3", "*.anotherwildcard.io"),
		},
		Routes: []*connect.Route{
			{Name: "s1", Hostnames: []string{"non.matching.com", "*.nonmatchingwildcard.io", "very.specific.com"}, Rules: []connect.Rule{rule(prefix("/s1"))}},
			{Name: "s2", Hostnames: []string{"non.matching.com", "wildcard.io", "foo.wildcard.io", "bar.wildcard.io", "foo.bar.wildcard.io"}, Rules: []connect.Rule{rule(prefix("/s2"))}},
			{Name: "s3", Hostnames: []string{"non.matching.com", "*.specific.com"}, Rules: []connect.Rule{rule(prefix("/s3"))}},
			{Name: "s4", Hostnames: []string{"*.anotherwildcard.io"}, Rules: []connect.Rule{rule(prefix("/s4"))}},
			{Name: "s5", Hostnames: []string{"specific.but.wrong.com", "wildcard.io"}, Rules: []connect.Rule{rule(prefix("/s5"))}},
		},
	}
	a := compileAll(t, c).Address(addr)
	for _, tc := range []struct{ line, want string }{
		{"very.specific.com /s1", "s1/0"},
		{"very.specific.com:1234 /s1", "s1/0"},
		{"non.matching.com /s1", "404"},
		{"foo.nonmatchingwildcard.io /s1", "404"},
		{"foo.wildcard.io /s1", "404"},
		{"very.specific.com /non-matching-prefix", "404"},
		{"foo.wildcard.io /s2", "s2/0"},
		{"bar.wildcard.io /s2", "s2/0"},
		{"foo.bar.wildcard.io /s2", "s2/0"},
		{"wildcard.io /s2", "404"},
		{"very.specific.com /s3", "s3/0"},
		{"foo.specific.com /s3", "404"},
		{"foo.anotherwildcard.io /s4", "s4/0"},
		{"foo.bar.anotherwildcard.io /s4", "s4/0"},
		{"anotherwildcard.io /s4", "404"},
		{"specific.but.wrong.com /s5", "404"},
		{"wildcard.io /s5", "404"},
	} {
		if got := name(a.Match(get(tc.line))); got != tc.want {
			t.Errorf("%s is %s, want %s", tc.line, got, tc.want)
		}
	}
}

// One listener, many rules: order and every kind of match.
func TestMatch(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	header := func(path string, values ...connect.ValueMatch) connect.Match {
		m := prefix(path)
		m.Headers = values
		return m
	}
	query := func(path string, values ...connect.ValueMatch) connect.Match {
		m := prefix(path)
		m.Query = values
		return m
	}
	method := func(path, method string) connect.Match {
		m := prefix(path)
		m.Method = method
		return m
	}
	one := func(name string, kind connect.ValueKind, value string) connect.ValueMatch {
		return connect.ValueMatch{Name: name, Kind: kind, Value: value}
	}
	not := func(v connect.ValueMatch) connect.ValueMatch { v.Invert = true; return v }
	tests := []struct {
		name   string
		routes []*connect.Route
		want   map[string]string
		fields []string
	}{
		{
			name: "path order", // HTTPRoutePathMatchOrder
			routes: []*connect.Route{{Name: "r", Rules: []connect.Rule{
				rule(prefix("/match")), rule(prefix("/match/exact"), prefix("/match/prefix/one")), rule(exact("/match/exact/one")),
				rule(prefix("/match/prefix/")), rule(exact("/match")), rule(regex("/match/[0-9]+/x")), rule(exact("/match/7/x")),
			}}},
			want: map[string]string{
				"a /match/exact/one":      "r/2",
				"a /match/exact/one/":     "r/1",
				"a /match/exact":          "r/1",
				"a /match":                "r/4",
				"a /match?x=/match/exact": "r/4",
				"a /match/":               "r/0",
				"a /matches":              "404",
				"a /match/prefix/one/any": "r/1",
				"a /match/prefix":         "r/3",
				"a /match/prefix/any":     "r/3",
				"a /match/prefixes":       "r/0",
				"a /match/8/x":            "r/5",
				"a /match/8/x/y":          "r/0",
				"a /match/7/x":            "r/6",
				"a /Match":                "404",
				"a //match":               "404",
			},
		},
		{
			name: "hosts: exact, longest wildcard, any; the next when one has no rule",
			routes: []*connect.Route{
				{Name: "any", Rules: []connect.Rule{rule(prefix("/any")), rule(prefix("/all"))}},
				{Name: "wide", Hostnames: []string{"*.b.c"}, Rules: []connect.Rule{rule(exact("/all")), rule(prefix("/wide"))}},
				{Name: "narrow", Hostnames: []string{"*.a.b.c"}, Rules: []connect.Rule{rule(prefix("/all"))}},
				{Name: "exact", Hostnames: []string{"x.a.b.c"}, Rules: []connect.Rule{rule(prefix("/"), method("/all", "PUT"))}},
			},
			want: map[string]string{
				"x.a.b.c /all":       "exact/0",
				"x.a.b.c /wide":      "exact/0",
				"y.a.b.c /all":       "narrow/0",
				"z.y.a.b.c /all":     "narrow/0",
				"y.a.b.c /wide":      "wide/1",
				"a.b.c /all":         "wide/0",
				"b.c /all":           "any/1",
				"y.a.b.c /any":       "any/0",
				"Y.A.b.c.:99 /wide":  "wide/1",
				"[::1]:80 /any":      "any/0",
				".a.b.c /all":        "wide/0",
				"y.a.b.c /elsewhere": "404",
			},
		},
		{
			name: "method, then headers, then query, then age, then name, then order",
			routes: []*connect.Route{
				{Name: "young", Created: day(9), Rules: []connect.Rule{rule(prefix("/a"))}},
				{Name: "old-b", Created: day(1), Rules: []connect.Rule{
					rule(prefix("/a")), rule(prefix("/a")), rule(query("/a", one("q", connect.ValueExact, "1"))),
				}},
				{Name: "old-a", Created: day(1), Rules: []connect.Rule{
					rule(header("/a", one("X-H", connect.ValueExact, "1"))), rule(method("/a", "POST")),
				}},
				{Name: "old-a2", Created: day(1), Rules: []connect.Rule{rule(prefix("/a"), prefix("/b"))}},
				{Name: "more", Created: day(5), Rules: []connect.Rule{
					rule(header("/h", one("x-h", connect.ValueExact, "1"))),
					rule(header("/h", one("x-h", connect.ValueExact, "1"), one("X-H", connect.ValueExact, "2"), one("y", connect.ValuePresent, ""))),
				}},
			},
			fields: []string{"x-h: 1", "Y: "},
			want: map[string]string{
				"POST a /a?q=1": "old-a/1",
				"a /a?q=1":      "old-a/0",
				"a /b":          "old-a2/0",
				"a /h":          "more/1",
			},
		},
		{
			name: "age without headers",
			routes: []*connect.Route{
				{Name: "young", Created: day(9), Rules: []connect.Rule{rule(prefix("/a"))}},
				{Name: "old-b", Created: day(1), Rules: []connect.Rule{rule(prefix("/a"))}},
				{Name: "old-a", Created: day(1), Rules: []connect.Rule{rule(), rule(prefix("/a")), rule(prefix("/a"))}},
			},
			want: map[string]string{"a /a": "old-a/1", "a /": "old-a/0", "OPTIONS a *": "old-a/0"},
		},
		{
			name: "kinds of values",
			routes: []*connect.Route{{Name: "r", Rules: []connect.Rule{
				rule(header("/exact", one("List", connect.ValueExact, "a,b"))),
				rule(header("/regex", one("list", connect.ValueRegex, "[a-c],."))),
				rule(header("/part", one("list", connect.ValueRegex, "a"))),
				rule(header("/present", one("empty", connect.ValuePresent, ""))),
				rule(header("/prefix", one("list", connect.ValuePrefix, "a,"))),
				rule(header("/suffix", one("list", connect.ValueSuffix, ",b"))),
				rule(header("/range", one("n", connect.ValueRange, "-10-20"))),
				rule(header("/not-range", not(one("n", connect.ValueRange, "10-19")))),
				rule(header("/not-there", not(one("missing", connect.ValuePresent, "")))),
				rule(header("/not-equal", not(one("missing", connect.ValueExact, "x")))),
				rule(header("/host", one("host", connect.ValuePrefix, "a"))),
				rule(header("/no-number", one("list", connect.ValueRange, "0-9"))),
				rule(header("/ua", one("user-agent", connect.ValueSuffix, "8"))),
			}}},
			fields: []string{"list: a", "LIST: b", "n: 19", "empty: ", "User-Agent: curl/8"},
			want: map[string]string{
				"a /exact": "r/0", "a /regex": "r/1", "a /part": "404", "a /present": "r/3", "a /prefix": "r/4",
				"a /suffix": "r/5", "a /range": "r/6", "a /not-range": "r/7", "a /not-there": "r/8", "a /not-equal": "r/9",
				"a /host": "r/10", "a /no-number": "404", "a /ua": "r/12",
			},
		},
		{
			name: "query",
			routes: []*connect.Route{{Name: "r", Rules: []connect.Rule{
				rule(query("/", one("animal", connect.ValueExact, "blue whale"))),
				rule(query("/", one("animal", connect.ValueRegex, "d.g"))),
				rule(query("/", one("a b", connect.ValuePresent, ""))),
				rule(query("/", one("n", connect.ValueRange, "0-10"), one("m", connect.ValueSuffix, "ü"))),
			}}},
			want: map[string]string{
				"a /?animal=blue+whale":        "r/0",
				"a /?x&animal=blue%20whale":    "r/0",
				"a /?animal=dog":               "r/1",
				"a /?animal=%64og":             "r/1",
				"a /?animal=dogs":              "404",
				"a /?animal=cat&animal=dog":    "404",
				"a /?Animal=dog":               "404",
				"a /?a%20b":                    "r/2",
				"a /?n=9&m=%C3%BC":             "r/3",
				"a /?n=%39&m=xx%c3%bc":         "r/3",
				"a /?n=10&m=%C3%BC":            "404",
				"a /?n=99999999999999999999&m": "404",
				"a /?animal=%zz":               "404",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &connect.Config{Listeners: []*connect.Listener{httpListener("l", "")}, Routes: tt.routes}
			a := compileAll(t, c).Address(addr)
			for line, want := range tt.want {
				if got := name(a.Match(get(line, tt.fields...))); got != want {
					t.Errorf("%s is %s, want %s", line, got, want)
				}
			}
		})
	}
}

func TestMatchPrefixLength(t *testing.T) {
	c := &connect.Config{Listeners: []*connect.Listener{httpListener("l", "")}, Routes: []*connect.Route{
		{Name: "r", Rules: []connect.Rule{rule(prefix("/a/b/")), rule(prefix("/")), rule(exact("/e"))}},
	}}
	a := compileAll(t, c).Address(addr)
	for line, want := range map[string]int{"a /a/b": 4, "a /a/b/c": 4, "a /x": 0, "a /e": 0, "a *": 0} {
		if got := a.Match(get(line)).Prefix; got != want {
			t.Errorf("%s: prefix %d, want %d", line, got, want)
		}
	}
}

// The conformance test HTTPRouteHTTPSListenerDetectMisdirectedRequests.
func TestMisdirected(t *testing.T) {
	https := func(name, host string) *connect.Listener {
		return &connect.Listener{Name: name, Address: addr, Protocol: connect.ProtocolHTTPS, Hostname: host}
	}
	all := []connect.Rule{rule(prefix("/detect-misdirected-requests"))}
	c := &connect.Config{
		Listeners: []*connect.Listener{
			https("https", ""), https("second", "second-example.org"), https("wildcard", "*.wildcard.org"),
			https("fourth", "fourth-example.wildcard.org"),
			{Name: "pass", Address: addr, Protocol: connect.ProtocolTLS, Hostname: "pass.example.org"},
		},
		Routes: []*connect.Route{
			{Name: "1", Listeners: []string{"https"}, Hostnames: []string{"example.org"}, Rules: all},
			{Name: "2", Listeners: []string{"second"}, Rules: all},
			{Name: "3", Listeners: []string{"wildcard"}, Hostnames: []string{"third-example.wildcard.org", "fourth-example.wildcard.org", "fith-example.wildcard.org"}, Rules: all},
			{Name: "4", Listeners: []string{"fourth"}, Hostnames: []string{"third-example.wildcard.org", "fourth-example.wildcard.org"}, Rules: all},
		},
	}
	a := compileAll(t, c).Address(addr)
	for _, tc := range []struct{ sni, host, want string }{
		{"example.org", "example.org", "1/0"},
		{"example.org", "Example.org:443", "1/0"},
		{"example.org", "second-example.org", "421"},
		{"example.org", "unknown-example.org", "404"},
		{"second-example.org", "second-example.org", "2/0"},
		{"second-example.org", "example.org", "421"},
		{"second-example.org", "unknown-example.org", "421"},
		{"third-example.wildcard.org", "third-example.wildcard.org", "3/0"},
		{"third-example.wildcard.org", "fith-example.wildcard.org", "3/0"},
		{"third-example.wildcard.org", "fourth-example.wildcard.org", "421"},
		{"third-example.wildcard.org", "second-example.org", "421"},
		{"third-example.wildcard.org", "unknown-example.org", "421"},
		{"fourth-example.wildcard.org", "fourth-example.wildcard.org", "4/0"},
		{"fourth-example.wildcard.org", "fith-example.wildcard.org", "421"},
		{"unknown-example.org", "example.org", "1/0"},
		{"unknown-example.org", "unknown-example.org", "404"},
		{"", "second-example.org", "421"},
		{"pass.example.org", "example.org", "421"},
		{"pass.example.org", "pass.example.org", "421"},
	} {
		r := get(tc.host + " /detect-misdirected-requests")
		r.SNI, r.TLS = tc.sni, true
		if got := name(a.Match(r)); got != tc.want {
			t.Errorf("SNI %s, host %s is %s, want %s", tc.sni, tc.host, got, tc.want)
		}
	}
}

func TestMatchStream(t *testing.T) {
	tls := func(name, host string) *connect.Listener {
		return &connect.Listener{Name: name, Address: addr, Protocol: connect.ProtocolTLS, Hostname: host}
	}
	c := &connect.Config{
		Listeners: []*connect.Listener{
			tls("any", ""), tls("wild", "*.example.com"),
			{Name: "https", Address: addr, Protocol: connect.ProtocolHTTPS, Hostname: "web.example.com"},
			{Name: "tcp", Address: "127.0.0.1:9", Protocol: connect.ProtocolTCP},
		},
		StreamRoutes: []*connect.StreamRoute{
			{Name: "young", Hostnames: []string{"a.example.com"}, Created: time.Unix(9, 0)},
			{Name: "old", Hostnames: []string{"a.example.com", "*.example.com"}, Created: time.Unix(1, 0), Backends: []connect.Backend{{Cluster: "c", Weight: 1}}},
			{Name: "b", Hostnames: []string{"b.example.com"}},
			{Name: "all", Listeners: []string{"any"}},
			{Name: "bytes"},
		},
	}
	table := compileAll(t, c)
	for _, tc := range []struct{ address, sni, listener, stream string }{
		{addr, "a.example.com", "wild", "old"},
		{addr, "A.Example.COM", "wild", "old"},
		{addr, "b.example.com", "wild", "b"},
		{addr, "x.y.example.com", "wild", "old"},
		{addr, "web.example.com", "https", ""},
		{addr, "other.org", "any", "all"},
		{addr, "", "any", "all"},
		{"127.0.0.1:9", "", "tcp", "bytes"},
		{"127.0.0.1:9", "a.example.com", "tcp", "bytes"},
	} {
		got := table.Address(tc.address).MatchStream(tc.sni)
		stream := ""
		if got.Stream != nil {
			stream = got.Stream.Config.Name
		}
		if got.Listener == nil || got.Listener.Config.Name != tc.listener || stream != tc.stream || got.Reason != Matched {
			t.Errorf("%s with %q goes to %+v (%s), want %s and %s", tc.address, tc.sni, got.Listener, stream, tc.listener, tc.stream)
		}
	}
	r := table.Address(addr).MatchStream("a.example.com")
	if b := r.Stream.Pick(); b == nil || b.Cluster != "c" {
		t.Errorf("picked %v, want cluster c", b)
	}
	if b := table.Address("127.0.0.1:9").MatchStream("").Stream.Pick(); b != nil {
		t.Errorf("picked %v from no backends", b)
	}
	only := compileAll(t, &connect.Config{Listeners: []*connect.Listener{tls("x", "x.org")}}).Address(addr)
	if got := only.MatchStream("y.org"); got.Reason != NoListener {
		t.Errorf("foreign name: %v, want no listener", got.Reason)
	}
	if got := only.MatchStream("x.org"); got.Reason != NoRoute {
		t.Errorf("listener without routes: %v, want no route", got.Reason)
	}
}
