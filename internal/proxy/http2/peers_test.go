package http2

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// transport is Go's client, over cleartext HTTP/2 only.
func transport(tb testing.TB) *http.Transport {
	tb.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	tb.Cleanup(tr.CloseIdleConnections)
	return tr
}

// backend is Go's server, over cleartext HTTP/2 only.
func backend(tb testing.TB, h http.Handler) string {
	tb.Helper()
	ln := listen(tb)
	srv := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	srv.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	tb.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return ln.Addr().String()
}

// answer is a response that was read to its end.
type answer struct {
	status          int
	length          int64
	header, trailer http.Header
	body            []byte
}

func do(tb testing.TB, tr http.RoundTripper, method, url string, body io.Reader) answer {
	tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answer{resp.StatusCode, resp.ContentLength, resp.Header, resp.Trailer, b}
}

func TestServerAgainstTransport(t *testing.T) {
	kinds(t, func(t *testing.T, kind evloop.Kind) {
		t.Helper()
		leaks(t)
		l := newLoop(t, kind)
		addr, _ := serve(t, l, ServerOptions{}, func() stream.Server { return &app{} })
		tr := transport(t)
		url := "http://" + addr
		if a := do(t, tr, "GET", url+"/", nil); a.status != 200 || string(a.body) != "hello" || a.header.Get("Content-Type") != "text/plain" {
			t.Errorf("got %+v", a)
		}
		if a := do(t, tr, "HEAD", url+"/", nil); a.length != 5 || len(a.body) != 0 {
			t.Errorf("HEAD: %+v", a)
		}
		if a := do(t, tr, "GET", url+"/trailers", nil); string(a.body) != "body" || fmt.Sprint(a.trailer["X-Sum"]) != "[1 2]" {
			t.Errorf("trailers: %+v", a)
		}
		b := do(t, tr, "GET", url+"/big/5000000", nil).body
		if len(b) != 5000000 {
			t.Errorf("%d bytes", len(b))
		}
		for i, c := range b {
			if c != byte(i) {
				t.Fatalf("byte %d is wrong", i)
			}
		}
		data := make([]byte, 3<<20)
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		if b := do(t, tr, "POST", url+"/echo", bytes.NewReader(data)).body; sha256.Sum256(b) != sha256.Sum256(data) {
			t.Error("the echo differs")
		}
	})
}

func TestRelayAgainstBoth(t *testing.T) {
	kinds(t, func(t *testing.T, kind evloop.Kind) {
		t.Helper()
		leaks(t)
		back := backend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Method", r.Method+" "+r.URL.String()+" "+r.Host)
			w.Header().Set("Trailer", "X-Sum")
			sum := sha256.New()
			buf := make([]byte, 20000)
			for {
				n, err := r.Body.Read(buf)
				sum.Write(buf[:n])
				if _, err := w.Write(buf[:n]); err != nil {
					return
				}
				if err != nil {
					break
				}
			}
			w.Header().Set("X-Sum", fmt.Sprintf("%x", sum.Sum(nil)))
		}))
		l := newLoop(t, kind)
		addr, _ := serve(t, l, ServerOptions{}, func() stream.Server { return &relay{l: l, dial: back} })
		tr := transport(t)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				body := strings.Repeat(fmt.Sprint(i), i*i*100+1)
				req, _ := http.NewRequestWithContext(context.Background(), "POST", fmt.Sprintf("http://%s/p?i=%d", addr, i), strings.NewReader(body))
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(b) != body {
					t.Errorf("%d: %d bytes, want %d: %v", i, len(b), len(body), err)
				}
				if want := fmt.Sprintf("%x", sha256.Sum256([]byte(body))); resp.Trailer.Get("X-Sum") != want {
					t.Errorf("%d: trailer %q", i, resp.Trailer)
				}
				if want := fmt.Sprintf("POST /p?i=%d %s", i, addr); resp.Header.Get("X-Method") != want {
					t.Errorf("%d: %q, want %q", i, resp.Header.Get("X-Method"), want)
				}
			})
		}
		wg.Wait()
	})
}

// TestIdleIsNotBusy: requests that end in the turn in which they came keep a
// connection from being idle.
func TestIdleIsNotBusy(t *testing.T) {
	l := newLoop(t, evloop.Native)
	addr, conns := serve(t, l, ServerOptions{IdleTimeout: time.Second}, func() stream.Server { return &app{} })
	tr := transport(t)
	for range 15 {
		do(t, tr, "GET", "http://"+addr+"/", nil)
		time.Sleep(100 * time.Millisecond)
	}
	if n := len(conns()); n != 1 {
		t.Errorf("%d connections for requests 100 ms apart", n)
	}
}

// TestConnectionLost: what is open is told, whichever side goes away.
func TestConnectionLost(t *testing.T) {
	kinds(t, func(t *testing.T, kind evloop.Kind) {
		t.Helper()
		leaks(t)
		l := newLoop(t, kind)
		for name, end := range map[string]func(r *raw, c *ServerConn){
			"client closes": func(r *raw, _ *ServerConn) { r.nc.Close() },
			"client resets": func(r *raw, _ *ServerConn) {
				_ = r.nc.(*net.TCPConn).SetLinger(0)
				r.nc.Close()
			},
			"we close": func(_ *raw, c *ServerConn) { l.Call(c.Close) },
		} {
			a := &app{}
			addr, conns := serve(t, l, ServerOptions{}, func() stream.Server { return a })
			r := dialRaw(t, addr)
			r.headers(1, true, r.get("/hang"))
			r.headers(3, false, r.post("/paused"))
			_ = r.WriteData(3, false, make([]byte, 10000))
			r.verdict(nil)
			end(r, conns()[0])
			var closed bool
			var resets int
			for i := 0; i < 200 && !closed; i++ {
				time.Sleep(5 * time.Millisecond)
				l.Call(func() {
					closed = a.closed
					for _, n := range a.resets {
						resets += n
					}
				})
			}
			if !closed || resets != 2 {
				t.Errorf("%s: closed %v, %d resets", name, closed, resets)
			}
		}
	})
}
