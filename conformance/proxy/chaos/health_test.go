package chaos

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// checked is an endpoint that can be made ill without failing a request.
type checked struct {
	addr     string
	requests *atomic.Int64
	set      func(well bool)
	check    string
	protocol string
}

// TestHealthChecks: an endpoint that says it is ill gets nothing, and everything
// again when it is well.
func TestHealthChecks(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T) checked
	}{
		{"HTTP", checkedHTTP},
		{"TCP", checkedTCP},
		{"gRPC", checkedGRPC},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := tt.make(t), tt.make(t)
			p := serve(t, rig.Epoll, [3]string{
				2: ", balance: {policy: ROUND_ROBIN}, protocol: " + a.protocol + ", healthCheck: {" + a.check + ", interval: 100ms, timeout: 500ms, healthy: 2, unhealthy: 2}",
			}, a.addr, b.addr)
			c := dial(t, p.Addr("web"))
			share := func() int64 {
				before := a.requests.Load()
				for range 20 {
					if status, _ := c.send(get).status(); status != 200 {
						t.Fatalf("status %d\n%s", status, p.Get("/clusters"))
					}
				}
				return a.requests.Load() - before
			}
			lab.Until(t, "both are well and asked", func() bool {
				return strings.Count(p.Get("/clusters"), " healthy ") == 2 && share() >= 8
			})
			a.set(false)
			lab.Until(t, "the one that is ill is not asked", func() bool {
				return strings.Contains(p.Get("/clusters"), "unhealthy") && share() == 0
			})
			a.set(true)
			lab.Until(t, "both are asked again", func() bool { return share() >= 8 })
		})
	}
}

func checkedHTTP(t *testing.T) checked {
	t.Helper()
	var ill atomic.Bool
	requests := new(atomic.Int64)
	addr := rig.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/healthz":
			requests.Add(1)
		case ill.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	return checked{addr, requests, func(well bool) { ill.Store(!well) }, "path: /healthz", "HTTP1"}
}

// checkedTCP is ill when nobody listens.
func checkedTCP(t *testing.T) checked {
	t.Helper()
	requests := new(atomic.Int64)
	served := rig.HTTP(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	front := gate(t, served)
	return checked{front.addr, requests, front.open.Store, "protocol: TCP", "HTTP1"}
}

// gated is a TCP endpoint that can stop to listen.
type gated struct {
	addr string
	open atomic.Bool
}

// gate passes connections on to addr as long as it is open; then it has no
// listener, so that connecting is refused. Connections that stand go on.
func gate(t *testing.T, addr string) *gated {
	t.Helper()
	g := &gated{}
	g.open.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
	})
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.addr = first.Addr().String()
	pass := func(c net.Conn) {
		up, err := lab.Dial(addr)
		if err != nil {
			_ = c.Close()
			return
		}
		context.AfterFunc(ctx, func() { _, _ = c.Close(), up.Close() })
		go pump(up, c)
		go pump(c, up)
	}
	go func() {
		defer close(done)
		ln := first
		for ctx.Err() == nil {
			if !g.open.Load() {
				_ = ln.Close()
				for !g.open.Load() && ctx.Err() == nil {
					time.Sleep(5 * time.Millisecond)
				}
				var err error
				if ln, err = net.Listen("tcp", g.addr); err != nil {
					return
				}
			}
			_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Millisecond)) //nolint:forcetypeassert // it is TCP
			if c, err := ln.Accept(); err == nil {
				pass(c)
			}
		}
		_ = ln.Close()
	}()
	return g
}

// pump copies until either side ends, and ends both.
func pump(to, from net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if err == nil {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
	}
}

func checkedGRPC(t *testing.T) checked {
	t.Helper()
	requests := new(atomic.Int64)
	h := health.NewServer()
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, h)
	// Requests are plain HTTP/2, which net/http answers beside gRPC.
	addr := rig.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			s.ServeHTTP(w, r)
			return
		}
		requests.Add(1)
	}))
	t.Cleanup(s.Stop)
	set := func(well bool) {
		status := healthpb.HealthCheckResponse_NOT_SERVING
		if well {
			status = healthpb.HealthCheckResponse_SERVING
		}
		h.SetServingStatus("shop", status)
	}
	set(true)
	return checked{addr, requests, set, "protocol: GRPC, service: shop", "HTTP2"}
}
