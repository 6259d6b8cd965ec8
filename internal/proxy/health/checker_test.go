package health_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/health"
)

type result struct {
	cluster, address string
	ok               bool
	err              error
	took             time.Duration
}

// run starts a checker and returns it with its results.
func run(t *testing.T, o health.Options) (*health.Checker, <-chan result) {
	t.Helper()
	results := make(chan result, 10_000)
	o.Report = func(cluster, address string, ok bool, err error, took time.Duration) {
		results <- result{cluster, address, ok, err, took}
	}
	c := health.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return c, results
}

func next(t *testing.T, results <-chan result) result {
	t.Helper()
	select {
	case r := <-results:
		return r
	case <-time.After(10 * time.Second):
		t.Fatal("no result in 10 s")
		return result{}
	}
}

func cluster(address string, check connect.HealthCheck) *connect.Cluster {
	if check.Interval == 0 {
		check.Interval = 20 * time.Millisecond
	}
	if check.Timeout == 0 {
		check.Timeout = 8 * time.Second // a busy machine is no failure
	}
	return &connect.Cluster{Name: "c", ConnectTimeout: 8 * time.Second, Endpoints: []connect.Endpoint{{Address: address}}, HealthCheck: &check}
}

// connections counts the connections that a server accepts.
func connections(s *httptest.Server) *atomic.Int64 {
	var n atomic.Int64
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	return &n
}

func trust(s *httptest.Server) func(*connect.ClientTLS) (*tls.Config, error) {
	return func(c *connect.ClientTLS) (*tls.Config, error) {
		pool := x509.NewCertPool()
		pool.AddCert(s.Certificate())
		return &tls.Config{RootCAs: pool, ServerName: c.ServerName, MinVersion: tls.VersionTLS12}, nil
	}
}

func TestHTTP(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bad":
			w.WriteHeader(503)
		case "/host":
			if r.Host != "shop.example" || r.Header.Get("User-Agent") != "probe" {
				w.WriteHeader(400)
			}
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/long":
			_, _ = io.WriteString(w, strings.Repeat("x", 50_000))
		case "/huge":
			_, _ = io.WriteString(w, strings.Repeat("x", 500_000))
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
		case "/slow":
			<-r.Context().Done()
		}
	}
	for _, transport := range []string{"HTTP/1.1", "h2c", "TLS", "TLS with HTTP/2"} {
		for _, c := range []struct {
			name  string
			check connect.HealthCheck
			ok    bool
			kept  bool
		}{
			{"fine", connect.HealthCheck{}, true, true},
			{"bad", connect.HealthCheck{Path: "/bad"}, false, true},
			{"bad is expected", connect.HealthCheck{Path: "/bad", ExpectFirst: 503}, true, true},
			{"out of range", connect.HealthCheck{Path: "/", ExpectFirst: 201, ExpectLast: 204}, false, true},
			{"host and agent", connect.HealthCheck{Path: "/host", Host: "shop.example"}, true, true},
			{"redirect", connect.HealthCheck{Path: "/moved?a=b"}, false, true},
			{"long body", connect.HealthCheck{Path: "/long"}, true, true},
			{"huge body", connect.HealthCheck{Path: "/huge"}, true, false},
			{"early hints", connect.HealthCheck{Path: "/early"}, true, true},
			{"slow", connect.HealthCheck{Path: "/slow", Timeout: 30 * time.Millisecond}, false, false},
		} {
			t.Run(transport+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s := httptest.NewUnstartedServer(http.HandlerFunc(handler))
				opened := connections(s)
				cl := cluster(s.Listener.Addr().String(), c.check)
				switch transport {
				case "h2c":
					s.Config.Protocols = new(http.Protocols)
					s.Config.Protocols.SetUnencryptedHTTP2(true)
					cl.Protocol = connect.UpstreamHTTP2
					s.Start()
				case "TLS", "TLS with HTTP/2":
					s.EnableHTTP2 = transport != "TLS"
					cl.TLS = &connect.ClientTLS{ServerName: "example.com"}
					s.StartTLS()
				default:
					s.Start()
				}
				t.Cleanup(s.Close)
				checker, results := run(t, health.Options{TLS: trust(s), UserAgent: "probe"})
				checker.Set([]*connect.Cluster{cl})
				for range 4 {
					r := next(t, results)
					if r.ok != c.ok || (r.err == nil) != c.ok || r.cluster != "c" || r.address != cl.Endpoints[0].Address || r.took <= 0 {
						t.Fatalf("%+v", r)
					}
				}
				if n := opened.Load(); c.kept && n != 1 || !c.kept && n < 2 {
					t.Errorf("%d connections for 4 checks", n)
				}
			})
		}
	}
}

// TestManyChecksOnOneConnection sees that flow control lasts.
func TestManyChecksOnOneConnection(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 30_000)) }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	opened := connections(s)
	s.Start()
	t.Cleanup(s.Close)
	cl := cluster(s.Listener.Addr().String(), connect.HealthCheck{Interval: time.Millisecond})
	cl.Protocol = connect.UpstreamHTTP2
	checker, results := run(t, health.Options{})
	checker.Set([]*connect.Cluster{cl})
	for range 250 {
		if r := next(t, results); !r.ok {
			t.Fatal(r.err)
		}
	}
	if n := opened.Load(); n < 2 || n > 4 {
		t.Errorf("%d connections for 250 checks, want 3: one for 100", n)
	}
}

func startGRPC(t *testing.T, options ...grpc.ServerOption) (string, *grpchealth.Server) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, state := grpc.NewServer(options...), grpchealth.NewServer()
	healthpb.RegisterHealthServer(server, state)
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(server.Stop)
	return ln.Addr().String(), state
}

func TestGRPC(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	plain, state := startGRPC(t)
	secure, _ := startGRPC(t, grpc.Creds(credentials.NewServerTLSFromCert(&s.TLS.Certificates[0])))
	none := s.Listener.Addr().String()
	state.SetServingStatus("up", healthpb.HealthCheckResponse_SERVING)
	state.SetServingStatus("down", healthpb.HealthCheckResponse_NOT_SERVING)
	for _, c := range []struct {
		name, address, service string
		tls, ok                bool
		text                   string
	}{
		{"whole server", plain, "", false, true, ""},
		{"a service", plain, "up", false, true, ""},
		{"not serving", plain, "down", false, false, "serving status 2"},
		{"unknown service", plain, "other", false, false, `grpc-status "5"`},
		{"TLS", secure, "", true, true, ""},
		{"TLS is expected", secure, "", false, false, ""},
		{"plain is expected", plain, "", true, false, ""},
		{"an HTTP/1.1 server", none, "", true, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			checker, results := run(t, health.Options{TLS: trust(s)})
			cl := cluster(c.address, connect.HealthCheck{Protocol: connect.CheckGRPC, Service: c.service, Timeout: time.Second})
			if c.tls {
				cl.TLS = &connect.ClientTLS{ServerName: "example.com"}
			}
			checker.Set([]*connect.Cluster{cl})
			for range 3 {
				r := next(t, results)
				if r.ok != c.ok || !c.ok && !strings.Contains(r.err.Error(), c.text) {
					t.Fatalf("%+v", r)
				}
				if c.text != "" && !errors.Is(r.err, health.ErrUnhealthy) {
					t.Errorf("%v is no unhealthy answer", r.err)
				}
			}
		})
	}
	t.Run("status changes", func(t *testing.T) {
		checker, results := run(t, health.Options{})
		checker.Set([]*connect.Cluster{cluster(plain, connect.HealthCheck{Protocol: connect.CheckGRPC})})
		for _, want := range []bool{true, false, true} {
			status := map[bool]healthpb.HealthCheckResponse_ServingStatus{true: healthpb.HealthCheckResponse_SERVING, false: healthpb.HealthCheckResponse_NOT_SERVING}
			state.SetServingStatus("", status[want])
			for i := 0; next(t, results).ok != want; i++ {
				if i > 100 {
					t.Fatalf("never %v", want)
				}
			}
		}
	})
}

func TestTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	t.Cleanup(func() { ln.Close() })
	path := filepath.Join(t.TempDir(), "s")
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close() })
	port := uint16(ln.Addr().(*net.TCPAddr).Port)
	for _, c := range []struct {
		name, address string
		port          uint16
		ok            bool
	}{
		{"open", ln.Addr().String(), 0, true},
		{"closed", dead.Addr().String(), 0, false},
		{"another port", dead.Addr().String(), port, true},
		{"Unix socket", "unix:" + path, 0, true},
		{"no Unix socket", "unix:" + path + "x", 0, false},
		{"no address", "nonsense", 0, false},
	} {
		checker, results := run(t, health.Options{})
		checker.Set([]*connect.Cluster{cluster(c.address, connect.HealthCheck{Protocol: connect.CheckTCP, Port: c.port})})
		if r := next(t, results); r.ok != c.ok || r.address != c.address {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func TestTLSThatIsMissing(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	broken := errors.New("no bundle of that name")
	for _, c := range []struct {
		name string
		tls  func(*connect.ClientTLS) (*tls.Config, error)
		want error
	}{
		{"no function", nil, health.ErrNoTLS},
		{"function that fails", func(*connect.ClientTLS) (*tls.Config, error) { return nil, broken }, broken},
	} {
		checker, results := run(t, health.Options{TLS: c.tls})
		cl := cluster(s.Listener.Addr().String(), connect.HealthCheck{})
		cl.TLS = &connect.ClientTLS{}
		checker.Set([]*connect.Cluster{cl})
		if r := next(t, results); r.ok || !errors.Is(r.err, c.want) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

// TestConnectionThatDiedMeanwhile sees that a restart between two checks is no
// failure.
func TestConnectionThatDiedMeanwhile(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(s.Close)
	checker, results := run(t, health.Options{})
	checker.Set([]*connect.Cluster{cluster(s.Listener.Addr().String(), connect.HealthCheck{Interval: 50 * time.Millisecond})})
	for range 5 {
		if r := next(t, results); !r.ok {
			t.Fatal(r.err)
		}
		s.CloseClientConnections()
	}
	if n := asked.Load(); n < 5 {
		t.Errorf("%d requests", n)
	}
}

func TestHostileEndpoints(t *testing.T) {
	for _, c := range []struct{ name, say string }{
		{"closes", ""},
		{"garbage", "\x00\xff\x00\xff\r\n\r\n"},
		{"no end of head", "HTTP/1.1 200 OK\r\n"},
		{"endless interim answers", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 20)},
		{"body that is cut", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"},
		{"HTTP/2 with large frame", "\xff\xff\xff\x04\x00\x00\x00\x00\x00"},
		{"HTTP/2 with endless settings", strings.Repeat("\x00\x00\x00\x04\x01\x00\x00\x00\x00", 2000)},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var served sync.WaitGroup
		served.Go(func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = io.ReadAtLeast(conn, make([]byte, 64), 30)
				_, _ = io.WriteString(conn, c.say)
				conn.Close()
			}
		})
		for _, protocol := range []connect.UpstreamProtocol{connect.UpstreamHTTP1, connect.UpstreamHTTP2} {
			checker, results := run(t, health.Options{})
			cl := cluster(ln.Addr().String(), connect.HealthCheck{Timeout: time.Second})
			cl.Protocol = protocol
			checker.Set([]*connect.Cluster{cl})
			if r := next(t, results); r.ok {
				t.Errorf("%s: healthy", c.name)
			}
			checker.Set(nil)
		}
		ln.Close()
		served.Wait()
	}
}

// TestMoreThanWasAskedFor sees that bytes behind an answer are no answer to the
// next question.
func TestMoreThanWasAskedFor(t *testing.T) {
	var opened atomic.Int64
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			opened.Add(1)
			served.Go(func() {
				defer conn.Close()
				for {
					if _, err := conn.Read(make([]byte, 4096)); err != nil {
						return
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); served.Wait() })
	checker, results := run(t, health.Options{})
	checker.Set([]*connect.Cluster{cluster(ln.Addr().String(), connect.HealthCheck{})})
	for range 4 {
		if r := next(t, results); !r.ok {
			t.Error(r.err)
		}
	}
	if n := opened.Load(); n < 4 {
		t.Errorf("%d connections for 4 checks: one was kept although it said too much", n)
	}
}

func TestSet(t *testing.T) {
	var asked [3]atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked[strings.Index("012", r.URL.Path[1:])].Add(1)
	}))
	opened := connections(s)
	s.Start()
	t.Cleanup(s.Close)
	of := func(path string) *connect.Cluster {
		return cluster(s.Listener.Addr().String(), connect.HealthCheck{Path: path, Interval: 10 * time.Millisecond})
	}
	waitFor := func(i int) {
		t.Helper()
		before := asked[i].Load()
		for deadline := time.Now().Add(10 * time.Second); asked[i].Load() < before+3; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("check %d does not run", i)
			}
		}
	}
	checker, results := run(t, health.Options{})
	go func() {
		for range results {
		}
	}()
	checker.Set([]*connect.Cluster{of("/0")})
	waitFor(0)
	for range 20 {
		checker.Set([]*connect.Cluster{of("/0")}) // equal: nothing changes
	}
	waitFor(0)
	if n := opened.Load(); n > 1 {
		t.Errorf("%d connections: an equal cluster lost its connection", n)
	}
	checker.Set([]*connect.Cluster{of("/1")})
	waitFor(1)
	other := of("/2")
	other.Name = "other"
	checker.Set([]*connect.Cluster{of("/1"), other})
	waitFor(1)
	waitFor(2)
	checker.Set([]*connect.Cluster{{Name: "c", Endpoints: other.Endpoints}})
	time.Sleep(50 * time.Millisecond)
	before := asked[1].Load() + asked[2].Load()
	time.Sleep(100 * time.Millisecond)
	if now := asked[1].Load() + asked[2].Load(); now != before {
		t.Errorf("%d checks of what is gone", now-before)
	}
}

func TestResultOfWhatIsGone(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	t.Cleanup(s.Close)
	checker, results := run(t, health.Options{})
	checker.Set([]*connect.Cluster{cluster(s.Listener.Addr().String(), connect.HealthCheck{})})
	<-asked
	checker.Set(nil)
	close(release)
	select {
	case r := <-results:
		t.Errorf("reported: %+v", r)
	case <-time.After(100 * time.Millisecond):
	}
}

// TestManyEndpoints holds that goroutines and connections stay bounded.
func TestManyEndpoints(t *testing.T) {
	const endpoints, workers = 1000, 16
	before := runtime.NumGoroutine()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Millisecond) }))
	t.Cleanup(s.Close)
	port := s.Listener.Addr().(*net.TCPAddr).Port
	cl := cluster("", connect.HealthCheck{Interval: 100 * time.Millisecond})
	cl.Endpoints = nil
	for i := range endpoints {
		cl.Endpoints = append(cl.Endpoints, connect.Endpoint{Address: fmt.Sprintf("127.0.%d.%d:%d", i/250, 1+i%250, port)})
	}
	// Servers on 127.0.0.1 only: the others refuse, which is a result as well.
	checker, results := run(t, health.Options{Workers: workers})
	checker.Set([]*connect.Cluster{cl})
	seen, most := map[string]bool{}, 0
	for len(seen) < endpoints {
		r := next(t, results)
		seen[r.address] = true
		most = max(most, runtime.NumGoroutine())
	}
	// The server, the scheduler, the workers, and the one connection that is kept.
	if limit := before + workers + 20; most > limit {
		t.Errorf("%d goroutines, want at most %d", most, limit)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("checks", func(t *testing.T) {
		release := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}))
		t.Cleanup(s.Close)
		t.Cleanup(func() { close(release) })
		cl := cluster(s.Listener.Addr().String(), connect.HealthCheck{Timeout: time.Hour})
		cl.Endpoints = append(cl.Endpoints, connect.Endpoint{Address: "unix:/does/not/exist"})
		ctx, cancel := context.WithCancel(context.Background())
		checker := health.New(health.Options{Workers: 1, Report: func(string, string, bool, error, time.Duration) {}})
		checker.Set([]*connect.Cluster{cl})
		done := make(chan struct{})
		go func() { defer close(done); checker.Run(ctx) }()
		time.Sleep(100 * time.Millisecond)
		cancel()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("Run does not end while a check hangs")
		}
	})
	for range 300 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
