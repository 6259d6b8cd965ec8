package chaos

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// serve starts a proxy with one listener and one cluster. Extra is what is added
// to listener, rule and cluster.
func serve(t *testing.T, kind rig.Kind, extra [3]string, backends ...string) *rig.Proxy {
	t.Helper()
	return program.Start(t, rig.Options{Kind: kind, Config: fmt.Sprintf(`
node: {accessLog: {mode: "OFF"}}
listeners: [{name: web, address: "127.0.0.1:0"%s}]
routes: [{name: all, rules: [{backends: [web]%s}]}]
clusters: [{name: web, endpoints: ["%s"]%s}]
`, extra[0], extra[1], strings.Join(backends, `", "`), extra[2])})
}

// peer is a client that sends what it likes.
type peer struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func dial(t *testing.T, addr string) *peer {
	t.Helper()
	c, err := lab.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(lab.Patience))
	return &peer{Conn: c, t: t, in: bufio.NewReader(c)}
}

// send ignores errors: who is cut off sees it when it reads.
func (p *peer) send(text string) *peer {
	_, _ = p.Write([]byte(text))
	return p
}

// status reads one answer whole and returns its status, 0 when there is none.
func (p *peer) status() (int, http.Header) {
	p.t.Helper()
	resp, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header
}

// ends says whether the server closes the connection within the time.
func (p *peer) ends(within time.Duration) bool {
	_ = p.SetReadDeadline(time.Now().Add(within))
	_, err := io.Copy(io.Discard, p.in)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

const get = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Id: 1\r\n\r\n"

func TestRequestLimits(t *testing.T) {
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		bodies := lab.NewBodies(1 << 20)
		o := lab.NewOrigin(t, bodies, lab.Well)
		p := serve(t, kind, [3]string{", http: {maxHeaderBytes: 8192, maxUriBytes: 1000, maxHeaders: 20, maxBodyBytes: 10000}"}, o.Addr)
		for _, tt := range []struct {
			name, request string
			want          int
		}{
			{"good", get, 200},
			{"URI", "GET /" + strings.Repeat("a", 2000) + " HTTP/1.1\r\nHost: a.example\r\n\r\n", 414},
			{"URI without end", "GET /" + strings.Repeat("a", 100_000), 414},
			{"one field", "GET / HTTP/1.1\r\nHost: a.example\r\nX: " + strings.Repeat("a", 9000) + "\r\n\r\n", 431},
			{"field without end", "GET / HTTP/1.1\r\nHost: a.example\r\nX: " + strings.Repeat("a", 1_000_000), 431},
			{"number of fields", "GET / HTTP/1.1\r\nHost: a.example\r\n" + strings.Repeat("X: a\r\n", 30) + "\r\n", 431},
			{"body by length", "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10001\r\n\r\n", 413},
			{"body by chunks", "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n" +
				strings.Repeat("1000\r\n"+strings.Repeat("b", 4096)+"\r\n", 3) + "0\r\n\r\n", 413},
		} {
			t.Run(tt.name, func(t *testing.T) {
				before := o.Requests.Load()
				if got, _ := dial(t, p.Addr("web")).send(tt.request).status(); got != tt.want {
					t.Errorf("status %d, want %d", got, tt.want)
				}
				if n := o.Requests.Load() - before; tt.want != 200 && tt.want != 413 && n != 0 {
					t.Errorf("the backend got %d requests", n)
				}
			})
		}
	})
}

func TestMaxConnections(t *testing.T) {
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		o := lab.NewOrigin(t, lab.NewBodies(1000), lab.Well)
		p := serve(t, kind, [3]string{", maxConnections: 10"}, o.Addr)
		var open []*peer
		for range 10 {
			c := dial(t, p.Addr("web")).send(get)
			if got, _ := c.status(); got != 200 {
				t.Fatalf("status %d", got)
			}
			open = append(open, c)
		}
		if got, _ := dial(t, p.Addr("web")).send(get).status(); got != 0 {
			t.Errorf("one connection too many got status %d", got)
		}
		if got, _ := open[3].send(get).status(); got != 200 {
			t.Errorf("an accepted connection got status %d", got)
		}
		_ = open[0].Close()
		lab.Until(t, "a place that became free is given", func() bool {
			got, _ := dial(t, p.Addr("web")).send(get).status()
			return got == 200
		})
		if n := p.Metric("tatami_proxy_connections_refused_total"); n < 1 {
			t.Errorf("%v refusals are counted", n)
		}
	})
}

// TestBreaker: what is above the limits is refused at once, with when to come
// again, and what is below is served.
func TestBreaker(t *testing.T) {
	for _, tt := range []struct {
		name, breaker string
		most          int64 // at the backend at once
		served        int   // of 12
	}{
		{"requests", "maxRequests: 5", 5, 5},
		{"connections and pending", "maxConnections: 2, maxPending: 3", 2, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rig.Both(t, func(t *testing.T, kind rig.Kind) {
				t.Helper()
				let := make(chan struct{})
				bodies := lab.NewBodies(1000)
				o := lab.NewOrigin(t, bodies, func(c *lab.Call) bool {
					<-let
					return lab.Well(c)
				})
				p := serve(t, kind, [3]string{2: ", breaker: {" + tt.breaker + "}"}, o.Addr)
				var clients []*peer
				for range 12 {
					clients = append(clients, dial(t, p.Addr("web")).send(get))
					time.Sleep(10 * time.Millisecond)
				}
				if n := o.Active.Load(); n != tt.most {
					t.Errorf("the backend has %d requests, want %d", n, tt.most)
				}
				refused := clients[tt.served:]
				for _, c := range refused {
					status, header := c.status()
					if status != 503 || header.Get("Retry-After") == "" {
						t.Errorf("status %d with %q, want 503 with Retry-After", status, header)
					}
				}
				close(let)
				for i, c := range clients[:tt.served] {
					if status, _ := c.status(); status != 200 {
						t.Errorf("request %d: status %d", i, status)
					}
				}
			})
		})
	}
}

// TestRetryBudget: when nothing works, retries do not multiply the load.
func TestRetryBudget(t *testing.T) {
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		bodies := lab.NewBodies(1000)
		a, b := lab.NewOrigin(t, bodies, unwell), lab.NewOrigin(t, bodies, unwell)
		p := serve(t, kind, [3]string{1: ", retry: {attempts: 5, codes: [503], backoff: 1ms}"}, a.Addr, b.Addr)
		const requests = 600
		c := dial(t, p.Addr("web"))
		for range requests {
			if status, _ := c.send(get).status(); status != 503 {
				t.Fatalf("status %d", status)
			}
		}
		attempts := a.Requests.Load() + b.Requests.Load()
		// A fifth, and 3 per second of the window of 10 s.
		if most := int64(requests + requests/5 + 31); attempts > most || attempts < requests {
			t.Errorf("%d attempts for %d requests, want at most %d", attempts, requests, most)
		}
		t.Logf("%d attempts for %d requests", attempts, requests)
	})
}

// TestOutlier: an endpoint that fails is left alone, and gets requests again as
// soon as a probe shows that it works.
func TestOutlier(t *testing.T) {
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		bodies := lab.NewBodies(1000)
		ill, well := lab.NewOrigin(t, bodies, resets), lab.NewOrigin(t, bodies, lab.Well)
		p := serve(t, kind, [3]string{
			1: ", retry: {attempts: 2, codes: [502, 503]}",
			2: ", balance: {policy: ROUND_ROBIN}, outlier: {failures: 3, baseTime: 300ms, maxTime: 600ms}, breaker: {retryBudget: 100}",
		}, ill.Addr, well.Addr)
		c := dial(t, p.Addr("web"))
		ask := func(n int) {
			for range n {
				if status, _ := c.send(get).status(); status != 200 {
					t.Fatalf("status %d", status)
				}
			}
		}
		ask(200)
		if n := ill.Requests.Load(); n < 3 || n > 20 {
			t.Errorf("an endpoint that fails always got %d of 200 requests", n)
		}
		if !strings.Contains(p.Get("/clusters"), "ejected") {
			t.Errorf("no endpoint is ejected:\n%s", p.Get("/clusters"))
		}
		ill.Behave(lab.Well)
		lab.Until(t, "the endpoint is back", func() bool {
			before := ill.Requests.Load()
			ask(20)
			return ill.Requests.Load()-before >= 8
		})
		if strings.Contains(p.Get("/clusters"), "ejected") {
			t.Errorf("an endpoint is still ejected:\n%s", p.Get("/clusters"))
		}
	})
}

// TestUnaskedAnswer: what a backend says on a connection that nobody uses is for
// nobody.
func TestUnaskedAnswer(t *testing.T) {
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		bodies := lab.NewBodies(1000)
		o := lab.NewOrigin(t, bodies, func(c *lab.Call) bool {
			keep := lab.Well(c)
			time.Sleep(20 * time.Millisecond)
			_, _ = c.Conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"))
			return keep
		})
		p := serve(t, kind, [3]string{}, o.Addr)
		c := &lab.HTTP1{Addr: func() string { return p.Addr("web") }, Bodies: bodies}
		defer c.Close()
		for id := range uint64(10) {
			if got := c.Do(lab.Request{ID: id + 1, Path: "/"}); got.Err != nil || got.Status != 200 {
				t.Errorf("request %d: %+v", id, got)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}
