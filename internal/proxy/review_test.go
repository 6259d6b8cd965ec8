package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy"
	"github.com/tatami-platform/tatami/internal/proxy/admin"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn/tlstest"
)

const patience = 5 * time.Second

// eventually waits for a condition that another goroutine brings about.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func host(s *proxy.Server, cluster string) admin.Host {
	for _, c := range s.Admin().Clusters() {
		if c.Name == cluster && len(c.Hosts) > 0 {
			return c.Hosts[0]
		}
	}
	return admin.Host{}
}

// raw serves each connection to a backend that speaks for itself.
func raw(tb testing.TB, serve func(c net.Conn)) string {
	tb.Helper()
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []net.Conn
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, c)
			mu.Unlock()
			wg.Go(func() { serve(c) })
		}
	})
	tb.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for _, c := range all {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// switching answers an upgrade and echoes.
func switching(tb testing.TB) string {
	tb.Helper()
	return raw(tb, func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(c, r)
	})
}

// h2c is a backend that speaks HTTP/2 in plain text.
func h2c(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	tb.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func dial(tb testing.TB, network, addr string) net.Conn {
	tb.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return c
}

// ask sends a request as it stands and reads the answer whole.
func ask(tb testing.TB, c net.Conn, r *bufio.Reader, request string) (*http.Response, string) {
	tb.Helper()
	if request != "" {
		if _, err := io.WriteString(c, request); err != nil {
			tb.Fatal(err)
		}
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		tb.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp, string(body)
}

func TestTunnelIsJudgedWhenItBegins(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			s, front := start(t, kind, simple(switching(t)))
			c := dial(t, "tcp", front)
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nping")
			r := bufio.NewReader(c)
			if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
				t.Fatal(resp, err)
			}
			got := make([]byte, 4)
			if _, err := io.ReadFull(r, got); err != nil || string(got) != "ping" {
				t.Fatalf("%q, %v", got, err)
			}
			time.Sleep(300 * time.Millisecond)
			_ = c.Close()
			eventually(t, "the tunnel is over", func() bool { return host(s, "main").Outstanding == 0 })
			if got := host(s, "main").EWMA; got <= 0 || got > 250*time.Millisecond {
				t.Errorf("the endpoint looks as slow as %s, because a tunnel was open for long", got)
			}
		})
	}
}

// tunnelOver2 opens a tunnel on a stream of its own of an HTTP/2 connection.
func tunnelOver2(tb testing.TB, front string) *http2.Framer {
	tb.Helper()
	c := dial(tb, "tcp", front)
	_, _ = io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{
		{":method", "CONNECT"}, {":protocol", "echo"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"},
	} {
		_ = enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	_ = f.WriteSettings()
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	return f
}

func TestTunnelEndsWithTrailers(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				name         string
				backendFirst bool
			}{{"after the client's trailers", false}, {"after the backend's end", true}} {
				t.Run(c.name, func(t *testing.T) {
					addr := raw(t, func(b net.Conn) {
						r := bufio.NewReader(b)
						if _, err := http.ReadRequest(r); err != nil {
							return
						}
						_, _ = io.WriteString(b, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi")
						if c.backendFirst {
							_ = b.(*net.TCPConn).CloseWrite()
						}
						_, _ = io.Copy(io.Discard, r)
						_ = b.Close()
					})
					s, front := start(t, kind, simple(addr))
					f := tunnelOver2(t, front)
					ended := false
					for seen := false; !seen || c.backendFirst && !ended; {
						fr, err := f.ReadFrame()
						if err != nil {
							t.Fatal(err)
						}
						if d, ok := fr.(*http2.DataFrame); ok {
							seen, ended = true, d.StreamEnded()
						}
					}
					var block bytes.Buffer
					_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: "x-end", Value: "1"})
					_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
					eventually(t, "the tunnel is over", func() bool { return host(s, "main").Outstanding == 0 })
				})
			}
		})
	}
}

func TestConnectionsToBackends(t *testing.T) {
	type row struct {
		name  string
		retry *connect.Retry
		max   int // requests per connection
		want  int // connections for six requests
		fails int64
		http2 bool
	}
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			for _, c := range []row{
				{"one for all", nil, 0, 1, 0, false},
				{"one for all, HTTP/2", nil, 0, 1, 0, true},
				{"an answer that is asked for again was complete", &connect.Retry{Codes: []int{503}, Attempts: 3, Backoff: time.Millisecond}, 0, 1, 2, false},
				{"so many requests and no more", nil, 2, 3, 0, false},
				{"so many requests and no more, HTTP/2", nil, 2, 3, 0, true},
			} {
				t.Run(c.name, func(t *testing.T) {
					var mu sync.Mutex
					var asked atomic.Int64
					seen := map[string]bool{}
					h := func(w http.ResponseWriter, r *http.Request) {
						mu.Lock()
						seen[r.RemoteAddr] = true
						mu.Unlock()
						if asked.Add(1) <= c.fails {
							w.WriteHeader(503)
						}
					}
					var cfg *connect.Config
					if c.http2 {
						cfg = simple(h2c(t, h))
						cfg.Clusters[0].Protocol = connect.UpstreamHTTP2
					} else {
						cfg = simple(backend(t, h))
					}
					cfg.Clusters[0].MaxRequests = c.max
					cfg.Routes[0].Rules[0].Retry = c.retry
					_, front := start(t, kind, cfg)
					conn := dial(t, "tcp", front)
					r := bufio.NewReader(conn)
					for range 6 {
						if resp, _ := ask(t, conn, r, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != 200 {
							t.Errorf("status %d", resp.StatusCode)
						}
					}
					mu.Lock()
					defer mu.Unlock()
					if len(seen) != c.want {
						t.Errorf("the backend saw %d connections, want %d", len(seen), c.want)
					}
				})
			}
		})
	}
}

func TestBusyConnectionsAreNotKeptAfterAChange(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			begun, goOn := make(chan struct{}, 1), make(chan struct{})
			addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					begun <- struct{}{}
					<-goOn
				}
				_, _ = io.WriteString(w, r.RemoteAddr)
			})
			s, front := start(t, kind, simple(addr))
			conn := dial(t, "tcp", front)
			r := bufio.NewReader(conn)
			_, _ = io.WriteString(conn, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
			<-begun
			changed := simple(addr)
			changed.Clusters[0].ConnectTimeout = 2 * time.Second
			if err := s.Apply(changed); err != nil {
				t.Fatal(err)
			}
			close(goOn)
			_, before := ask(t, conn, r, "")
			if _, after := ask(t, conn, r, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); after == before {
				t.Error("a connection that was made the old way is used further")
			}
		})
	}
}

func TestIdleIsSinceTheLastRequest(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	cfg := simple(h2c(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.RemoteAddr] = true
		mu.Unlock()
	}))
	cfg.Clusters[0].Protocol = connect.UpstreamHTTP2
	cfg.Clusters[0].IdleTimeout = time.Second
	_, front := start(t, evloop.Native, cfg)
	conn := dial(t, "tcp", front)
	r := bufio.NewReader(conn)
	for range 35 {
		ask(t, conn, r, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		time.Sleep(100 * time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 1 {
		t.Errorf("%d connections were made for requests 100 ms apart, want 1", len(seen))
	}
}

func TestMirrorsThatGetNoAnswer(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{}, 1)
			shadow := backend(t, func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-r.Context().Done():
					select {
					case ended <- struct{}{}:
					default:
					}
				case <-time.After(patience):
				}
			})
			c := simple(named(t, "one"))
			c.Clusters = append(c.Clusters, cluster("shadow", shadow))
			c.Clusters[1].Breaker = connect.Breaker{MaxConnections: 1, MaxPending: 1}
			c.Routes[0].Rules[0].Filters.Mirrors = []connect.Mirror{{Cluster: "shadow"}}
			c.Routes[0].Rules[0].RequestTimeout = 300 * time.Millisecond
			s, front := start(t, kind, c)
			for range 6 {
				get(t, "http://"+front+"/")
			}
			select {
			case <-ended:
			case <-time.After(patience):
				t.Error("a copy waits for its answer for ever")
			}
			eventually(t, "all copies are over", func() bool { return host(s, "shadow").Outstanding == 0 })
			// Our own limits say nothing about the endpoint.
			if n := host(s, "shadow").Failures; n > 2 {
				t.Errorf("%d failures are held against the endpoint, want no more than time-outs", n)
			}
		})
	}
}

func TestDelayedRequestGoesOnWithItsConfiguration(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			addr := named(t, "one")
			c := simple(addr)
			c.Routes[0].Rules[0].Fault = &connect.Fault{Delay: 300 * time.Millisecond, DelayPercent: 100}
			s, front := start(t, kind, c)
			status := make(chan int)
			go func() { status <- get(t, "http://"+front+"/").StatusCode }()
			time.Sleep(100 * time.Millisecond)
			renamed := simple(addr)
			renamed.Clusters[0].Name = "renamed"
			renamed.Routes[0].Rules[0].Backends[0].Cluster = "renamed"
			if err := s.Apply(renamed); err != nil {
				t.Fatal(err)
			}
			if got := <-status; got != 200 {
				t.Errorf("status %d, want 200 as before the change", got)
			}
		})
	}
}

// withSocket adds a listener at a path.
func withSocket(c *connect.Config, path string) *connect.Config {
	c.Listeners = append(c.Listeners, &connect.Listener{Name: "second", Address: "unix:" + path})
	return c
}

func socketPath(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "tp") //nolint:usetesting // its path is too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestRemovedListenerEndsWell(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					time.Sleep(300 * time.Millisecond)
				}
				_, _ = io.WriteString(w, "ok")
			})
			path := socketPath(t)
			s, _ := start(t, kind, withSocket(simple(addr), path))
			idle, busy := dial(t, "unix", path), dial(t, "unix", path)
			r := bufio.NewReader(idle)
			ask(t, idle, r, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			_, _ = io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
			eventually(t, "the slow request is on its way", func() bool { return host(s, "main").Outstanding == 1 })
			if err := s.Apply(simple(addr)); err != nil {
				t.Fatal(err)
			}
			if resp, _ := ask(t, idle, r, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != 200 || !resp.Close {
				t.Errorf("a request that crossed the removal got %d (close: %t), want 200 and close", resp.StatusCode, resp.Close)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if n := s.Drain(ctx); n != 0 {
				t.Errorf("%d connections were cut", n)
			}
			if n := host(s, "main").Outstanding; n != 0 {
				t.Errorf("Drain did not wait for %d requests of a listener that was removed", n)
			}
			if resp, _ := ask(t, busy, bufio.NewReader(busy), ""); resp.StatusCode != 200 {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
}

func TestInheritedSockets(t *testing.T) {
	inherit := func(t *testing.T) net.Listener {
		t.Helper()
		ln, err := net.Listen("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return ln
	}
	addr := named(t, "one")
	used, unused, taken := inherit(t), inherit(t), inherit(t)
	name := used.Addr().String()
	// The predecessor listens still, so that the address cannot be bound again.
	held, err := used.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	s, err := proxy.New(proxy.Options{Loops: 1, Inherited: map[string]net.Listener{name: used, unused.Addr().String(): unused}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	good, bad := simple(addr), simple(addr)
	good.Listeners[0].Address, bad.Listeners[0].Address = name, name
	bad.Listeners = append(bad.Listeners, &connect.Listener{Name: "second", Address: taken.Addr().String()})
	for range 3 { // in which order they are opened is not said
		if err := s.Apply(bad); !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("an address that is in use was taken: %v", err)
		}
	}
	if err := s.Apply(good); err != nil {
		t.Fatalf("the socket that was handed over is lost: %v", err)
	}
	if resp := get(t, "http://"+name+"/"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if c, err := net.Dial("tcp", unused.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("a socket that nothing serves is still open, so that clients wait there for ever")
	}
}

func TestListenRemovesOnlyDeadSockets(t *testing.T) {
	path := socketPath(t)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := proxy.New(proxy.Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Apply(withSocket(simple("127.0.0.1:1"), path)); err == nil {
		t.Error("a file was taken for a socket")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "precious" {
		t.Errorf("the file holds %q, %v", got, err)
	}
}

func TestGRPCMessageOnlyWhereAllowed(t *testing.T) {
	for _, detail := range []bool{false, true} {
		c := simple("127.0.0.1:1")
		c.Listeners[0].HTTP.ErrorDetail = detail
		_, front := start(t, evloop.Native, c)
		resp := get(t, "http://"+front+"/", "Content-Type", "application/grpc")
		if got := resp.Header.Get("Grpc-Message"); (got != "") != detail || resp.Header.Get("Grpc-Status") != "14" {
			t.Errorf("detail %t: grpc-message %q, grpc-status %q", detail, got, resp.Header.Get("Grpc-Status"))
		}
	}
}

func TestIdleUploadBlamesWhoStopped(t *testing.T) {
	deaf := raw(t, func(net.Conn) {})
	reads := raw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, c := range []struct {
		name, addr string
		size, want int
	}{{"the backend reads nothing", deaf, 1 << 26, 504}, {"the client sends nothing", reads, 100, 408}} {
		t.Run(c.name, func(t *testing.T) {
			cfg := simple(c.addr)
			cfg.Routes[0].Rules[0].IdleTimeout = time.Second
			_, front := start(t, evloop.Native, cfg)
			conn := dial(t, "tcp", front)
			go func() {
				_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 1<<30)
				_, _ = conn.Write(make([]byte, c.size))
			}()
			if resp, _ := ask(t, conn, bufio.NewReader(conn), ""); resp.StatusCode != c.want {
				t.Errorf("status %d, want %d", resp.StatusCode, c.want)
			}
		})
	}
}

func TestListenersAtOneAddress(t *testing.T) {
	path := socketPath(t)
	c := simple(backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-For", r.Header.Get("X-Forwarded-For"))
		w.Header().Set("X-Proto", r.Header.Get("X-Forwarded-Proto"))
	}))
	c.Listeners = append(c.Listeners,
		&connect.Listener{Name: "small", Address: "unix:" + path, Hostname: "a.example", HTTP: connect.HTTPOptions{MaxBodyBytes: 10}},
		&connect.Listener{Name: "large", Address: "unix:" + path, Hostname: "b.example", HTTP: connect.HTTPOptions{ForwardedHops: 1}})
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			start(t, kind, c)
			body := strings.Repeat("x", 1000)
			for _, q := range []struct {
				name, head, host string
				want             int
				addr, proto      string
			}{
				{"over the limit", "Content-Length: 1000\r\n\r\n" + body, "a.example", 413, "", ""},
				{"over the limit, chunked", "Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + body + "\r\n0\r\n\r\n", "a.example", 413, "", ""},
				{"another listener's limit", "Content-Length: 1000\r\n\r\n" + body, "b.example", 200, "", "http"},
				{"behind a trusted hop", "X-Forwarded-For: 9.9.9.9, 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n", "b.example", 200, "1.2.3.4", "https"},
				{"behind nobody", "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n", "a.example", 200, "", "http"},
			} {
				conn := dial(t, "unix", path)
				resp, _ := ask(t, conn, bufio.NewReader(conn), "POST / HTTP/1.1\r\nHost: "+q.host+"\r\n"+q.head)
				if resp.StatusCode != q.want || resp.Header.Get("X-For") != q.addr || resp.Header.Get("X-Proto") != q.proto {
					t.Errorf("%s: %d, for %q, proto %q; want %d, %q, %q", q.name, resp.StatusCode,
						resp.Header.Get("X-For"), resp.Header.Get("X-Proto"), q.want, q.addr, q.proto)
				}
			}
		})
	}
}

// secure makes c's first listener speak TLS, or pass it through.
func secure(tb testing.TB, c *connect.Config, p connect.Protocol) {
	tb.Helper()
	c.Listeners[0].Protocol = p
	if p != connect.ProtocolHTTPS {
		return
	}
	chain, key := tlstest.NewAuthority(tb, "test").Issue(tlstest.Leaf{DNS: []string{"x.example"}})
	c.Certificates = []*connect.Certificate{{Name: "x", ChainPEM: chain, KeyPEM: key}}
	c.Listeners[0].TLS = &connect.ServerTLS{Certificates: []string{"x"}}
}

// errConn remembers how reading ended.
type errConn struct {
	net.Conn
	err error
}

func (c *errConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.err = err
	}
	return n, err
}

func TestBrokenAnswerOverTLSIsReset(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			c := simple(backend(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "part")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}))
			secure(t, c, connect.ProtocolHTTPS)
			_, front := start(t, kind, c)
			lower := &errConn{Conn: dial(t, "tcp", front)}
			conn := tls.Client(lower, &tls.Config{InsecureSkipVerify: true, ServerName: "x.example"})
			_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\nHost: x\r\n\r\n")
			_, _ = io.ReadAll(conn)
			if !errors.Is(lower.err, syscall.ECONNRESET) {
				t.Errorf("an answer that broke off ended with %v, want a reset", lower.err)
			}
		})
	}
}

func TestGreetingGoesOnWithItsConfiguration(t *testing.T) {
	for name, kind := range bothKinds() {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
			t.Cleanup(srv.Close)
			config := func(name string) *connect.Config {
				c := simple(srv.Listener.Addr().String())
				secure(t, c, connect.ProtocolTLS)
				c.Routes = nil
				c.Clusters[0].Name = name
				c.StreamRoutes = []*connect.StreamRoute{{Name: "all", Listeners: []string{"main"}, Backends: []connect.Backend{to(name, 1)}}}
				return c
			}
			s, front := start(t, kind, config("before"))
			lower := dial(t, "tcp", front)
			eventually(t, "the connection is there", func() bool { return s.Admin().Listeners()[0].Connections == 1 })
			if err := s.Apply(config("after")); err != nil {
				t.Fatal(err)
			}
			conn := tls.Client(lower, &tls.Config{InsecureSkipVerify: true, ServerName: "x.example"})
			if _, body := ask(t, conn, bufio.NewReader(conn), "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); body != "ok" {
				t.Errorf("got %q", body)
			}
		})
	}
}
