package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

// named answers with its name and what it saw.
func named(tb testing.TB, name string) string {
	tb.Helper()
	return backend(tb, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Backend", name)
		w.Header().Set("X-Path", r.URL.RequestURI())
		w.Header().Set("X-Host", r.Host)
		w.Header().Set("X-Saw", r.Header.Get("X-Set")+"|"+r.Header.Get("X-Remove"))
		_, _ = io.WriteString(w, name)
	})
}

func rule(path string, backends ...connect.Backend) connect.Rule {
	return connect.Rule{Matches: []connect.Match{{Path: connect.PathMatch{Value: path}}}, Backends: backends}
}

func to(name string, weight uint32) connect.Backend {
	return connect.Backend{Cluster: name, Weight: weight}
}

func noRedirect() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func get(tb testing.TB, url string, header ...string) *http.Response {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := noRedirect().Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
}

// filters is a configuration with a rule for each filter.
func filters(one, two string) *connect.Config {
	c := simple(one)
	c.Clusters = append(c.Clusters, cluster("two", two))
	edit := rule("/edit", to("main", 1))
	edit.Filters.RequestHeaders = connect.HeaderEdit{Set: []connect.HeaderValue{{Name: "X-Set", Value: "set"}}, Remove: []string{"X-Remove"}}
	edit.Filters.ResponseHeaders = connect.HeaderEdit{Add: []connect.HeaderValue{{Name: "X-Added", Value: "yes"}}, Remove: []string{"X-Backend"}}
	redirect := rule("/old", nil...)
	redirect.Filters.Redirect = &connect.Redirect{
		Hostname: "example.com", Status: 301,
		Path: connect.PathModifier{Kind: connect.ReplacePrefix, Value: "/new"},
	}
	rewrite := rule("/rewrite", to("main", 1))
	rewrite.Filters.Rewrite = &connect.Rewrite{Hostname: "inner.example", Path: connect.PathModifier{Kind: connect.ReplacePrefix, Value: "/x"}}
	cors := rule("/cors", to("main", 1))
	cors.Filters.CORS = &connect.CORS{AllowOrigins: []string{"https://app.example"}, AllowMethods: []string{"PUT"}}
	limited := rule("/limited", to("main", 1))
	limited.RateLimit = &connect.RateLimit{Requests: 1, Interval: time.Hour}
	fault := rule("/fault", to("main", 1))
	fault.Fault = &connect.Fault{AbortStatus: 599, AbortPercent: 100, Delay: 30 * time.Millisecond, DelayPercent: 100}
	session := rule("/session", to("both", 1))
	session.Session = &connect.Session{Cookie: "stick"}
	c.Clusters = append(c.Clusters, cluster("both", one, two))
	split := rule("/split", to("main", 3), to("two", 1))
	c.Routes[0].Rules = []connect.Rule{edit, redirect, rewrite, cors, limited, fault, session, split, rule("/none"), rule("/zero", to("main", 0))}
	return c
}

func TestFilters(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			_, front := start(t, kind, filters(named(t, "one"), named(t, "two")))
			base := "http://" + front
			for _, c := range []struct {
				name, path string
				header     []string
				status     int
				want       map[string]string
			}{
				{
					"header changes", "/edit",
					[]string{"X-Set", "other", "X-Remove", "x"},
					200,
					map[string]string{"X-Saw": "set|", "X-Added": "yes", "X-Backend": ""},
				},
				{"redirect", "/old/page?q=1", nil, 301, map[string]string{"Location": "http://example.com/new/page?q=1"}},
				{"rewrite", "/rewrite/a?q=1", nil, 200, map[string]string{"X-Path": "/x/a?q=1", "X-Host": "inner.example"}},
				{
					"cors", "/cors",
					[]string{"Origin", "https://app.example"},
					200,
					map[string]string{"Access-Control-Allow-Origin": "https://app.example", "X-Backend": "one"},
				},
				{"cors of another origin", "/cors", []string{"Origin", "https://evil.example"}, 200, map[string]string{"Access-Control-Allow-Origin": ""}},
				{"rate limit: first", "/limited", nil, 200, nil},
				{"rate limit: second", "/limited", nil, 429, nil},
				{"fault", "/fault", nil, 599, nil},
				{"no backend", "/none", nil, 500, nil},
				{"no weight", "/zero", nil, 500, nil},
				{"dot segments", "/edit/../none", nil, 500, nil},
			} {
				resp := get(t, base+c.path, c.header...)
				if resp.StatusCode != c.status {
					t.Errorf("%s: status %d, want %d", c.name, resp.StatusCode, c.status)
				}
				for name, want := range c.want {
					if got := resp.Header.Get(name); got != want {
						t.Errorf("%s: %s is %q, want %q", c.name, name, got, want)
					}
				}
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			_, front := start(t, kind, filters(named(t, "one"), named(t, "two")))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+front+"/cors", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Origin", "https://app.example")
			req.Header.Set("Access-Control-Request-Method", "PUT")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Methods") != "PUT" || resp.Header.Get("X-Backend") != "" {
				t.Errorf("the preflight got %d %v", resp.StatusCode, resp.Header)
			}
		})
	}
}

func TestWeightsAndSessions(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			_, front := start(t, kind, filters(named(t, "one"), named(t, "two")))
			counts := map[string]int{}
			for range 400 {
				counts[get(t, "http://"+front+"/split").Header.Get("X-Backend")]++
			}
			if counts["one"] < 298 || counts["one"] > 302 {
				t.Errorf("of 400 requests, 3:1, one got %d and two %d", counts["one"], counts["two"])
			}
			first := get(t, "http://"+front+"/session")
			cookie := first.Header.Get("Set-Cookie")
			value, _, _ := strings.Cut(cookie, ";")
			if value == "" {
				t.Fatal("no cookie was set")
			}
			for range 20 {
				again := get(t, "http://"+front+"/session", "Cookie", value)
				if again.Header.Get("X-Backend") != first.Header.Get("X-Backend") || again.Header.Get("Set-Cookie") != "" {
					t.Errorf("the session of %s went to %s (cookie %q)", first.Header.Get("X-Backend"), again.Header.Get("X-Backend"), again.Header.Get("Set-Cookie"))
				}
			}
		})
	}
}

func TestMirror(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			var copies atomic.Int64
			var last atomic.Value
			shadow := backend(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				last.Store(r.Method + " " + r.URL.Path + " " + string(body))
				copies.Add(1)
				w.WriteHeader(500)
			})
			c := simple(named(t, "one"))
			c.Clusters = append(c.Clusters, cluster("shadow", shadow))
			c.Routes[0].Rules[0].Filters.Mirrors = []connect.Mirror{{Cluster: "shadow"}}
			_, front := start(t, kind, c)
			const n = 10
			for range n {
				resp, err := http.Post("http://"+front+"/m", "text/plain", strings.NewReader("copy me"))
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != 200 {
					t.Errorf("status %d", resp.StatusCode)
				}
			}
			for deadline := time.Now().Add(5 * time.Second); copies.Load() < n && time.Now().Before(deadline); {
				time.Sleep(5 * time.Millisecond)
			}
			if copies.Load() != n || last.Load() != "POST /m copy me" {
				t.Errorf("%d copies arrived, the last is %q", copies.Load(), last.Load())
			}
		})
	}
}

// flaky fails the first fails requests of each path in the way that how says.
func flaky(tb testing.TB, how string, fails int64) (addr string, asked *atomic.Int64) {
	tb.Helper()
	asked = &atomic.Int64{}
	return backend(tb, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if asked.Add(1) > fails {
			_, _ = io.WriteString(w, "ok")
			return
		}
		switch how {
		case "reset":
			panic(http.ErrAbortHandler)
		case "status":
			w.WriteHeader(503)
		case "hang":
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		}
	}), asked
}

func TestRetries(t *testing.T) {
	type row struct {
		name, how, method string
		retry             *connect.Retry
		status            int
		asked             int64
	}
	asks := &connect.Retry{Codes: []int{503}, Backoff: time.Millisecond}
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			for _, c := range []row{
				{"a reset is not asked again unasked", "reset", "GET", nil, 502, 1},
				{"a GET is asked again where the route says so", "reset", "GET", asks, 200, 3},
				{"a POST is not", "reset", "POST", asks, 502, 1},
				{
					"unless the route says that as well", "reset", "POST",
					&connect.Retry{NonIdempotent: true, Backoff: time.Millisecond}, 200, 3,
				},
				{"a status", "status", "GET", asks, 200, 3},
				{"a status that is not listed", "status", "GET", &connect.Retry{Codes: []int{502}}, 503, 1},
				{"no more than asked for", "status", "GET", &connect.Retry{Attempts: 1, Codes: []int{503}, Backoff: time.Millisecond}, 503, 2},
				{"a time-out", "hang", "GET", asks, 200, 3},
			} {
				t.Run(c.name, func(t *testing.T) {
					addr, asked := flaky(t, c.how, 2)
					cfg := simple(addr)
					cfg.Routes[0].Rules[0].Retry = c.retry
					cfg.Routes[0].Rules[0].BackendTimeout = 100 * time.Millisecond
					_, front := start(t, kind, cfg)
					req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+front+"/", strings.NewReader("body"))
					if err != nil {
						t.Fatal(err)
					}
					resp, err := http.DefaultClient.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					_ = resp.Body.Close()
					if resp.StatusCode != c.status || asked.Load() != c.asked {
						t.Errorf("status %d after %d requests, want %d after %d", resp.StatusCode, asked.Load(), c.status, c.asked)
					}
				})
			}
		})
	}
}

func TestGRPCAnswers(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			_, front := start(t, kind, filters(named(t, "one"), named(t, "two")))
			for path, want := range map[string]string{"/nowhere": "12", "/none": "2", "/fault": "2"} {
				resp := get(t, "http://"+front+path, "Content-Type", "application/grpc")
				if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != want {
					t.Errorf("%s: %d, grpc-status %q, want 200 and %s", path, resp.StatusCode, resp.Header.Get("Grpc-Status"), want)
				}
			}
		})
	}
}

func TestEjection(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			var bad atomic.Int64
			sick := backend(t, func(w http.ResponseWriter, _ *http.Request) {
				bad.Add(1)
				w.WriteHeader(503)
			})
			c := simple(named(t, "well"), sick)
			c.Clusters[0].Outlier = &connect.Outlier{Failures: 3, BaseTime: time.Minute}
			c.Clusters[0].Balance.Policy = connect.PolicyRoundRobin
			_, front := start(t, kind, c)
			failed := 0
			for range 60 {
				if get(t, "http://"+front+"/").StatusCode != 200 {
					failed++
				}
			}
			if failed != 3 || bad.Load() != 3 {
				t.Errorf("%d requests failed and the sick endpoint saw %d, want 3 before it is ejected", failed, bad.Load())
			}
		})
	}
}

func TestBadConfigurationIsRefusedWhole(t *testing.T) {
	s, front := start(t, evloop.Native, simple(named(t, "one")))
	bad := simple("127.0.0.1:1")
	bad.Routes[0].Rules[0].Backends[0].Cluster = "missing"
	bad.Listeners[0].Hostname = "not a host"
	err := s.Apply(bad)
	if err == nil || !strings.Contains(err.Error(), "missing") || !strings.Contains(err.Error(), "not a host") {
		t.Errorf("the reasons are %v, want both", err)
	}
	taken := simple("127.0.0.1:1")
	taken.Listeners = append(taken.Listeners, &connect.Listener{Name: "other", Address: front})
	if err := s.Apply(taken); err == nil {
		t.Error("an address that is in use was taken")
	}
	if resp := get(t, "http://"+front+"/"); resp.StatusCode != 200 || resp.Header.Get("X-Backend") != "one" {
		t.Errorf("the old configuration answers %d from %q", resp.StatusCode, resp.Header.Get("X-Backend"))
	}
	if v := s.Config().Version; v != "1" {
		t.Errorf("version %s is in force", v)
	}
}

func TestMaxConnections(t *testing.T) {
	c := simple(named(t, "one"))
	c.Listeners[0].MaxConnections = 2
	_, front := start(t, evloop.Native, c)
	client := func() *http.Client { return &http.Client{Transport: &http.Transport{}} }
	for i, want := range []bool{true, true, false} {
		cl := client()
		defer cl.CloseIdleConnections()
		resp, err := cl.Get("http://" + front + "/")
		if (err == nil) != want {
			t.Errorf("connection %d: %v", i, err)
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
}
