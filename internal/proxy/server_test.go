package proxy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

const listen = "127.0.0.1:0"

// bothKinds are the native and the portable loops.
func bothKinds() map[string]evloop.Kind {
	return map[string]evloop.Kind{"native": evloop.Native, "portable": evloop.Portable}
}

func start(tb testing.TB, kind evloop.Kind, c *connect.Config) (*proxy.Server, string) {
	tb.Helper()
	s, err := proxy.New(proxy.Options{Loops: 2, Kind: kind, Version: "test", Diagnostics: tb.Logf})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := s.Apply(c); err != nil {
		tb.Fatal(err)
	}
	return s, s.Addr(listen).String()
}

func endpoint(addr string) connect.Endpoint {
	return connect.Endpoint{Address: addr, Addr: netip.MustParseAddrPort(addr)}
}

func cluster(name string, addrs ...string) *connect.Cluster {
	c := &connect.Cluster{Name: name}
	for _, a := range addrs {
		c.Endpoints = append(c.Endpoints, endpoint(a))
	}
	return c
}

// simple sends everything to the addresses.
func simple(addrs ...string) *connect.Config {
	return &connect.Config{
		Version:   "1",
		Node:      connect.Node{Name: "test"},
		Listeners: []*connect.Listener{{Name: "main", Address: listen}},
		Routes:    []*connect.Route{{Name: "all", Rules: []connect.Rule{{Backends: []connect.Backend{{Cluster: "main", Weight: 1}}}}}},
		Clusters:  []*connect.Cluster{cluster("main", addrs...)},
	}
}

func backend(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func TestGetAndPost(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				w.Header().Set("X-Got", fmt.Sprintf("%s %s %s via=%q for=%q", r.Method, r.Host, r.URL, r.Header.Get("Via"), r.Header.Get("X-Forwarded-For")))
				fmt.Fprintf(w, "%x", sha256.Sum256(body))
			})
			_, front := start(t, kind, simple(addr))
			for _, size := range []int{0, 1, 5000, 70_000, 3_000_000} {
				body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				resp, err := http.Post("http://"+front+"/a/b?c=d", "text/plain", bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("status %d, %v", resp.StatusCode, err)
				}
				if want := fmt.Sprintf("%x", sha256.Sum256(body)); string(got) != want {
					t.Errorf("%d bytes arrived otherwise: %s, want %s", size, got, want)
				}
				want := fmt.Sprintf("POST %s /a/b?c=d via=%q for=%q", front, "1.1 tatami", "127.0.0.1")
				if resp.Header.Get("X-Got") != want {
					t.Errorf("the backend saw %s, want %s", resp.Header.Get("X-Got"), want)
				}
			}
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			big := strings.Repeat("x", 100_000)
			addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/big" {
					_, _ = io.WriteString(w, big)
					return
				}
				_, _ = io.WriteString(w, r.URL.Path)
			})
			_, front := start(t, kind, simple(addr))
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			defer client.CloseIdleConnections()
			var wg sync.WaitGroup
			var failed atomic.Int64
			for g := range 32 {
				wg.Go(func() {
					for i := range 50 {
						path, want := fmt.Sprintf("/%d/%d", g, i), ""
						want = path
						if i%10 == 0 {
							path, want = "/big", big
						}
						resp, err := client.Get("http://" + front + path)
						if err != nil {
							failed.Add(1)
							t.Log(err)
							continue
						}
						got, err := io.ReadAll(resp.Body)
						_ = resp.Body.Close()
						if err != nil || string(got) != want {
							failed.Add(1)
							t.Logf("%s: %d bytes, %v", path, len(got), err)
						}
					}
				})
			}
			wg.Wait()
			if n := failed.Load(); n > 0 {
				t.Errorf("%d requests failed", n)
			}
		})
	}
}

func TestOwnAnswers(t *testing.T) {
	closed, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	dead := closed.Addr().String()
	_ = closed.Close()
	slow := backend(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(2 * time.Second):
		}
	})
	lying, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lying.Close() })
	go func() {
		for {
			c, err := lying.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "this is not HTTP\r\n\r\n")
			_ = c.Close()
		}
	}()
	c := simple(dead)
	c.Clusters = append(c.Clusters, cluster("slow", slow), cluster("lying", lying.Addr().String()), cluster("empty"))
	to := func(path, name string) connect.Rule {
		return connect.Rule{
			Matches:  []connect.Match{{Path: connect.PathMatch{Value: path}}},
			Backends: []connect.Backend{{Cluster: name, Weight: 1}},
		}
	}
	slowRule := to("/slow", "slow")
	slowRule.BackendTimeout = 50 * time.Millisecond
	slowRequest := to("/slow-request", "slow")
	slowRequest.RequestTimeout = 50 * time.Millisecond
	direct := connect.Rule{
		Matches: []connect.Match{{Path: connect.PathMatch{Value: "/direct"}}},
		Filters: connect.Filters{Direct: &connect.DirectResponse{Status: 418, Body: "teapot"}},
	}
	c.Routes[0].Rules = []connect.Rule{to("/dead", "main"), slowRule, slowRequest, to("/lying", "lying"), to("/empty", "empty"), direct}
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			_, front := start(t, kind, c)
			for path, want := range map[string]int{
				"/dead": 503, "/slow": 504, "/slow-request": 504, "/lying": 502, "/empty": 503, "/nowhere": 404, "/direct": 418,
			} {
				resp, err := http.Get("http://" + front + path)
				if err != nil {
					t.Errorf("%s: %v", path, err)
					continue
				}
				_ = resp.Body.Close()
				if resp.StatusCode != want {
					t.Errorf("%s: status %d, want %d", path, resp.StatusCode, want)
				}
			}
		})
	}
}

func TestReloadLosesNothing(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			one := backend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
			two := backend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
			s, front := start(t, kind, simple(one))
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			var served, failed atomic.Int64
			for range 8 {
				wg.Go(func() {
					client := &http.Client{Transport: &http.Transport{}}
					defer client.CloseIdleConnections()
					for ctx.Err() == nil {
						resp, err := client.Get("http://" + front + "/")
						if err != nil || resp.StatusCode != 200 {
							failed.Add(1)
							t.Log(resp, err)
							continue
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
						served.Add(1)
					}
				})
			}
			for i := range 100 {
				c := simple(one)
				if i%2 == 0 {
					c = simple(two)
				}
				c.Version = fmt.Sprint(i)
				if err := s.Apply(c); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Millisecond)
			}
			stop()
			wg.Wait()
			if failed.Load() > 0 || served.Load() == 0 {
				t.Errorf("%d requests failed of %d", failed.Load(), served.Load()+failed.Load())
			}
		})
	}
}

// TestRetire: what is announced is kept: every answer says that the connection
// ends, and none is refused.
func TestRetire(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			s, front := start(t, kind, simple(named(t, "one")))
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			ask := func() *http.Response {
				resp, err := client.Get("http://" + front + "/")
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				return resp
			}
			if resp := ask(); resp.Close {
				t.Error("a connection was ended before anybody asked for it")
			}
			s.Retire()
			if s.Ready() {
				t.Error("the proxy says that it is ready")
			}
			for range 3 {
				if resp := ask(); resp.StatusCode != 200 || !resp.Close {
					t.Errorf("%d, and the connection ends: %v", resp.StatusCode, resp.Close)
				}
			}
			if err := s.Apply(simple(named(t, "two"))); err != nil {
				t.Errorf("a configuration is refused: %v", err)
			}
		})
	}
}
