package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// seed of all that is random here.
const seed = 20_261_127

// target in requests per second, of all protocols together.
const target = 10_000

// storm is a proxy with backends of which some misbehave.
type storm struct {
	t      *testing.T
	bodies *lab.Bodies
	faulty []*lab.Origin
	well   []*lab.Origin
	grpc   []*lab.GRPCOrigin
	gate   *gated
	proxy  *rig.Proxy
	addr   string
}

// newStorm has three backends that are well and three that are not.
func newStorm(t *testing.T, kind rig.Kind, list []fault) *storm {
	t.Helper()
	s := &storm{t: t, bodies: lab.NewBodies(1 << 20)}
	r := &random{rand: rand.New(rand.NewPCG(seed, 1))}
	t.Logf("seed %d", seed)
	for range 3 {
		s.well = append(s.well, lab.NewOrigin(t, s.bodies, lab.Well))
		s.faulty = append(s.faulty, lab.NewOrigin(t, s.bodies, func(c *lab.Call) bool {
			return list[r.below(len(list))].behave(c)
		}))
	}
	for range 2 {
		s.grpc = append(s.grpc, lab.NewGRPCOrigin(t))
	}
	s.gate = gate(t, s.well[0].Addr)
	cut := newCutter(t, s.grpc[0].Addr, r)
	s.proxy = program.Start(t, rig.Options{Kind: kind, Config: s.config(cut)})
	s.addr = s.proxy.Addr("web")
	return s
}

func (s *storm) config(cut string) string {
	var web []string
	for _, o := range append(s.well, s.faulty...) {
		web = append(web, o.Addr)
	}
	web = append(web, s.gate.addr)
	return fmt.Sprintf(`
listeners: [{name: web, address: "127.0.0.1:0", http: {maxStreams: 200}}]
routes:
- name: all
  rules:
  - matches: [{path: {value: /tatami.conformance.Echo}}]
    backends: [grpc]
    retry: {attempts: 3, nonIdempotent: true}
  - backends: [web]
    backendTimeout: 500ms
    idleTimeout: 2s
    retry: {attempts: 4, codes: [502, 503, 504], backoff: 1ms}
clusters:
- {name: web, endpoints: ["%s"], balance: {policy: ROUND_ROBIN}, breaker: {retryBudget: 100}, outlier: {baseTime: 50ms, maxTime: 100ms}}
- {name: grpc, protocol: HTTP2, endpoints: ["%s", "%s"], breaker: {retryBudget: 100}}
`, strings.Join(web, `", "`), cut, s.grpc[1].Addr)
}

// random may be used by many at once. What comes in which order to whom still
// depends on the machine.
type random struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func (r *random) below(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rand.IntN(n)
}

// loads are of all kinds; the share of requests with a body is posts in 64.
func (s *storm) loads(posts uint64) []*lab.Load {
	mix := func(id uint64) lab.Request {
		r := lab.Request{Path: "/", Size: 200}
		if id%64 < posts {
			r.Post = 2000
		}
		if id%128 == 77 {
			r.Size = 100_000
		}
		return r
	}
	addr := func() string { return s.addr }
	h2 := &lab.HTTP2{Addr: addr, Bodies: s.bodies}
	tr := h2.Transport()
	g, err := lab.NewGRPC(s.addr, s.bodies, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(g.Close)
	return []*lab.Load{
		{Name: "HTTP/1.1", Workers: 64, Rate: target * 0.60, Make: mix, First: 1 << 32, Client: func() lab.Client {
			return &lab.HTTP1{Addr: addr, Bodies: s.bodies}
		}},
		{Name: "HTTP/1.1, a connection per request", Workers: 16, Rate: target * 0.03, Make: mix, First: 2 << 32, Client: func() lab.Client {
			return &lab.HTTP1{Addr: addr, Bodies: s.bodies, Fresh: true}
		}},
		{Name: "HTTP/2", Workers: 48, Rate: target * 0.27, Make: mix, First: 3 << 32, Client: func() lab.Client { return h2.New(tr) }},
		{Name: "gRPC", Workers: 24, Rate: target * 0.10, Make: mix, First: 4 << 32, Client: g.Shared},
	}
}

// run offers the load for some time, while disturb is called every now and then.
func run(t *testing.T, loads []*lab.Load, span time.Duration, disturb func(n int)) []*lab.Result {
	t.Helper()
	stop := lab.Begin(loads...)
	n := 0
	for end := time.Now().Add(span); time.Now().Before(end); n++ {
		time.Sleep(100 * time.Millisecond)
		disturb(n)
	}
	results := stop()
	for _, r := range results {
		t.Log(r)
	}
	t.Log(lab.Sum("together", results...))
	return results
}

func span(full time.Duration) time.Duration {
	if testing.Short() {
		return full / 4
	}
	return full
}

// TestStorm: among backends that misbehave in ways that a proxy can hide, not one
// idempotent request fails.
func TestStorm(t *testing.T) {
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		var list []fault
		for _, f := range faults() {
			if !f.late {
				list = append(list, f)
			}
		}
		s := newStorm(t, kind, list)
		before := s.warm()
		results := run(t, s.loads(0), span(5*time.Second), func(n int) {
			// One endpoint goes and comes; those that fail anyway lose their connections.
			s.gate.open.Store(n%4 < 2)
			s.faulty[n%3].CloseConns()
		})
		for _, r := range results {
			why := "gRPC status Unavailable"
			if n := r.Failed[why]; n > 0 && n <= 1+r.Sent/500 {
				// The connection was cut in the middle of an answer.
				delete(r.Failed, why)
			}
			s.judge(r, nil)
		}
		s.settle(before)
	})
}

// TestHurricane: with all faults and with requests that must not be asked twice,
// errors are those of backends, and no body is wrong.
func TestHurricane(t *testing.T) {
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		s := newStorm(t, kind, faults())
		before := s.warm()
		results := run(t, s.loads(8), span(5*time.Second), func(n int) {
			s.gate.open.Store(n%4 < 2)
			s.faulty[n%3].CloseConns()
			if n%5 == 4 {
				s.well[0].CloseConns()
			}
		})
		for _, r := range results {
			s.judge(r, []string{
				"status 204",             // a lie of the backend
				"broken off in the body", // it was the backend that broke off
				// What must not be asked twice tells what became of it.
				"with a body: status 502", "with a body: status 503", "with a body: status 504",
				"gRPC status Unavailable",                                   // the connection was cut, or an answer on it
				"with a body: no answer: EOF", "with a body: closed before", // an early answer ended the connection
			})
		}
		s.settle(before)
	})
}

// warm runs some load, so that the heap has its size, and returns what is to be
// held against afterwards: descriptors and goroutines as they were before it.
func (s *storm) warm() rig.Usage {
	s.t.Helper()
	before := s.proxy.Usage()
	stop := lab.Begin(s.loads(0)...)
	time.Sleep(time.Second)
	stop()
	before.RSS = s.proxy.Usage().RSS
	return before
}

// judge fails the test for failures that are not expected.
func (s *storm) judge(r *lab.Result, allowed []string) {
	s.t.Helper()
	for _, w := range r.Wrong {
		s.t.Errorf("%s: %s", r.Name, w)
	}
	if r.Good < r.Sent/2 {
		s.t.Errorf("%s: only %d of %d were good", r.Name, r.Good, r.Sent)
	}
reasons:
	for why, n := range r.Failed {
		for _, a := range allowed {
			if strings.Contains(why, a) {
				continue reasons
			}
		}
		s.t.Errorf("%s: %d × %s", r.Name, n, why)
	}
}

// settle ends the backends and holds that the proxy gives back what it took.
func (s *storm) settle(before rig.Usage) {
	s.t.Helper()
	for _, o := range append(s.well, s.faulty...) {
		if err := o.Bad(); err != nil {
			s.t.Errorf("a backend got a wrong request: %v", err)
		}
		o.Close()
	}
	for _, o := range s.grpc {
		o.Server.Stop()
	}
	after := s.proxy.Settle(before, rig.Growth{FDs: 10, Goroutines: 8, RSS: 48 << 20})
	s.t.Logf("%+v before, %+v after", before, after)
	if open := s.proxy.Metric("tatami_proxy_connections_open"); open != 0 {
		s.t.Errorf("%v connections are open", open)
	}
}

var errLeft = errors.New("the peer left")

// newCutter passes bytes on to addr and cuts connections in the middle.
func newCutter(t *testing.T, addr string, r *random) string {
	t.Helper()
	return rig.TCP(t, func(c net.Conn) {
		up, err := lab.Dial(addr)
		if err != nil {
			return
		}
		defer up.Close()
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		left := 20_000 + r.below(200_000)
		copyAll := func(to, from net.Conn, most int) {
			buf := make([]byte, 4096)
			for most > 0 {
				n, err := from.Read(buf)
				if err != nil {
					break
				}
				if _, err := to.Write(buf[:n]); err != nil {
					break
				}
				most -= n
			}
			cancel(errLeft)
		}
		go copyAll(up, c, left)
		go copyAll(c, up, 1<<30)
		<-ctx.Done()
	})
}
