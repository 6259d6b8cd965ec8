package route

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// oneRule compiles a rule alone.
func oneRule(tb testing.TB, r connect.Rule) *Rule {
	tb.Helper()
	c := &connect.Config{
		Listeners: []*connect.Listener{httpListener("l", "")},
		Routes:    []*connect.Route{{Name: "r", Rules: []connect.Rule{r}}},
	}
	return &compileAll(tb, c).Routes()[0].Rules[0]
}

func fieldLines(h *message.Head) []string {
	var lines []string
	for _, f := range h.Fields {
		lines = append(lines, f.Name+": "+f.Value)
		if f.ID != message.Lookup(f.Name) {
			lines = append(lines, "wrong ID")
		}
	}
	return lines
}

func values(lines ...string) []connect.HeaderValue {
	var list []connect.HeaderValue
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		list = append(list, connect.HeaderValue{Name: name, Value: value})
	}
	return list
}

func TestEdit(t *testing.T) {
	tests := []struct {
		name      string
		edit      connect.HeaderEdit
		in, want  []string
		authority string
	}{
		{"set overwrites, wherever it was", connect.HeaderEdit{Set: values("my-header: bar")}, []string{"A: 1", "My-Header: foo", "B: 2", "MY-HEADER: x"}, []string{"A: 1", "my-header: bar", "B: 2"}, "a.b"},
		{"set what is missing", connect.HeaderEdit{Set: values("my-header: bar")}, nil, []string{"my-header: bar"}, "a.b"},
		{"add appends", connect.HeaderEdit{Add: values("my-header: bar,baz")}, []string{"my-header: foo"}, []string{"my-header: foo", "my-header: bar,baz"}, "a.b"},
		{"remove all of the name", connect.HeaderEdit{Remove: []string{"my-header1", "My-Header3", "connection"}}, []string{"my-header1: foo", "my-header2: bar", "MY-header3: baz", "my-header1: again"}, []string{"my-header2: bar"}, "a.b"},
		{"remove, then set, then add", connect.HeaderEdit{Remove: []string{"x"}, Set: values("x: 1"), Add: values("x: 2", "Cookie: c")}, []string{"X: 0"}, []string{"x: 1", "x: 2", "Cookie: c"}, "a.b"},
		{"known names", connect.HeaderEdit{Remove: []string{"cookie"}, Set: values("user-agent: t")}, []string{"User-Agent: u", "Cookie: c"}, []string{"user-agent: t"}, "a.b"},
		{"host is the authority", connect.HeaderEdit{Set: values("Host: other.example:81")}, []string{"A: 1"}, []string{"A: 1"}, "other.example:81"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := oneRule(t, connect.Rule{Filters: connect.Filters{RequestHeaders: tt.edit}})
			h := get("a.b /", tt.in...).Head
			r.Request.Apply(h)
			if got := fieldLines(h); !slices.Equal(got, tt.want) || h.Authority != tt.authority {
				t.Errorf("got %q for %s, want %q for %s", got, h.Authority, tt.want, tt.authority)
			}
		})
	}
	var none *Edit
	none.Apply(&message.Head{})
	plain := oneRule(t, connect.Rule{})
	if plain.Request != nil || plain.Response != nil || plain.CORS != nil || plain.Limit != nil {
		t.Error("a rule without filters has some")
	}
}

// The tables of HTTPPathModifier and HTTPRequestRedirectFilter.
func TestRewritePath(t *testing.T) {
	replace := func(value string) connect.PathModifier {
		return connect.PathModifier{Kind: connect.ReplacePrefix, Value: value}
	}
	full := func(value string) connect.PathModifier {
		return connect.PathModifier{Kind: connect.ReplaceFull, Value: value}
	}
	for _, tc := range []struct {
		path, prefix string
		m            connect.PathModifier
		want         string
	}{
		{"/foo/bar", "/foo", replace("/xyz"), "/xyz/bar"},
		{"/foo/bar", "/foo", replace("/xyz/"), "/xyz/bar"},
		{"/foo/bar", "/foo/", replace("/xyz"), "/xyz/bar"},
		{"/foo/bar", "/foo/", replace("/xyz/"), "/xyz/bar"},
		{"/foo", "/foo", replace("/xyz"), "/xyz"},
		{"/foo/", "/foo", replace("/xyz"), "/xyz/"},
		{"/foo/bar", "/foo", replace(""), "/bar"},
		{"/foo/", "/foo", replace(""), "/"},
		{"/foo", "/foo", replace(""), "/"},
		{"/foo/", "/foo", replace("/"), "/"},
		{"/foo", "/foo", replace("/"), "/"},
		{"/foo?q=/foo", "/foo", replace("/"), "/?q=/foo"},
		{"/foo/bar?q", "/foo", replace("/x"), "/x/bar?q"},
		{"/foo/bar", "/", replace("/x"), "/x/foo/bar"},
		{"/full/one/two", "/full", full("/one"), "/one"},
		{"/full/one?a=b", "/full", full("/one"), "/one?a=b"},
		{"/full", "/full", full(""), "/"},
		{"/kept?q", "/", connect.PathModifier{}, "/kept?q"},
		{"*", "/", replace("/x"), "*"},
	} {
		r := connect.Rule{Matches: []connect.Match{prefix(tc.prefix)}, Filters: connect.Filters{Rewrite: &connect.Rewrite{Path: tc.m, Hostname: "new"}}}
		c := &connect.Config{Listeners: []*connect.Listener{httpListener("l", "")}, Routes: []*connect.Route{{Name: "r", Rules: []connect.Rule{r}}}}
		req := get("a " + tc.path)
		if tc.path == "*" {
			c.Routes[0].Rules[0].Matches = nil
		}
		got := compileAll(t, c).Address(addr).Match(req)
		got.Rule.Rewrite(req.Head, got.Prefix)
		if req.Head.Path != tc.want || req.Head.Authority != "new" {
			t.Errorf("%s with %s by %+v is %s of %s, want %s", tc.path, tc.prefix, tc.m, req.Head.Path, req.Head.Authority, tc.want)
		}
	}
}

// HTTPRouteRedirectPortAndScheme and its relatives.
func TestRedirect(t *testing.T) {
	port := func(listener string) *Listener {
		l := &Listener{Config: &connect.Listener{Address: listener}, Port: portOf(listener)}
		if strings.HasSuffix(listener, "443") {
			l.Config.Protocol = connect.ProtocolHTTPS
		}
		return l
	}
	prefix := connect.PathModifier{Kind: connect.ReplacePrefix, Value: "/replacement-prefix"}
	full := connect.PathModifier{Kind: connect.ReplaceFull, Value: "/replacement-full?own"}
	for _, tc := range []struct {
		listener, host, path string
		r                    connect.Redirect
		prefix               int
		want                 string
	}{
		{"1.1.1.1:80", "example.org", "/", connect.Redirect{}, 0, "http://example.org/"},
		{"1.1.1.1:80", "example.org:80", "/", connect.Redirect{Port: 80}, 0, "http://example.org/"},
		{"1.1.1.1:80", "example.org", "/", connect.Redirect{Port: 8080}, 0, "http://example.org:8080/"},
		{"1.1.1.1:80", "example.org", "/", connect.Redirect{Scheme: "https"}, 0, "https://example.org/"},
		{"1.1.1.1:80", "example.org", "/", connect.Redirect{Scheme: "https", Port: 443}, 0, "https://example.org/"},
		{"1.1.1.1:80", "example.org", "/", connect.Redirect{Scheme: "https", Port: 8443}, 0, "https://example.org:8443/"},
		{"1.1.1.1:8080", "example.org", "/", connect.Redirect{}, 0, "http://example.org:8080/"},
		{"1.1.1.1:8080", "example.org:9999", "/", connect.Redirect{}, 0, "http://example.org:8080/"},
		{"1.1.1.1:8080", "example.org", "/", connect.Redirect{Port: 80}, 0, "http://example.org/"},
		{"1.1.1.1:8080", "example.org", "/", connect.Redirect{Scheme: "https"}, 0, "https://example.org/"},
		{"[::]:443", "example.org", "/", connect.Redirect{}, 0, "https://example.org/"},
		{"[::]:443", "example.org", "/", connect.Redirect{Port: 443}, 0, "https://example.org/"},
		{"[::]:443", "example.org", "/", connect.Redirect{Port: 8443}, 0, "https://example.org:8443/"},
		{"[::]:443", "example.org", "/", connect.Redirect{Scheme: "http"}, 0, "http://example.org/"},
		{"[::]:443", "example.org", "/", connect.Redirect{Scheme: "http", Port: 8080}, 0, "http://example.org:8080/"},
		{"[::]:443", "example.org", "/", connect.Redirect{Scheme: "http", Port: 443}, 0, "http://example.org:443/"},
		{"1.1.1.1:80", "a.b", "/original-prefix/lemon?q=1", connect.Redirect{Path: prefix, Status: 301}, 16, "http://a.b/replacement-prefix/lemon?q=1"},
		{"1.1.1.1:80", "a.b", "/full/path?q=1", connect.Redirect{Path: full, Hostname: "example.org"}, 0, "http://example.org/replacement-full?own"},
		{"1.1.1.1:80", "[::1]:80", "/", connect.Redirect{Port: 81}, 0, "http://[::1]:81/"},
		{"unix:/run/x.sock", "a.b", "/x", connect.Redirect{}, 0, "http://a.b/x"},
		{"1.1.1.1:80", "", "//evil.example/x", connect.Redirect{Scheme: "https"}, 0, "/evil.example/x"},
		{"1.1.1.1:80", "a.b", "*", connect.Redirect{Scheme: "https"}, 0, "https://a.b/"},
	} {
		r := &Rule{Config: &connect.Rule{Filters: connect.Filters{Redirect: &tc.r}}}
		status, got := r.Redirect(&message.Head{Authority: tc.host, Path: tc.path}, port(tc.listener), tc.prefix)
		if got != tc.want || status != max(tc.r.Status, 301) && tc.r.Status != 0 || tc.r.Status == 0 && status != 302 {
			t.Errorf("%s %s%s by %+v is %d %s, want %s", tc.listener, tc.host, tc.path, tc.r, status, got, tc.want)
		}
	}
}

func TestDirectAnswer(t *testing.T) {
	r := oneRule(t, connect.Rule{Filters: connect.Filters{Direct: &connect.DirectResponse{Status: 418, Body: "short", Headers: values("Server: t")}}})
	var h message.Head
	r.Answer(&h)
	if h.Status != 418 || h.ContentLength != 5 || !slices.Equal(fieldLines(&h), []string{"Server: t"}) {
		t.Errorf("got %+v", h)
	}
}

// share runs f over evenly spread random numbers.
func share(f func(random uint64) bool) float64 {
	hits := 0
	for i := range uint64(10_000) {
		if f(i * (math.MaxUint64 / 10_000)) {
			hits++
		}
	}
	return float64(hits) / 10_000
}

func TestChoices(t *testing.T) {
	for _, tc := range []struct {
		m    connect.Mirror
		want float64
	}{
		{connect.Mirror{}, 1},
		{connect.Mirror{Numerator: 0, Denominator: 100}, 0},
		{connect.Mirror{Numerator: 25, Denominator: 100}, 0.25},
		{connect.Mirror{Numerator: 7, Denominator: 7}, 1},
	} {
		if got := share(func(r uint64) bool { return Mirrored(&tc.m, r) }); math.Abs(got-tc.want) > 0.001 {
			t.Errorf("%+v copies %.3f, want %.3f", tc.m, got, tc.want)
		}
	}
	r := oneRule(t, connect.Rule{Fault: &connect.Fault{Delay: time.Second, DelayPercent: 10, AbortStatus: 418, AbortPercent: 50, AbortGRPC: 14}})
	if got := share(func(x uint64) bool { return r.Inject(x, math.MaxUint64) == Injected{Delay: time.Second} }); math.Abs(got-0.1) > 0.001 {
		t.Errorf("%.3f are delayed, want 0.1", got)
	}
	if got := share(func(x uint64) bool { return r.Inject(math.MaxUint64, x) == Injected{Status: 418, GRPC: 14} }); math.Abs(got-0.5) > 0.001 {
		t.Errorf("%.3f are aborted, want 0.5", got)
	}
	if got := oneRule(t, connect.Rule{}).Inject(0, 0); got != (Injected{}) {
		t.Errorf("a rule without fault injects %+v", got)
	}
}

func TestSession(t *testing.T) {
	byCookie := oneRule(t, connect.Rule{Session: &connect.Session{Cookie: "sid", MaxAge: 1500 * time.Millisecond}})
	byHeader := oneRule(t, connect.Rule{Session: &connect.Session{Header: "X-Session"}})
	const hash = 0x0123456789abcdef
	if got, want := string(byCookie.AppendSetCookie(nil, hash, true)), "sid=0123456789abcdef; Path=/; Max-Age=2; HttpOnly; SameSite=Lax; Secure"; got != want {
		t.Errorf("cookie %q, want %q", got, want)
	}
	for _, tc := range []struct {
		r     *Rule
		field string
		ok    bool
	}{
		{byCookie, "Cookie: a=b; sid=0123456789abcdef; c=d", true},
		{byCookie, `Cookie: sid="0123456789abcdef"`, true},
		{byCookie, "Cookie: xsid=0123456789abcdef", false},
		{byCookie, "Cookie: sid=10.0.0.1:80", false},
		{byCookie, "Cookie: sid=0123456789abcdeg", false},
		{byCookie, "Cookie: sid", false},
		{byHeader, "x-session: 0123456789ABCDEF", true},
		{byHeader, "x-session: ", false},
		{oneRule(t, connect.Rule{}), "x-session: 0123456789abcdef", false},
	} {
		got, ok := tc.r.Session(get("a /", tc.field).Head)
		if ok != tc.ok || ok && got != hash {
			t.Errorf("%s gives %x, %v", tc.field, got, ok)
		}
	}
}

func TestBucket(t *testing.T) {
	const ms = int64(time.Millisecond)
	b := NewBucket(connect.RateLimit{Requests: 10, Burst: 3})
	var got strings.Builder
	for _, at := range []int64{1000, 1000, 1000, 1000, 1050, 1100, 1100, 1200, 1450, 1450, 1450, 1450, 1000, 9000, 9000, 9000, 9000} {
		if b.Allow(at * ms) {
			got.WriteByte('y')
		} else {
			got.WriteByte('n')
		}
	}
	if want := "yyynnynyyynnnyyyn"; got.String() != want {
		t.Errorf("allowed %s, want %s", got.String(), want)
	}
	if got := b.Wait(9000 * ms); got != 100*ms {
		t.Errorf("the next token comes in %d ns, want %d", got, 100*ms)
	}
	if b.Wait(20000*ms) != 0 || b.Status() != 429 || NewBucket(connect.RateLimit{Requests: 1, Status: 503}).Status() != 503 {
		t.Error("a full bucket waits, or a status is wrong")
	}
	if NewBucket(connect.RateLimit{Requests: 2, Interval: time.Minute}).every != int64(30*time.Second) {
		t.Error("the interval does not count")
	}
}

func TestBucketConcurrently(t *testing.T) {
	b := NewBucket(connect.RateLimit{Requests: 1000, Burst: 100})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for now := range int64(2000) {
				if b.Allow(now * int64(time.Millisecond) / 2) { // one second in all
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	// One thread may be a second behind another, which makes tokens come late.
	if n := allowed.Load(); n > 1100 || n < 100 {
		t.Errorf("%d of at most 1,100 allowed", n)
	}
}
