package suites

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// goClient is Go's own client, for one protocol.
func goClient(t *testing.T, cfg *tls.Config, http1, h2, h2c bool) *http.Client {
	t.Helper()
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetHTTP2(h2)
	p.SetUnencryptedHTTP2(h2c)
	tr := &http.Transport{TLSClientConfig: cfg, Protocols: p, MaxIdleConnsPerHost: 100}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// TestGo has many requests at once with bodies of random sizes, checked by sums.
func TestGo(t *testing.T) {
	plainBackend := rig.HTTP(t, backend())
	ca := rig.NewCA(t)
	secureBackend := rig.HTTPS(t, ca, backend())
	const toTLS = ", tls: {serverName: localhost, trust: ca}"
	trust := "trustBundles: [{name: ca, file: " + ca.File + "}]\n"
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			for _, front := range []struct {
				name, scheme, listener string
				http1, h2, h2c         bool
			}{
				{"HTTP/1.1", "http", "", true, false, false},
				{"h2c", "http", "", false, false, true},
				{"TLS HTTP/1.1", "https", withTLS, true, false, false},
				{"TLS HTTP/2", "https", withTLS, false, true, false},
			} {
				for _, back := range []struct{ name, addr, cluster string }{
					{"HTTP/1.1", plainBackend, ""},
					{"h2c", plainBackend, ", protocol: HTTP2"},
					{"TLS HTTP/1.1", secureBackend, toTLS + ", protocol: HTTP1"},
					{"TLS by ALPN", secureBackend, toTLS},
				} {
					t.Run(front.name+" to "+back.name, func(t *testing.T) {
						f := ca.Issue(t)
						p := program.Start(t, rig.Options{Kind: kind, Config: "listeners: [{name: main, address: '127.0.0.1:0'" + front.listener + "}]\n" +
							"routes: [{name: main, rules: [{backends: [main]}]}]\n" +
							"clusters: [{name: main, idleTimeout: 500ms, endpoints: ['" + back.addr + "']" + back.cluster + "}]\n" +
							"certificates: [{name: main, chainFile: '" + f.Chain + "', keyFile: '" + f.Key + "'}]\n" + trust})
						before := p.Usage()
						c := goClient(t, ca.Client(), front.http1, front.h2, front.h2c)
						exchangeMany(t, c, front.scheme+"://"+p.Addr("main"))
						c.CloseIdleConnections()
						settle(t, p, before)
					})
				}
			}
		})
	}
}

func exchangeMany(t *testing.T, c *http.Client, base string) {
	t.Helper()
	const workers = 8
	each := 12
	if testing.Short() {
		each = 3
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			for range each {
				if err := exchange(t.Context(), c, base, rnd); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// exchange sends a body of one random size and then fetches one of another.
func exchange(ctx context.Context, c *http.Client, base string, rnd *rand.Rand) error {
	content := pattern(size(rnd))
	var body io.Reader = strings.NewReader(content)
	if rnd.IntN(2) == 0 {
		body = struct{ io.Reader }{body} // of unknown length
	}
	got, err := do(ctx, c, http.MethodPost, base+"/echo", body)
	if err != nil {
		return err
	}
	if !strings.Contains(got, bodyLine(content)) {
		return fmt.Errorf("a body of %d bytes arrived changed: %s", len(content), clip(got))
	}
	n := size(rnd)
	got, err = do(ctx, c, http.MethodGet, base+fmt.Sprintf("/size/%d", n), nil)
	if err == nil && got != pattern(n) {
		err = fmt.Errorf("an answer of %d bytes arrived as %d, or changed", n, len(got))
	}
	return err
}

// size is small, or large, or around the sizes of buffers.
func size(rnd *rand.Rand) int {
	switch rnd.IntN(4) {
	case 0:
		return rnd.IntN(100)
	case 1:
		return rnd.IntN(20_000)
	case 2:
		return 1<<(10+rnd.IntN(8)) + rnd.IntN(5) - 2
	default:
		return rnd.IntN(1 << 20)
	}
}

func do(ctx context.Context, c *http.Client, method, url string, body io.Reader) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", method, url, resp.Status)
	}
	return string(got), err
}

// TestServerSentEvents holds that each event arrives before the next is made.
func TestServerSentEvents(t *testing.T) {
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			next := make(chan struct{})
			addr := rig.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range 5 {
					fmt.Fprintf(w, "data: %d\n\n", i)
					_ = http.NewResponseController(w).Flush()
					select {
					case <-next:
					case <-r.Context().Done():
						return
					}
				}
			}))
			ca := rig.NewCA(t)
			_, plain := front(t, kind, "--backend", addr)
			_, secure := front(t, kind, append(tlsArgs(t, ca), "--backend", addr)...)
			_, h2c := front(t, kind, "--h2c", "--backend", addr)
			for _, tt := range []struct {
				name, url      string
				http1, h2, up2 bool
			}{
				{"HTTP/1.1", "http://" + plain, true, false, false},
				{"h2c", "http://" + plain, false, false, true},
				{"TLS HTTP/2", "https://" + secure, false, true, false},
				{"HTTP/1.1 to h2c", "http://" + h2c, true, false, false},
			} {
				t.Run(tt.name, func(t *testing.T) {
					resp, err := goClient(t, ca.Client(), tt.http1, tt.h2, tt.up2).Get(tt.url)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					in := bufio.NewReader(resp.Body)
					for i := range 5 {
						line, err := in.ReadString('\n')
						if err != nil || line != fmt.Sprintf("data: %d\n", i) {
							t.Fatalf("event %d: %q, %v", i, line, err)
						}
						_, _ = in.ReadString('\n')
						select {
						case next <- struct{}{}:
						case <-time.After(5 * time.Second):
							t.Fatal("the backend is gone")
						}
					}
				})
			}
		})
	}
}

// TestEarlyHints has Go's client see 1xx answers of Go's server.
func TestEarlyHints(t *testing.T) {
	addr := rig.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "ok")
	}))
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			for _, args := range [][]string{{"--backend", addr}, {"--h2c", "--backend", addr}} {
				_, at := front(t, kind, args...)
				for _, h2 := range []bool{false, true} {
					var seen []int
					ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
						Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
							if h.Get("Link") == "</style.css>" {
								seen = append(seen, code)
							}
							return nil
						},
					})
					got, err := do(ctx, goClient(t, nil, !h2, false, h2), http.MethodGet, "http://"+at, nil)
					if err != nil || got != "ok" || len(seen) != 1 || seen[0] != http.StatusEarlyHints {
						t.Errorf("%v, HTTP/2 client %v: %q, %v; interim answers %v, want [103]", args, h2, got, err, seen)
					}
				}
			}
		})
	}
}

// TestCancel holds that a backend is told when its client leaves. Over HTTP/1.1 that
// is a reset of the connection: the end of the client's direction alone is a
// half-close, after which it may still read.
func TestCancel(t *testing.T) {
	left := make(chan struct{}, 8)
	addr := rig.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		left <- struct{}{}
	}))
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			for _, args := range [][]string{{"--backend", addr}, {"--h2c", "--backend", addr}} {
				_, at := front(t, kind, args...)
				for _, h2 := range []bool{false, true} {
					leave(t, at, h2)
					select {
					case <-left:
					case <-time.After(5 * time.Second):
						t.Errorf("%v, HTTP/2 client %v: the backend was not told that the client left", args, h2)
					}
				}
			}
		})
	}
}

// leave begins to read an answer and goes away.
func leave(t *testing.T, addr string, h2 bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := goClient(t, nil, !h2, false, h2)
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetLinger(0)
		}
		return conn, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = resp.Body.Close()
}
