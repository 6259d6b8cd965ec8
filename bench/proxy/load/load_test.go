package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	r := newResult(time.Second, []time.Duration{5, 1, 4, 2, 3})
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{{0, 1}, {0.2, 1}, {0.5, 3}, {0.8, 4}, {0.99, 5}, {1, 5}} {
		if got := r.Quantile(tt.q); got != tt.want {
			t.Errorf("Quantile(%g) = %d, want %d", tt.q, got, tt.want)
		}
	}
	if got := (Result{}).Quantile(0.5); got != 0 {
		t.Errorf("the quantile of nothing is %d", got)
	}
	if got := r.PerSecond(); got != 5 {
		t.Errorf("PerSecond = %g, want 5", got)
	}
}

func TestResponse(t *testing.T) {
	for _, tt := range []struct {
		name, text, wrong string
		want              int64
		open              bool // the answer is not complete
	}{
		{name: "as expected", text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", want: 3},
		{name: "names in lower case", text: "HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nabc", want: 3},
		{name: "an empty body", text: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{name: "a body that lacks a byte", text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", want: 3, open: true},
		{name: "a head that does not end", text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", want: 3, open: true},
		{name: "a byte too many", text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", want: 3, wrong: "more than"},
		{name: "another length", text: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", want: 3, wrong: "4 bytes"},
		{name: "an error", text: "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nabc", want: 3, wrong: "502"},
		{name: "no length", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want: 3, wrong: "no Content-Length"},
		{name: "a length that is none", text: "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", want: 3, wrong: "no length"},
		{name: "a head without an end", text: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead), want: 3, wrong: "does not end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, step := range []int{1, 7, 1 << 20} {
				var r response
				done, err := feedBy(&r, tt.text, tt.want, step)
				if tt.wrong != "" {
					if err == nil || !strings.Contains(err.Error(), tt.wrong) {
						t.Errorf("in steps of %d: error %v, want %q", step, err, tt.wrong)
					}
					continue
				}
				if err != nil || done == tt.open {
					t.Errorf("in steps of %d: done %t, error %v", step, done, err)
				}
			}
		})
	}
}

// feedBy feeds in pieces until the end or an error.
func feedBy(r *response, text string, want int64, step int) (done bool, err error) {
	for len(text) > 0 && err == nil {
		n := min(step, len(text))
		if done {
			return false, fmt.Errorf("%d bytes more than one answer", len(text))
		}
		done, err = r.feed([]byte(text[:n]), want)
		text = text[n:]
	}
	return done, err
}

// serveBody answers with some bytes, and with 500 after limit requests.
func serveBody(t *testing.T, size int, limit int64) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) > limit {
			w.WriteHeader(http.StatusInternalServerError)
		}
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = io.WriteString(w, strings.Repeat("x", size))
	}))
	t.Cleanup(s.Close)
	return s, &asked
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tls   bool
		size  int
		close bool
		rate  float64
	}{
		{name: "plain", size: 10},
		{name: "a large body", size: 1 << 20},
		{name: "a connection for each request", size: 10, close: true},
		{name: "at a rate", size: 10, rate: 5000},
		{name: "TLS", tls: true, size: 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, asked := serveBody(t, tt.size, 1<<30)
			h := HTTP1{Requests: [][]byte{Get("a.example", "/")}, BodyBytes: int64(tt.size), Close: tt.close}
			if tt.close {
				h.Requests[0] = Get("a.example", "/", "Connection: close")
			}
			if tt.tls {
				s.StartTLS()
				h.TLS = &tls.Config{InsecureSkipVerify: true}
			} else {
				s.Start()
			}
			const conns, requests = 5, 101
			var before int64
			r, err := h.Run(t.Context(), s.Listener.Addr().String(), Plan{
				Connections: conns, Requests: requests, Rate: tt.rate,
				Begin: func() error { before = asked.Load(); return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Requests != requests || len(r.Latency) != requests || asked.Load()-before != requests {
				t.Errorf("%d requests of %d, %d latencies, the server had %d", r.Requests, requests, len(r.Latency), asked.Load()-before)
			}
			if before != conns {
				t.Errorf("%d requests before the first that counts, want one for each of %d connections", before, conns)
			}
			if r.Quantile(0) <= 0 || r.Quantile(1) > r.Elapsed {
				t.Errorf("latency from %s to %s in a run of %s", r.Quantile(0), r.Quantile(1), r.Elapsed)
			}
		})
	}
}

// TestRunUntil holds that all that was asked by then is answered, and nothing after it.
func TestRunUntil(t *testing.T) {
	for _, rate := range []float64{0, 2000} {
		t.Run(fmt.Sprintf("rate %g", rate), func(t *testing.T) {
			s, asked := serveBody(t, 10, 1<<30)
			s.Start()
			until := make(chan struct{})
			var before int64
			h := HTTP1{Requests: [][]byte{Get("a.example", "/")}, BodyBytes: 10}
			r, err := h.Run(t.Context(), s.Listener.Addr().String(), Plan{
				Connections: 3, Requests: 1 << 20, Rate: rate, Until: until,
				Begin: func() error {
					before = asked.Load()
					time.AfterFunc(200*time.Millisecond, func() { close(until) })
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Requests < 10 || int64(r.Requests) != asked.Load()-before || r.Elapsed < 200*time.Millisecond || r.Elapsed > 5*time.Second {
				t.Errorf("%d requests in %s, the server had %d", r.Requests, r.Elapsed, asked.Load()-before)
			}
		})
	}
	h := HTTP1{Requests: [][]byte{Get("a.example", "/")}, TLS: &tls.Config{MinVersion: tls.VersionTLS13}}
	if _, err := h.Run(t.Context(), "127.0.0.1:1", Plan{Connections: 1, Requests: 1, Until: make(chan struct{})}); err == nil || !strings.Contains(err.Error(), "event") {
		t.Errorf("error = %v, want one that says that TLS cannot do it", err)
	}
}

func TestRunFails(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("an error among answers, TLS %t", secure), func(t *testing.T) {
			s, _ := serveBody(t, 10, 50)
			h := HTTP1{Requests: [][]byte{Get("a.example", "/")}, BodyBytes: 10}
			if secure {
				s.StartTLS()
				h.TLS = &tls.Config{InsecureSkipVerify: true}
			} else {
				s.Start()
			}
			_, err := h.Run(t.Context(), s.Listener.Addr().String(), Plan{Connections: 4, Requests: 100})
			if err == nil || !strings.Contains(err.Error(), "500") {
				t.Errorf("error = %v, want the answer 500", err)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		h := HTTP1{Requests: [][]byte{Get("a.example", "/")}}
		if _, err := h.Run(t.Context(), "127.0.0.1:1", Plan{Connections: 1, Requests: 1}); err == nil {
			t.Error("a run without a server gives figures")
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		s, _ := serveBody(t, 10, 1<<30)
		s.Start()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		h := HTTP1{Requests: [][]byte{Get("a.example", "/")}, BodyBytes: 10}
		if _, err := h.Run(ctx, s.Listener.Addr().String(), Plan{Connections: 2, Requests: 1 << 24}); err == nil {
			t.Error("an interrupted run gives figures")
		}
	})
}

// TestLateAnswersCount holds that at a rate a stall is seen by all requests that
// were due during it, not only by the one that met it.
func TestLateAnswersCount(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 10 {
			time.Sleep(200 * time.Millisecond)
		}
		_, _ = io.WriteString(w, "x")
	}))
	defer s.Close()
	h := HTTP1{Requests: [][]byte{Get("a.example", "/")}, BodyBytes: 1}
	r, err := h.Run(t.Context(), s.Listener.Addr().String(), Plan{Connections: 1, Requests: 200, Rate: 500})
	if err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, l := range r.Latency {
		if l > 50*time.Millisecond {
			late++
		}
	}
	if late < 30 { // 75 are expected
		t.Errorf("%d requests were late, and a stall of 200 ms at 500 per second concerns about 75", late)
	}
}

func TestConnectionsMustClose(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close() // without an answer
		}
	}()
	h := HTTP1{Requests: [][]byte{Get("a.example", "/")}, BodyBytes: 1}
	if _, err := h.Run(t.Context(), l.Addr().String(), Plan{Connections: 1, Requests: 1}); err == nil {
		t.Error("a connection without an answer is no error")
	}
}

func TestCheckH2load(t *testing.T) {
	const good = `finished in 3.60ms, 5549.39 req/s, 449.26KB/s
requests: 20 total, 20 started, 20 done, 20 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 20 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.62KB (1658) total, 980B (980) headers (space savings 50.51%), 220B (220) data
`
	if err := checkH2load(good, 20, 11); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct{ name, from, to string }{
		{"a failure", "0 failed", "1 failed"},
		{"an error", "0 5xx", "1 5xx"},
		{"fewer", "20 succeeded", "19 succeeded"},
		{"a shorter body", "(220) data", "(219) data"},
		{"another format", "traffic", "transfer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := checkH2load(strings.Replace(good, tt.from, tt.to, 1), 20, 11); err == nil {
				t.Error("it is taken for success")
			}
		})
	}
}

func TestParseLog(t *testing.T) {
	r, err := parseLog([]byte("1000\t200\t500\n1100\t200\t100\n2000\t200\t50\n"))
	if err != nil || r.Requests != 3 || r.Elapsed != 1050*time.Microsecond || r.Quantile(1) != 500*time.Microsecond {
		t.Errorf("parseLog = %+v, %v", r, err)
	}
	for _, text := range []string{"", "1000\t200\n", "x\t200\t1\n", "1\t200\tx\n"} {
		if _, err := parseLog([]byte(text)); err == nil {
			t.Errorf("parseLog(%q) gives no error", text)
		}
	}
}
