package connect

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// valid is a configuration that uses every kind of resource.
func valid() *Config {
	return &Config{
		Version: "1",
		Node: Node{
			Name: "web-1", Service: "web", Zone: "us-east-1a",
			Tracing: &Tracing{Endpoint: "http://127.0.0.1:4318/v1/traces", Sample: 1000},
		},
		Listeners: []*Listener{
			{Name: "http", Address: "0.0.0.0:8080", MaxConnections: 1000},
			{Name: "http-shop", Address: "0.0.0.0:8080", Hostname: "*.shop.example"},
			{Name: "https", Address: "[::]:8443", Protocol: ProtocolHTTPS, TLS: &ServerTLS{
				Certificates: []string{"site"}, ClientTrust: "mesh", ClientAuth: ClientAuthRequire,
				MinVersion: versionTLS13, ALPN: []string{"h2"}, AllowedIDs: []string{"spiffe://example.org/ns/shop/*"},
			}},
			{Name: "tls", Address: "[::]:8443", Protocol: ProtocolTLS, Hostname: "db.example"},
			{Name: "tcp", Address: "unix:/run/app.sock", Protocol: ProtocolTCP},
		},
		Routes: []*Route{{
			Name: "shop/web", Listeners: []string{"http", "https"}, Hostnames: []string{"shop.example", "*.shop.example"},
			Rules: []Rule{
				{
					Matches: []Match{
						{Path: PathMatch{Value: "/api"}, Method: "GET", Headers: []ValueMatch{{Name: "X-Test", Kind: ValuePresent}}},
						{Path: PathMatch{Value: "/v1"}, Query: []ValueMatch{{Name: "n", Kind: ValueRange, Value: "-5--1"}}},
					},
					Filters: Filters{
						RequestHeaders: HeaderEdit{Set: []HeaderValue{{"Host", "inner"}}, Add: []HeaderValue{{"X-A", ""}}, Remove: []string{"X-B"}},
						Rewrite:        &Rewrite{Hostname: "inner.example", Path: PathModifier{Kind: ReplacePrefix, Value: "/"}},
						Mirrors:        []Mirror{{Cluster: "web", Numerator: 1, Denominator: 10}},
						CORS:           &CORS{AllowOrigins: []string{"*", "https://*.example.com"}, AllowMethods: []string{"*"}, MaxAge: time.Minute},
					},
					Backends:       []Backend{{Cluster: "web", Weight: 1}, {Cluster: "gone", Weight: 1, Invalid: true}},
					RequestTimeout: 10 * time.Second, BackendTimeout: time.Second,
					Retry:     &Retry{Attempts: 2, Codes: []int{503}, Backoff: time.Millisecond},
					Session:   &Session{Cookie: "sid"},
					RateLimit: &RateLimit{Requests: 100},
					Fault:     &Fault{Delay: time.Second, DelayPercent: 1, AbortStatus: 503, AbortPercent: 1},
				},
				{Matches: []Match{{Path: PathMatch{PathRegex, "/x[0-9]+"}}}, Filters: Filters{Redirect: &Redirect{Scheme: "https", Status: 301}}},
				{Filters: Filters{Direct: &DirectResponse{Status: 404, Body: "no"}}},
			},
		}},
		StreamRoutes: []*StreamRoute{{Name: "db", Listeners: []string{"tls"}, Hostnames: []string{"db.example"}, Backends: []Backend{{Cluster: "web", Weight: 1}}}},
		Clusters: []*Cluster{{
			Name: "web",
			Endpoints: []Endpoint{
				{Address: "127.0.0.1:9000", Addr: netip.MustParseAddrPort("127.0.0.1:9000"), Weight: 2, Zone: "a"},
				{Address: "unix:/run/web.sock"},
			},
			TLS:         &ClientTLS{ServerName: "web.example", Trust: "mesh", Certificate: "site", SubjectAltNames: []string{"spiffe://example.org/web"}},
			Balance:     Balance{Policy: PolicyRingHash, HashOn: HashKey{Cookie: "sid"}, ZoneAware: true},
			HealthCheck: &HealthCheck{Path: "/healthz?x=1", ExpectFirst: 200, ExpectLast: 399, Interval: time.Second},
			Outlier:     &Outlier{MaxPercent: 30, BaseTime: time.Second, MaxTime: time.Minute},
			Breaker:     Breaker{MaxPending: 10}, ProxyProtocol: 2, ConnectTimeout: time.Second,
		}},
		Certificates: []*Certificate{{Name: "site", ChainFile: "/c.pem", KeyFile: "/k.pem"}},
		TrustBundles: []*TrustBundle{{Name: "mesh", File: "/ca.pem"}},
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"all kinds":             func(*Config) {},
		"nothing":               func(c *Config) { *c = Config{} },
		"no names of hosts":     func(c *Config) { c.Routes[0].Hostnames = nil },
		"port 0 twice":          func(c *Config) { c.Listeners[0].Address, c.Listeners[4].Address = "127.0.0.1:0", "127.0.0.1:0" },
		"no endpoints":          func(c *Config) { c.Clusters[0].Endpoints = nil },
		"weights of 0":          func(c *Config) { c.Routes[0].Rules[0].Backends[0].Weight = 0 },
		"rewrite without match": func(c *Config) { c.Routes[0].Rules[0].Matches = nil },
		"underscore in a host":  func(c *Config) { c.Routes[0].Hostnames = []string{"a_b.example"} },
		"1,000 rules":           func(c *Config) { c.Routes[0].Rules = make([]Rule, 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			c := valid()
			change(c)
			if err := Validate(c); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// refusal is a change that makes a valid configuration wrong in one way.
type refusal struct {
	name   string
	change func(*Config)
	field  string // of the one problem
	text   string // that its text contains
}

func TestValidateRefuses(t *testing.T) {
	rule := func(c *Config) *Rule { return &c.Routes[0].Rules[0] }
	for _, x := range []refusal{
		{"name of node", func(c *Config) { c.Node.Zone = "a b" }, "node.zone", "visible ASCII"},
		{"tracing", func(c *Config) { c.Node.Tracing.Endpoint = "127.0.0.1" }, "node.tracing.endpoint", "no URL"},
		{"sample", func(c *Config) { c.Node.Tracing.Sample = 1_000_001 }, "node.tracing.sample", "1 to 1000000"},
		{"log mode", func(c *Config) { c.Node.AccessLog.Mode = 9 }, "node.accessLog.mode", "9 is not known"},
		{"nil", func(c *Config) { c.Routes = append(c.Routes, nil) }, "routes[1]", "no resource"},
		{"same name", func(c *Config) { c.Clusters = append(c.Clusters, &Cluster{Name: "web"}) }, "clusters[1].name", `"web" is already taken`},
		{"no name", func(c *Config) { c.StreamRoutes[0].Name = "" }, "streamRoutes[0].name", "a name is required"},
		{"name too long", func(c *Config) { c.Routes[0].Name = strings.Repeat("x", 513) }, "routes[0].name", "at most 512"},
		{"too many listeners", func(c *Config) {
			for i := range 1000 {
				c.Listeners = append(c.Listeners, &Listener{Name: fmt.Sprint("l", i), Address: "127.0.0.1:0"})
			}
		}, "listeners", "at most 1000"},

		{"address", func(c *Config) { c.Listeners[0].Address = "localhost:80" }, "listeners[0].address", "no address"},
		{"unix address", func(c *Config) { c.Listeners[4].Address = "unix:run" }, "listeners[4].address", "absolute path"},
		{"protocol", func(c *Config) { c.Listeners[4].Protocol = 4 }, "listeners[4].protocol", "not known"},
		{"hostname in upper case", func(c *Config) { c.Listeners[1].Hostname = "*.Shop.example" }, "listeners[1].hostname", "no hostname"},
		{"hostname on TCP", func(c *Config) { c.Listeners[4].Hostname = "a.example" }, "listeners[4].hostname", "TCP has no hosts"},
		{"TLS missing", func(c *Config) { c.Listeners[2].TLS = nil }, "listeners[2].tls", "HTTPS needs it"},
		{"TLS on HTTP", func(c *Config) { c.Listeners[0].TLS = c.Listeners[2].TLS }, "listeners[0].tls", "plain text"},
		{"no certificates", func(c *Config) { c.Listeners[2].TLS.Certificates = nil }, "listeners[2].tls.certificates", "at least one"},
		{"unknown certificate", func(c *Config) { c.Listeners[2].TLS.Certificates[0] = "x" }, "listeners[2].tls.certificates[0]", `no certificate "x"`},
		{"unknown bundle", func(c *Config) { c.Listeners[2].TLS.ClientTrust = "x" }, "listeners[2].tls.clientTrust", `no trust bundle "x"`},
		{"nobody to trust", func(c *Config) { c.Listeners[2].TLS.ClientTrust = "" }, "listeners[2].tls.clientTrust", "name a trust bundle"},
		{"old TLS", func(c *Config) { c.Listeners[2].TLS.MinVersion = 0x0302 }, "listeners[2].tls.minVersion", "TLS 1.2 and 1.3"},
		{"ALPN", func(c *Config) { c.Listeners[2].TLS.ALPN[0] = "" }, "listeners[2].tls.alpn[0]", "1 to 255"},
		{"identity", func(c *Config) { c.Listeners[2].TLS.AllowedIDs[0] = "spiffe://*/x" }, "listeners[2].tls.allowedIds[0]", "no SPIFFE ID"},
		{"identity of nobody", func(c *Config) { c.Listeners[2].TLS.ClientAuth = ClientAuthOptional }, "listeners[2].tls.allowedIds", "REQUIRE only"},
		{"header bytes", func(c *Config) { c.Listeners[0].HTTP.MaxHeaderBytes = 2 << 20 }, "listeners[0].http.maxHeaderBytes", "1024 to 1048576"},
		{"negative", func(c *Config) { c.Listeners[0].HTTP.MaxRequests = -1 }, "listeners[0].http.maxRequests", "out of range"},
		{"a thousand years", func(c *Config) { c.Listeners[0].HTTP.IdleTimeout = 1 << 62 }, "listeners[0].http.idleTimeout", "1ms to 168h"},
		{"same host", func(c *Config) { c.Listeners[1].Hostname = "" }, "listeners[1].hostname", `listener "http" has the same`},
		{"same host over TLS", func(c *Config) { c.Listeners[3].Hostname = "" }, "listeners[3].hostname", `listener "https" has the same`},
		{"HTTP beside TLS", func(c *Config) {
			c.Listeners = append(c.Listeners, &Listener{Name: "plain", Address: "[::]:8443", Hostname: "a.example"})
		}, "listeners[5].address", "speaks TLS"},
		{"TCP twice", func(c *Config) {
			c.Listeners[0].Address = "127.0.0.1:80"
			c.Listeners = append(c.Listeners, &Listener{Name: "tcp2", Protocol: ProtocolTCP, Address: "unix:/run/app.sock"})
		}, "listeners[5].address", "takes all of"},
		{"PROXY protocol of one", func(c *Config) { c.Listeners[1].ProxyProtocol = true }, "listeners[1].proxyProtocol", "says otherwise"},
		{"certificate without key", func(c *Config) { c.Certificates[0].KeyFile = "" }, "certificates[0].keyFile", "key is missing"},
		{"empty bundle", func(c *Config) { c.TrustBundles[0].File = "" }, "trustBundles[0].file", "authorities are missing"},

		{"route on TCP", func(c *Config) { c.Routes[0].Listeners[1] = "tcp" }, "routes[0].listeners[1]", "does not speak HTTP"},
		{"unknown listener", func(c *Config) { c.Routes[0].Listeners[1] = "x" }, "routes[0].listeners[1]", `no listener "x"`},
		{"hostname", func(c *Config) { c.Routes[0].Hostnames[0] = "-a.example" }, "routes[0].hostnames[0]", "no hostname"},
		{"inner wildcard", func(c *Config) { c.Routes[0].Hostnames[0] = "a.*.example" }, "routes[0].hostnames[0]", "no hostname"},
		{"path", func(c *Config) { rule(c).Matches[1].Path.Value = "api" }, "routes[0].rules[0].matches[1].path.value", "no path"},
		{"path with dots", func(c *Config) { rule(c).Matches[1].Path.Value = "/a/.." }, "routes[0].rules[0].matches[1].path.value", "/../"},
		{"path with query", func(c *Config) { rule(c).Matches[1].Path.Value = "/a?b" }, "routes[0].rules[0].matches[1].path.value", "without ? and #"},
		{"escaped slash", func(c *Config) { rule(c).Matches[1].Path.Value = "/a%2fb" }, "routes[0].rules[0].matches[1].path.value", "escaped slash"},
		{"path regex", func(c *Config) { c.Routes[0].Rules[1].Matches[0].Path.Value = "(" }, "routes[0].rules[1].matches[0].path.value", "does not compile"},
		{"path kind", func(c *Config) { c.Routes[0].Rules[1].Matches[0].Path.Kind = 3 }, "routes[0].rules[1].matches[0].path.kind", "not known"},
		{"method", func(c *Config) { rule(c).Matches[0].Method = "GET /" }, "routes[0].rules[0].matches[0].method", "no token"},
		{"header name", func(c *Config) { rule(c).Matches[0].Headers[0].Name = ":path" }, "routes[0].rules[0].matches[0].headers[0].name", "no token"},
		{"value of present", func(c *Config) { rule(c).Matches[0].Headers[0].Value = "x" }, "routes[0].rules[0].matches[0].headers[0].value", "would not be compared"},
		{"range", func(c *Config) { rule(c).Matches[1].Query[0].Value = "9-9" }, "routes[0].rules[0].matches[1].query[0].value", "no range"},
		{"query name", func(c *Config) { rule(c).Matches[1].Query[0].Name = "" }, "routes[0].rules[0].matches[1].query[0].name", "1 to 256"},
		{"hop-by-hop", func(c *Config) { rule(c).Filters.RequestHeaders.Remove[0] = "Transfer-Encoding" }, "routes[0].rules[0].filters.requestHeaders.remove[0]", "proxy itself"},
		{"line break", func(c *Config) { rule(c).Filters.RequestHeaders.Add[0].Value = "a\r\nb: c" }, "routes[0].rules[0].filters.requestHeaders.add[0].value", "control character"},
		{"prefix of a regex", func(c *Config) { rule(c).Matches[1].Path = PathMatch{PathRegex, "/a"} }, "routes[0].rules[0].filters.rewrite.path.kind", "not all matches"},
		{"nothing replaced", func(c *Config) { rule(c).Filters.Rewrite.Path.Kind = ReplaceNone }, "routes[0].rules[0].filters.rewrite.path.kind", "nothing is replaced"},
		{"redirect status", func(c *Config) { c.Routes[0].Rules[1].Filters.Redirect.Status = 200 }, "routes[0].rules[1].filters.redirect.status", "no redirect"},
		{"redirect scheme", func(c *Config) { c.Routes[0].Rules[1].Filters.Redirect.Scheme = "ftp" }, "routes[0].rules[1].filters.redirect.scheme", "http and https"},
		{"redirect and backends", func(c *Config) { c.Routes[0].Rules[1].Backends = []Backend{{Cluster: "web"}} }, "routes[0].rules[1].filters.redirect", "is an answer"},
		{"direct status", func(c *Config) { c.Routes[0].Rules[2].Filters.Direct.Status = 99 }, "routes[0].rules[2].filters.direct.status", "200 to 599"},
		{"body of 204", func(c *Config) { c.Routes[0].Rules[2].Filters.Direct.Status = 204 }, "routes[0].rules[2].filters.direct.body", "no body"},
		{"mirror", func(c *Config) { rule(c).Filters.Mirrors[0].Cluster = "x" }, "routes[0].rules[0].filters.mirrors[0].cluster", `no cluster "x"`},
		{"more than all", func(c *Config) { rule(c).Filters.Mirrors[0].Numerator = 11 }, "routes[0].rules[0].filters.mirrors[0].numerator", "more than all"},
		{"origin", func(c *Config) { rule(c).Filters.CORS.AllowOrigins[1] = "https://*.*" }, "routes[0].rules[0].filters.cors.allowOrigins[1]", "no origin"},
		{"backend", func(c *Config) { rule(c).Backends[0].Cluster = "x" }, "routes[0].rules[0].backends[0].cluster", `no cluster "x"`},
		{"weight", func(c *Config) { rule(c).Backends[0].Weight = 1_000_001 }, "routes[0].rules[0].backends[0].weight", "1 to 1000000"},
		{"attempt too long", func(c *Config) { rule(c).BackendTimeout = time.Minute }, "routes[0].rules[0].backendTimeout", "more than requestTimeout"},
		{"negative time", func(c *Config) { rule(c).IdleTimeout = -1 }, "routes[0].rules[0].idleTimeout", "out of range"},
		{"attempts", func(c *Config) { rule(c).Retry.Attempts = 11 }, "routes[0].rules[0].retry.attempts", "1 to 10"},
		{"retry of success", func(c *Config) { rule(c).Retry.Codes[0] = 200 }, "routes[0].rules[0].retry.codes[0]", "400 to 599"},
		{"two sessions", func(c *Config) { rule(c).Session.Header = "X-S" }, "routes[0].rules[0].session", "one of them"},
		{"rate", func(c *Config) { rule(c).RateLimit.Requests = 0 }, "routes[0].rules[0].rateLimit.requests", "missing"},
		{"percent", func(c *Config) { rule(c).Fault.DelayPercent = 101 }, "routes[0].rules[0].fault.delayPercent", "0 to 100"},
		{"delay of nothing", func(c *Config) { rule(c).Fault.Delay = 0 }, "routes[0].rules[0].fault.delay", "no time"},
		{"SNI of TCP", func(c *Config) { c.StreamRoutes[0].Listeners[0] = "tcp" }, "streamRoutes[0].hostnames", "no SNI"},
		{"bytes of HTTP", func(c *Config) { c.StreamRoutes[0].Listeners[0] = "http" }, "streamRoutes[0].listeners[0]", "does not pass bytes"},
		{"headers of bytes", func(c *Config) { c.StreamRoutes[0].Backends[0].RequestHeaders.Remove = []string{"A"} }, "streamRoutes[0].backends[0]", "no headers"},

		{"endpoint by name", func(c *Config) { c.Clusters[0].Endpoints[1].Address = "web:80" }, "clusters[0].endpoints[1].address", "names are not resolved"},
		{"endpoint twice", func(c *Config) { c.Clusters[0].Endpoints[1] = c.Clusters[0].Endpoints[0] }, "clusters[0].endpoints[1].address", "there twice"},
		{"endpoint without port", func(c *Config) {
			c.Clusters[0].Endpoints[1] = Endpoint{Address: "127.0.0.1:0", Addr: netip.MustParseAddrPort("127.0.0.1:0")}
		}, "clusters[0].endpoints[1].address", "1 to 65535"},
		{"no name to verify", func(c *Config) {
			c.Clusters[0].TLS.ServerName, c.Clusters[0].TLS.SubjectAltNames = "", nil
		}, "clusters[0].tls.serverName", "no name to verify"},
		{"unknown trust", func(c *Config) { c.Clusters[0].TLS.Trust = "x" }, "clusters[0].tls.trust", `no trust bundle "x"`},
		{"hash of nothing", func(c *Config) { c.Clusters[0].Balance.Policy = PolicyRandom }, "clusters[0].balance.hashOn", "only RING_HASH"},
		{"check status", func(c *Config) { c.Clusters[0].HealthCheck.ExpectFirst = 400 }, "clusters[0].healthCheck.expectLast", "less than expectFirst"},
		{"check path", func(c *Config) { c.Clusters[0].HealthCheck.Path = "x" }, "clusters[0].healthCheck.path", "no path"},
		{"check too often", func(c *Config) { c.Clusters[0].HealthCheck.Interval = 1 }, "clusters[0].healthCheck.interval", "100ms to"},
		{"ejection", func(c *Config) { c.Clusters[0].Outlier.MaxPercent = 101 }, "clusters[0].outlier.maxPercent", "0 to 100"},
		{"ejection times", func(c *Config) { c.Clusters[0].Outlier.BaseTime = 2 * time.Minute }, "clusters[0].outlier.maxTime", "less than baseTime"},
		{"PROXY version", func(c *Config) { c.Clusters[0].ProxyProtocol = 3 }, "clusters[0].proxyProtocol", "no version"},
	} {
		t.Run(x.name, func(t *testing.T) { expectOne(t, x) })
	}
}

func expectOne(t *testing.T, x refusal) {
	t.Helper()
	c := valid()
	x.change(c)
	err := Validate(c)
	invalid, ok := errors.AsType[*InvalidError](err)
	if !ok {
		t.Fatalf("got %v, want an InvalidError", err)
	}
	if len(invalid.Problems) != 1 {
		t.Fatalf("got %d problems, want 1:\n%v", len(invalid.Problems), err)
	}
	p := invalid.Problems[0]
	if p.Field != x.field || !strings.Contains(p.Text, x.text) {
		t.Errorf("got %v\nwant %s: ...%s...", p, x.field, x.text)
	}
}

func TestAllProblemsAreListedUpToALimit(t *testing.T) {
	c := valid()
	for i := range c.Routes[0].Rules {
		c.Routes[0].Rules[i].RequestTimeout = -1
	}
	err := Validate(c)
	if invalid, _ := errors.AsType[*InvalidError](err); len(invalid.Problems) != 3 || strings.Count(err.Error(), "(route shop/web)") != 3 {
		t.Errorf("got\n%v\nwant 3 problems of route shop/web", err)
	}
	c.Routes[0].Rules = make([]Rule, 60)
	for i := range c.Routes[0].Rules {
		c.Routes[0].Rules[i].RequestTimeout = -1
	}
	invalid, _ := errors.AsType[*InvalidError](Validate(c))
	if len(invalid.Problems) != MaxProblems || invalid.Omitted != 10 {
		t.Errorf("got %d problems and %d omitted, want 50 and 10", len(invalid.Problems), invalid.Omitted)
	}
	if lines := invalid.Reasons(); len(lines) != MaxProblems || lines[49] != "and 11 more problems" {
		t.Errorf("got %d reasons, the last %q", len(lines), lines[len(lines)-1])
	}
}

// TestChangeChecksWhatChanged holds that what is unchanged is not checked again,
// but its references are.
func TestChangeChecksWhatChanged(t *testing.T) {
	old := valid()
	next := *old
	old.Routes[0].Hostnames = []string{"-"} // As if an older version had accepted it.
	if err := ValidateChange(old, &next); err != nil {
		t.Errorf("an unchanged route was checked again: %v", err)
	}
	next.Clusters = nil
	invalid, _ := errors.AsType[*InvalidError](ValidateChange(old, &next))
	if invalid == nil || len(invalid.Problems) != 3 { // The backend, the mirror and the stream route.
		t.Errorf("got %v, want 3 references without cluster", invalid)
	}
	next = *valid()
	next.Routes[0].Hostnames = []string{"-"}
	if ValidateChange(old, &next) == nil {
		t.Error("a changed route was not checked")
	}
}

func many(n int) *Config {
	c := valid()
	c.Routes = nil
	for i := range n {
		r := *valid().Routes[0]
		r.Name = fmt.Sprintf("shop/route-%04d", i)
		r.Hostnames = []string{fmt.Sprintf("h%d.example", i)}
		r.Rules = r.Rules[:1]
		c.Routes = append(c.Routes, &r)
	}
	return c
}

func TestValidResourcesCostNoMemory(t *testing.T) {
	c := valid()
	c.Routes[0].Rules = slicesWithoutRegex(c.Routes[0].Rules)
	v := &validator{}
	f := field{name: "routes"}
	if n := testing.AllocsPerRun(100, func() { v.route(&f, c.Routes[0]) }); n != 0 {
		t.Errorf("%v allocations for a valid route, want 0", n)
	}
}

func slicesWithoutRegex(rules []Rule) []Rule { return []Rule{rules[0], rules[2]} }

func BenchmarkValidate5000Routes(b *testing.B) {
	c := many(5000)
	for b.Loop() {
		if err := Validate(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidateChange5000Routes(b *testing.B) {
	old := many(5000)
	next := *old
	next.Routes = slices.Clone(old.Routes)
	next.Routes[0] = many(1).Routes[0]
	for b.Loop() {
		if err := ValidateChange(old, &next); err != nil {
			b.Fatal(err)
		}
	}
}
