package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/admin"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
)

var start = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

// engine is a Source with fixed values.
type engine struct {
	state  atomic.Int32
	config *connect.Config
}

func (e *engine) State() admin.State      { return admin.State(e.state.Load()) }
func (e *engine) Config() *connect.Config { return e.config }
func (e *engine) Drain()                  { e.state.Store(int32(admin.StateDraining)) }

func (e *engine) Clusters() []admin.Cluster {
	return []admin.Cluster{{Name: "cart", Policy: "ewma", Connections: 3, Hosts: []admin.Host{
		{Address: "10.0.0.1:80", Zone: "a", Weight: 1, Health: admin.HealthHealthy, Outstanding: 4, EWMA: 1500 * time.Microsecond, Requests: 10},
		{Address: "10.0.0.2:80", Weight: 1, Health: admin.HealthUnhealthy, Ejected: true, EjectedFor: 2 * time.Second, Draining: true, LastError: "bad\n\x1b[31m"},
	}}}
}

func (e *engine) Listeners() []admin.Listener {
	return []admin.Listener{{Name: "web", Protocol: "http", Address: "127.0.0.1:0", Bound: "127.0.0.1:4711", Connections: 2}}
}

func configuration() *connect.Config {
	return &connect.Config{
		Version: "v7", Node: connect.Node{Name: "n", Tracing: &connect.Tracing{Endpoint: "http://user:hunter2@127.0.0.1/v1?key=hunter2"}},
		Listeners: []*connect.Listener{{Name: "web", Protocol: connect.ProtocolHTTPS, HTTP: connect.HTTPOptions{IdleTimeout: time.Minute}}},
		Routes: []*connect.Route{{
			Name: "shop/cart", Hostnames: []string{"shop.example"}, Created: start,
			Rules: []connect.Rule{{
				Matches: []connect.Match{{
					Path: connect.PathMatch{Kind: connect.PathExact, Value: "/cart"}, Method: "GET",
					Headers: []connect.ValueMatch{{Name: "X-Api-Key", Value: "hunter2"}, {Name: "X-Env", Value: "blue"}},
				}},
				Filters:  connect.Filters{RequestHeaders: connect.HeaderEdit{Set: []connect.HeaderValue{{Name: "Authorization", Value: "Bearer hunter2"}, {Name: "X-A", Value: "shown"}}}},
				Backends: []connect.Backend{{Cluster: "cart", Weight: 3}, {Cluster: "old", Weight: 1, Invalid: true}},
			}},
		}},
		StreamRoutes: []*connect.StreamRoute{{Name: "shop/db", Backends: []connect.Backend{{Cluster: "db", Weight: 1}}}},
		Clusters:     []*connect.Cluster{{Name: "cart", Endpoints: []connect.Endpoint{{Address: "10.0.0.1:80", Addr: netip.MustParseAddrPort("10.0.0.1:80")}}}},
		Certificates: []*connect.Certificate{{Name: "c", ChainPEM: []byte("CHAIN"), KeyPEM: []byte("hunter2")}},
	}
}

// serve starts the endpoint and returns a client that speaks with it.
func serve(t *testing.T, e *engine, address string) (*http.Client, string) {
	t.Helper()
	ln, err := admin.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	registry := metrics.New(metrics.Options{Service: "s", Version: "v1", Start: start})
	registry.Shard().Route(metrics.Labels{DestinationService: "cart"}).Request(metrics.HTTP(200), 1e6, 1, 2)
	h := admin.New(admin.Options{Source: e, Metrics: registry, Version: "v1", Start: start, Now: func() time.Time { return start.Add(90 * time.Second) }})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- admin.Serve(ctx, ln, h) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, ln.Addr().Network(), ln.Addr().String())
	}}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &http.Client{Transport: transport}, "http://127.0.0.1"
}

func ask(t *testing.T, c *http.Client, method, url string, header http.Header) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
		if k == "Host" {
			req.Host = v[0]
		}
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func TestPages(t *testing.T) {
	e := &engine{config: configuration()}
	e.state.Store(int32(admin.StateReady))
	c, base := serve(t, e, "127.0.0.1:0")
	for _, p := range []struct {
		name, path string
		status     int
		want       []string
	}{
		{"index", "/", 200, []string{"tatami-proxy v1, ready, up 1m30s", "/clusters", "POST: tell"}},
		{"ready", "/ready", 200, []string{"ready\n"}},
		{"live", "/live", 200, []string{"live\n"}},
		{"metrics", "/metrics", 200, []string{`tatami_proxy_requests_total{source_service="s"`}},
		{"clusters", "/clusters", 200, []string{"cart (ewma): 2 hosts, 3 connections", "10.0.0.1:80  a ", "healthy", "1.5", "unhealthy,ejected(2s),draining", "bad  [31m"}},
		{"clusters as JSON", "/clusters?format=json", 200, []string{`"ewma_ms": 1.5`, `"health": "unhealthy"`, `"ejected_for_ms": 2000`}},
		{"listeners", "/listeners", 200, []string{"web       http      127.0.0.1:0  127.0.0.1:4711  2"}},
		{"listeners as JSON", "/listeners?format=json", 200, []string{`"bound": "127.0.0.1:4711"`}},
		{"routes", "/routes", 200, []string{"shop/cart", "GET =/cart header:X-Api-Key header:X-Env", "cart:3,old:1(invalid)", "shop/db"}},
		{"routes as JSON", "/routes?format=json", 200, []string{`"route": "shop/cart"`}},
		{"stats", "/stats", 200, []string{"1 with 2 hosts", "v7", "1m30s", "1, 0 server errors"}},
		{"stats as JSON", "/stats?format=json", 200, []string{`"requests": 1`, `"uptime_seconds": 90`, `"hosts": 2`}},
		{"configuration", "/config", 200, []string{`"version": "v7"`, `"protocol": "https"`, `"idleTimeout": "1m0s"`}},
		{"profiles", "/pprof/", 200, []string{"goroutine", "heap"}},
		{"a profile", "/pprof/goroutine?debug=1", 200, []string{"goroutine profile: total"}},
		{"no such profile", "/pprof/none", 404, []string{"no such profile"}},
		{"no such page", "/none", 404, nil},
		{"deeper than a page", "/pprof/a/b", 404, nil},
	} {
		t.Run(p.name, func(t *testing.T) {
			status, body, header := ask(t, c, http.MethodGet, base+p.path, nil)
			if status != p.status || strings.Contains(body, "hunter2") || strings.Contains(body, "\x1b") {
				t.Errorf("%d %s", status, body)
			}
			for _, want := range p.want {
				if !strings.Contains(body, want) {
					t.Errorf("lacks %q:\n%s", want, body)
				}
			}
			isJSON := strings.HasPrefix(header.Get("Content-Type"), "application/json")
			if isJSON != (p.path == "/config" || strings.Contains(p.path, "format=json")) || isJSON && !json.Valid([]byte(body)) {
				t.Errorf("type %q:\n%s", header.Get("Content-Type"), body)
			}
		})
	}
}

func TestMetricsFormats(t *testing.T) {
	c, base := serve(t, &engine{}, "[::1]:0")
	_, body, header := ask(t, c, http.MethodGet, base+"/metrics", nil)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(body)); err != nil || !strings.Contains(header.Get("Content-Type"), "version=0.0.4") {
		t.Errorf("%v, %s", err, header.Get("Content-Type"))
	}
	_, body, header = ask(t, c, http.MethodGet, base+"/metrics", http.Header{"Accept": {"application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}})
	if !strings.HasSuffix(body, "# EOF\n") || expfmt.Format(header.Get("Content-Type")).FormatType() != expfmt.TypeOpenMetrics {
		t.Errorf("%q", header.Get("Content-Type"))
	}
}

func TestStates(t *testing.T) {
	e := &engine{}
	c, base := serve(t, e, "127.0.0.1:0")
	check := func(want int, state string) {
		t.Helper()
		if status, body, _ := ask(t, c, http.MethodGet, base+"/ready", nil); status != want || body != state+"\n" {
			t.Errorf("%d %q, want %d %s", status, body, want, state)
		}
		if status, _, _ := ask(t, c, http.MethodGet, base+"/live", nil); status != 200 {
			t.Errorf("not live while %s", state)
		}
	}
	check(503, "starting")
	if status, _, _ := ask(t, c, http.MethodGet, base+"/config", nil); status != 503 {
		t.Errorf("/config without one: %d", status)
	}
	e.state.Store(int32(admin.StateReady))
	check(200, "ready")
	if status, _, header := ask(t, c, http.MethodGet, base+"/drain", nil); status != 405 || header.Get("Allow") != "POST" {
		t.Errorf("GET /drain: %d, Allow %q", status, header.Get("Allow"))
	}
	check(200, "ready")
	if status, body, _ := ask(t, c, http.MethodPost, base+"/drain", nil); status != 202 || body != "draining\n" {
		t.Errorf("POST /drain: %d %q", status, body)
	}
	check(503, "draining")
	if status, _, _ := ask(t, c, http.MethodPost, base+"/config", nil); status != 405 {
		t.Errorf("POST /config: %d", status)
	}
}

func TestWhoIsRefused(t *testing.T) {
	e := &engine{}
	c, base := serve(t, e, "127.0.0.1:0")
	for _, r := range []struct {
		name, method, path string
		header             http.Header
		status             int
	}{
		{"localhost", "GET", "/live", http.Header{"Host": {"LocalHost:9901"}}, 200},
		{"IPv6", "GET", "/live", http.Header{"Host": {"[::1]:9901"}}, 200},
		{"other loopback", "GET", "/live", http.Header{"Host": {"127.3.2.1"}}, 200},
		{"rebound name", "GET", "/config", http.Header{"Host": {"attacker.example:9901"}}, 421},
		{"name that looks local", "GET", "/config", http.Header{"Host": {"127.0.0.1.attacker.example"}}, 421},
		{"address of the network", "GET", "/config", http.Header{"Host": {"10.0.0.1"}}, 421},
		{"form of another page", "POST", "/drain", http.Header{"Origin": {"https://attacker.example"}}, 403},
		{"fetch of another page", "POST", "/drain", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"page of another port", "POST", "/drain", http.Header{"Sec-Fetch-Site": {"same-site"}}, 403},
	} {
		if status, body, _ := ask(t, c, r.method, base+r.path, r.header); status != r.status {
			t.Errorf("%s: %d, want %d: %s", r.name, status, r.status, body)
		}
	}
	if e.State() != admin.StateStarting {
		t.Error("a web page drained the proxy")
	}
}

func TestAddresses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, address string
		notLocal      bool
	}{
		{"all addresses", "0.0.0.0:0", true},
		{"all IPv6 addresses", "[::]:0", true},
		{"no host", ":9901", true},
		{"of the network", "10.0.0.1:0", true},
		{"mapped", "[::ffff:10.0.0.1]:0", true},
		{"a name", "localhost:0", true},
		{"empty", "", true},
		{"relative socket", "unix:admin.sock", false},
		{"a file", "unix:" + file, false},
		{"no folder", "unix:" + filepath.Join(dir, "none", "s"), false},
	} {
		ln, err := admin.Listen(t.Context(), c.address)
		if err == nil {
			ln.Close()
		}
		if err == nil || errors.Is(err, admin.ErrNotLocal) != c.notLocal {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "data" {
		t.Errorf("the file was touched: %q %v", data, err)
	}
}

func TestUnixSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.sock")
	old, err := admin.Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("successor", func(t *testing.T) {
		c, _ := serve(t, &engine{}, "unix:"+path)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		old.Close()
		if status, body, _ := ask(t, c, http.MethodGet, "http://any.name/live", nil); status != 200 {
			t.Errorf("after the predecessor closed: %d %s", status, body)
		}
	})
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

func TestServeLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10 {
		t.Run("once", func(t *testing.T) {
			c, base := serve(t, &engine{}, "127.0.0.1:0")
			ask(t, c, http.MethodGet, base+"/live", nil)
		})
	}
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestDump(t *testing.T) {
	text := string(admin.Dump(configuration()))
	for _, want := range []string{`"keyPEM": "[redacted]"`, `"chainPEM": "CHAIN"`, `"value": "shown"`, `"value": "blue"`, `"kind": "exact"`, `"created": "2026-11-27T10:00:00Z"`, `"address": "10.0.0.1:80"`, `"requestHeaders": {`} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s", want)
		}
	}
	if strings.Contains(text, "hunter2") || !json.Valid([]byte(text)) {
		t.Errorf("a secret, or no JSON: %s", text)
	}
	if got := string(admin.Dump(nil)); got != "null\n" {
		t.Errorf("nil: %q", got)
	}
}

// TestDumpKnowsAllTypes fails when the model gets an enumeration without names, or
// a kind that the dump cannot write.
func TestDumpKnowsAllTypes(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		if seen[typ] || typ.PkgPath() == "time" || typ.PkgPath() == "net/netip" {
			return
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(typ.Elem())
		case reflect.Struct:
			for f := range typ.Fields() {
				if f.PkgPath != "" {
					t.Errorf("%s.%s is not exported", typ, f.Name)
				}
				walk(f.Type)
			}
		case reflect.String, reflect.Bool:
		default:
			v := reflect.New(typ).Elem()
			if !v.CanInt() && !v.CanUint() {
				t.Errorf("%s cannot be written", typ)
			}
			if typ.PkgPath() != "" && !admin.Named(typ) {
				t.Errorf("%s has no names", typ)
			}
		}
	}
	walk(reflect.TypeFor[connect.Config]())
}
