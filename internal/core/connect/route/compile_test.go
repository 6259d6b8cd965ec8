package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

func TestCompileErrors(t *testing.T) {
	one := func(r connect.Rule) *connect.Route { return &connect.Route{Name: "ns/r", Rules: []connect.Rule{{}, r}} }
	withFilter := func(f connect.Filters) *connect.Route { return one(connect.Rule{Filters: f}) }
	withHeader := func(v connect.ValueMatch) *connect.Route {
		return one(connect.Rule{Matches: []connect.Match{{}, {Headers: []connect.ValueMatch{v}}}})
	}
	set := func(line string) *connect.Route {
		return withFilter(connect.Filters{RequestHeaders: connect.HeaderEdit{Set: values(line)}})
	}
	replace := connect.PathModifier{Kind: connect.ReplacePrefix, Value: "/x"}
	for _, tc := range []struct {
		route *connect.Route
		want  string
	}{
		{&connect.Route{Name: "ns/r", Listeners: []string{"l", "nope"}}, `route ns/r: listeners[1]: there is no listener "nope"`},
		{&connect.Route{Name: "ns/r", Listeners: []string{"tcp"}}, `route ns/r: listeners[0]: listener "tcp" carries streams`},
		{&connect.Route{Name: "ns/r", Hostnames: []string{"ok.org", "a.*.b"}}, `route ns/r: hostnames[1]: "a.*.b"`},
		{&connect.Route{Name: "ns/r", Hostnames: []string{""}}, `route ns/r: hostnames[0]: ""`},
		{&connect.Route{Name: "ns/r", Hostnames: []string{"*."}}, `route ns/r: hostnames[0]`},
		{&connect.Route{Name: "ns/r", Hostnames: []string{"a..b"}}, `route ns/r: hostnames[0]`},
		{&connect.Route{Name: "ns/r", Hostnames: []string{strings.Repeat("a", 64) + ".b"}}, `route ns/r: hostnames[0]`},
		{one(rule(prefix("x"))), `route ns/r: rules[1].matches[0].path: "x" is no path`},
		{one(rule(exact(""))), `rules[1].matches[0].path: "" is no path`},
		{one(rule(exact("/a?b"))), `rules[1].matches[0].path`},
		{one(rule(prefix("/../b"))), `rules[1].matches[0].path`},
		{one(rule(prefix("/"), regex("("))), `rules[1].matches[1].path: error parsing regexp`},
		{one(rule(regex("a)(b"))), `rules[1].matches[0].path: error parsing regexp`},
		{one(rule(regex("((a{100}){100}){100}"))), `rules[1].matches[0].path`},
		{one(rule(regex("(a{50}){900}b"))), `rules[1].matches[0].path`},
		{one(rule(regex(strings.Repeat("a{999}", 10)))), `rules[1].matches[0].path: expression`},
		{one(rule(regex(strings.Repeat("a", 1025)))), `rules[1].matches[0].path: the expression has 1025 bytes`},
		{one(rule(connect.Match{Method: "GE T"})), `rules[1].matches[0].method: "GE T" is no method`},
		{withHeader(connect.ValueMatch{Name: "a b"}), `rules[1].matches[1].headers[0].name: "a b"`},
		{withHeader(connect.ValueMatch{Name: "a", Kind: connect.ValueRange, Value: "20-10"}), `rules[1].matches[1].headers[0].value: "20-10" is no range`},
		{withHeader(connect.ValueMatch{Name: "a", Kind: 99}), `rules[1].matches[1].headers[0].kind`},
		{one(rule(connect.Match{Query: []connect.ValueMatch{{}}})), `rules[1].matches[0].query[0].name: it is empty`},
		{set("Connection: close"), `rules[1].filters.requestHeaders.set[0].name: "Connection" belongs to the connection`},
		{set("Content-Length: 1"), `requestHeaders.set[0].name`},
		{set("Host: "), `requestHeaders.set[0].name`},
		{set("x: a\r\nb: c"), `rules[1].filters.requestHeaders.set[0].value`},
		{set(":path: x"), `requestHeaders.set[0].name`},
		{withFilter(connect.Filters{ResponseHeaders: connect.HeaderEdit{Set: values("Host: x")}}), `responseHeaders.set[0].name`},
		{withFilter(connect.Filters{RequestHeaders: connect.HeaderEdit{Add: values("Host: x")}}), `requestHeaders.add[0].name`},
		{withFilter(connect.Filters{RequestHeaders: connect.HeaderEdit{Remove: []string{"host"}}}), `requestHeaders.remove[0]`},
		{one(connect.Rule{Backends: []connect.Backend{{RequestHeaders: connect.HeaderEdit{Set: values("TE: x")}}}}), `rules[1].backends[0].requestHeaders.set[0].name`},
		{withFilter(connect.Filters{Redirect: &connect.Redirect{}, Rewrite: &connect.Rewrite{}}), `rules[1].filters: a rule cannot both redirect and rewrite`},
		{withFilter(connect.Filters{Redirect: &connect.Redirect{Scheme: "ftp"}}), `redirect.scheme: "ftp"`},
		{withFilter(connect.Filters{Redirect: &connect.Redirect{Status: 200}}), `redirect.status: 200`},
		{withFilter(connect.Filters{Redirect: &connect.Redirect{Hostname: "a/b"}}), `redirect.hostname`},
		{withFilter(connect.Filters{Rewrite: &connect.Rewrite{Path: connect.PathModifier{Kind: connect.ReplaceFull, Value: "x"}}}), `rewrite.path: "x" is no path`},
		{withFilter(connect.Filters{Rewrite: &connect.Rewrite{Path: connect.PathModifier{Kind: connect.ReplaceFull, Value: "/x?y"}}}), `rewrite.path: "/x?y" has a query`},
		{one(connect.Rule{Matches: []connect.Match{prefix("/"), exact("/a")}, Filters: connect.Filters{Rewrite: &connect.Rewrite{Path: replace}}}), `rewrite.path: a prefix can only be replaced where all matches are by prefix; matches[1] is not`},
		{withFilter(connect.Filters{Direct: &connect.DirectResponse{Status: 100}}), `direct.status: 100`},
		{withFilter(connect.Filters{Mirrors: []connect.Mirror{{Numerator: 2, Denominator: 1}}}), `mirrors[0]`},
		{withFilter(connect.Filters{CORS: &connect.CORS{AllowOrigins: []string{"foo.com"}}}), `cors.allowOrigins[0]`},
		{withFilter(connect.Filters{CORS: &connect.CORS{AllowOrigins: []string{"https://a*.com"}}}), `cors.allowOrigins[0]`},
		{withFilter(connect.Filters{CORS: &connect.CORS{AllowHeaders: []string{"a,b"}}}), `cors.allowHeaders[0]`},
		{one(connect.Rule{Backends: []connect.Backend{{Weight: 1}, {Weight: 1_000_001}}}), `rules[1].backends[1].weight: 1000001 is too large`},
		{one(connect.Rule{Backends: make([]connect.Backend, 257)}), `rules[1].backends: there are 257`},
		{one(connect.Rule{RateLimit: &connect.RateLimit{}}), `rules[1].rateLimit`},
		{one(connect.Rule{Session: &connect.Session{}}), `rules[1].session`},
		{one(connect.Rule{Session: &connect.Session{Cookie: "a;b"}}), `rules[1].session`},
	} {
		c := &connect.Config{
			Listeners: []*connect.Listener{httpListener("l", ""), {Name: "tcp", Address: "127.0.0.1:9", Protocol: connect.ProtocolTCP}},
			Routes:    []*connect.Route{tc.route},
		}
		table, err := Compile(c, nil)
		var p *Problem
		if table != nil || err == nil || !strings.Contains(err.Error(), tc.want) || !errors.As(err, &p) || p.Name != "ns/r" {
			t.Errorf("got %v, want %q", err, tc.want)
		}
		if tc.route.Listeners == nil && Check(tc.route) == nil {
			t.Errorf("Check finds nothing, want %q", tc.want)
		}
	}
}

func TestCompileListenerErrors(t *testing.T) {
	at := func(name string, p connect.Protocol, host string) *connect.Listener {
		return &connect.Listener{Name: name, Address: addr, Protocol: p, Hostname: host}
	}
	for _, tc := range []struct {
		name      string
		listeners []*connect.Listener
		want      string
	}{
		{"name", []*connect.Listener{at("a", 0, ""), at("a", 0, "x.org")}, "listener a: name: there are two"},
		{"hostname", []*connect.Listener{at("a", 0, "*")}, `listener a: hostname: "*"`},
		{"same hostname", []*connect.Listener{at("a", 0, "x.org"), at("b", 0, "X.org.")}, `listener b: hostname: listener "a" has the same`},
		{"HTTP and HTTPS", []*connect.Listener{at("a", 0, ""), at("b", connect.ProtocolHTTPS, "x.org")}, "listener b: protocol"},
		{"TCP twice", []*connect.Listener{at("a", connect.ProtocolTCP, ""), at("b", connect.ProtocolTCP, "")}, "listener b: protocol"},
		{"HTTPS and TLS", []*connect.Listener{at("a", connect.ProtocolTLS, "y.org"), at("b", connect.ProtocolHTTPS, "x.org")}, ""},
	} {
		_, err := Compile(&connect.Config{Listeners: tc.listeners}, nil)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	c := &connect.Config{StreamRoutes: []*connect.StreamRoute{{Name: "s", Listeners: []string{"x"}}}}
	if _, err := Compile(c, nil); err == nil || !strings.Contains(err.Error(), "stream route s: listeners[0]") {
		t.Errorf("stream route without listener: %v", err)
	}
}

func TestCompileBoundsErrors(t *testing.T) {
	c := &connect.Config{}
	for i := range 500 {
		c.Routes = append(c.Routes, &connect.Route{Name: fmt.Sprint("r", i), Rules: []connect.Rule{rule(prefix("x"))}})
	}
	_, err := Compile(c, nil)
	if lines := strings.Split(err.Error(), "\n"); len(lines) != maxProblems+1 || !strings.Contains(lines[maxProblems], "450 more") {
		t.Errorf("got %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

// What did not change keeps its value and counters; a failed change changes nothing.
func TestCompileTakesOver(t *testing.T) {
	limited := func(n int, path string) *connect.Route {
		return &connect.Route{Name: fmt.Sprint("r", n), Hostnames: []string{fmt.Sprintf("h%d.org", n)}, Created: time.Unix(int64(n), 0), Rules: []connect.Rule{{
			Matches: []connect.Match{prefix(path)}, RateLimit: &connect.RateLimit{Requests: 1, Interval: time.Hour},
			Backends: []connect.Backend{{Cluster: "a", Weight: 1}, {Cluster: "b", Weight: 1}},
		}}}
	}
	c := &connect.Config{
		Listeners: []*connect.Listener{httpListener("l", "")}, Routes: []*connect.Route{limited(0, "/"), limited(1, "/"), limited(2, "/")},
		StreamRoutes: []*connect.StreamRoute{{Name: "s"}},
	}
	first := compileAll(t, c)
	second := &connect.Config{Listeners: c.Listeners, Routes: slices.Clone(c.Routes), StreamRoutes: c.StreamRoutes}
	second.Routes[1] = limited(1, "/new")
	first.routes[1].Rules[0].Limit.Allow(1)
	table, err := Compile(second, first)
	if err != nil {
		t.Fatal(err)
	}
	if table.routes[0] != first.routes[0] || table.routes[2] != first.routes[2] || table.routes[1] == first.routes[1] || table.streams[0] != first.streams[0] {
		t.Error("the wrong routes were taken over")
	}
	if table.listeners[0].hosts.exact["h0.org"] != first.listeners[0].hosts.exact["h0.org"] || table.listeners[0].hosts.exact["h1.org"] == first.listeners[0].hosts.exact["h1.org"] {
		t.Error("the wrong hosts were arranged anew")
	}
	if table.routes[1].Rules[0].Limit.Allow(2) {
		t.Error("a changed route forgot its rate limit, which did not change")
	}
	same, err := Compile(&connect.Config{Listeners: c.Listeners, Routes: second.Routes, StreamRoutes: c.StreamRoutes}, table)
	if err != nil || same.listeners[0] != table.listeners[0] || same.Address(addr) != table.Address(addr) {
		t.Errorf("nothing changed, but listeners did: %v", err)
	}
	bad := *second
	bad.Routes = append(slices.Clone(second.Routes), limited(3, "x"))
	if _, err := Compile(&bad, table); err == nil {
		t.Error("a bad route was taken")
	}
	if got := name(table.Address(addr).Match(get("h1.org /new"))); got != "r1/0" {
		t.Errorf("after a refused change: %s", got)
	}
	if got := table.Addresses(); len(got) != 1 || got[0].Name != addr || table.Listeners()[0].Port != 8080 {
		t.Errorf("addresses %+v", got)
	}
}

func TestPick(t *testing.T) {
	r := oneRule(t, connect.Rule{Backends: []connect.Backend{{Cluster: "a", Weight: 3}, {Cluster: "off"}, {Cluster: "b", Weight: 1, Invalid: true}}})
	counts := map[string]int{}
	for range 400 {
		counts[r.Pick().Config.Cluster]++
	}
	if counts["a"] != 300 || counts["b"] != 100 {
		t.Errorf("picked %v", counts)
	}
	if oneRule(t, connect.Rule{Backends: []connect.Backend{{Cluster: "off"}}}).Pick() != nil || oneRule(t, connect.Rule{}).Pick() != nil {
		t.Error("picked where no backend has a weight")
	}
}

// A listener that speaks something else afterwards has nothing of before.
func TestCompileChangedProtocol(t *testing.T) {
	l := func(p connect.Protocol) []*connect.Listener {
		return []*connect.Listener{{Name: "l", Address: addr, Protocol: p}}
	}
	routes := []*connect.Route{{Name: "r", Rules: []connect.Rule{rule()}}}
	streams := []*connect.StreamRoute{{Name: "tcp"}, {Name: "tls", Hostnames: []string{"a.org"}}}
	table := compileAll(t, &connect.Config{Listeners: l(connect.ProtocolHTTP), Routes: routes, StreamRoutes: streams})
	for _, step := range []struct {
		protocol     connect.Protocol
		http, stream string
	}{
		{connect.ProtocolTCP, "404", "tcp"},
		{connect.ProtocolTLS, "404", "tls"},
		{connect.ProtocolHTTPS, "r/0", ""},
		{connect.ProtocolTLS, "404", "tls"},
		{connect.ProtocolHTTP, "r/0", ""},
	} {
		next, err := Compile(&connect.Config{Listeners: l(step.protocol), Routes: routes, StreamRoutes: streams}, table)
		if err != nil {
			t.Fatal(err)
		}
		table = next
		stream := ""
		if s := table.Address(addr).MatchStream("a.org").Stream; s != nil {
			stream = s.Config.Name
		}
		if got := name(table.Address(addr).Match(get("a.org /"))); got != step.http || stream != step.stream {
			t.Errorf("protocol %d: request to %s, stream to %q, want %s and %q", step.protocol, got, stream, step.http, step.stream)
		}
	}
}

func TestCompileChangedStreams(t *testing.T) {
	listeners := []*connect.Listener{{Name: "l", Address: addr, Protocol: connect.ProtocolTCP}}
	first := compileAll(t, &connect.Config{Listeners: listeners, StreamRoutes: []*connect.StreamRoute{{Name: "a"}}})
	second, err := Compile(&connect.Config{Listeners: listeners, StreamRoutes: []*connect.StreamRoute{{Name: "b"}}}, first)
	if err != nil {
		t.Fatal(err)
	}
	for table, want := range map[*Table]string{first: "a", second: "b"} {
		if got := table.Address(addr).MatchStream("").Stream.Config.Name; got != want {
			t.Errorf("got stream route %s, want %s", got, want)
		}
	}
}
