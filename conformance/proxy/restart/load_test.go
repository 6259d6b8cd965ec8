package restart

import (
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// Rates in requests per second; together less than what two busy cores carry, so
// that a failure is the proxy's and not the machine's.
const (
	rateKept  = 600
	rateFresh = 150
	rateHTTP2 = 400
	rateGRPC  = 200
)

// traffic is load of every kind on one proxy.
type traffic struct {
	t    *testing.T
	stop func() []*lab.Result
}

// front is where the load goes.
type front struct {
	http, grpc func() string
}

func fixed(addr string) func() string { return func() string { return addr } }

// begin starts the load.
func begin(t *testing.T, bodies *lab.Bodies, f front) *traffic {
	t.Helper()
	// One request in eight has a body, one in 16 asks for a large one.
	mix := func(id uint64) lab.Request {
		r := lab.Request{Path: "/", Size: 200}
		if id%8 == 3 {
			r.Post = 3000
		}
		if id%16 == 5 {
			r.Size = 60_000
		}
		return r
	}
	h2 := &lab.HTTP2{Addr: f.http, Bodies: bodies}
	tr := h2.Transport()
	loads := []*lab.Load{
		{Name: "HTTP/1.1", Workers: 12, Rate: rateKept, Make: mix, First: 1 << 32, Client: func() lab.Client {
			return &lab.HTTP1{Addr: f.http, Bodies: bodies}
		}},
		{Name: "HTTP/1.1, a connection per request", Workers: 6, Rate: rateFresh, Make: mix, First: 2 << 32, Client: func() lab.Client {
			return &lab.HTTP1{Addr: f.http, Bodies: bodies, Fresh: true}
		}},
		{Name: "HTTP/2", Workers: 12, Rate: rateHTTP2, Make: mix, First: 3 << 32, Client: func() lab.Client { return h2.New(tr) }},
	}
	if f.grpc != nil {
		g, err := lab.NewGRPC(f.grpc(), bodies, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(g.Close)
		loads = append(loads, &lab.Load{Name: "gRPC", Workers: 6, Rate: rateGRPC, Make: mix, First: 4 << 32, Client: g.Shared})
	}
	tf := &traffic{t: t, stop: lab.Begin(loads...)}
	// Everything is under way before anything changes.
	time.Sleep(300 * time.Millisecond)
	return tf
}

// end stops the load and holds that nothing failed.
func (tf *traffic) end() {
	tf.t.Helper()
	for _, r := range tf.stop() {
		tf.t.Log(r)
		if n := r.Failures(); n > 0 {
			tf.t.Errorf("%s: %d of %d requests failed", r.Name, n, r.Sent)
		}
		if r.Good == 0 {
			tf.t.Errorf("%s: no request was good", r.Name)
		}
	}
}

// say waits until the proxy says text after mark, a place in what it said.
func say(t *testing.T, p *rig.Proxy, mark int, text string) {
	t.Helper()
	lab.Until(t, "the proxy says "+text, func() bool {
		ended := p.Ended()
		said := strings.Contains(p.Stderr()[mark:], text)
		if ended && !said {
			t.Fatalf("the proxy ended:\n%s", p.Stderr())
		}
		return said
	})
}
