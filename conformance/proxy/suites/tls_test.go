package suites

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// sClient runs openssl s_client, with a request of HTTP/1.0 as its input.
func sClient(t *testing.T, addr string, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"s_client", "-connect", addr, "-ign_eof"}, args...)
	return tool(t, "GET /echo HTTP/1.0\r\nHost: localhost\r\n\r\n", "openssl", args...)
}

func TestOpenSSL(t *testing.T) {
	backend := rig.HTTP(t, backend())
	ca := rig.NewCA(t)
	a, b := ca.Issue(t, "a.test"), ca.Issue(t, "*.b.test")
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			p := program.Start(t, rig.Options{Kind: kind, Config: fmt.Sprintf(`
listeners:
- {name: main, address: "127.0.0.1:0", protocol: HTTPS, tls: {certificates: [a, b]}}
- {name: new, address: "127.0.0.2:0", protocol: HTTPS, tls: {certificates: [a], minVersion: TLS13}}
routes: [{name: main, rules: [{backends: [main]}]}]
clusters: [{name: main, endpoints: [%q]}]
certificates:
- {name: a, chainFile: %q, keyFile: %q}
- {name: b, chainFile: %q, keyFile: %q}
`, backend, a.Chain, a.Key, b.Chain, b.Key)})
			verify := []string{"-CAfile", ca.File, "-verify_return_error"}
			for _, tt := range []struct {
				name, listener string
				args           []string
				wants          []string
				fails          bool
			}{
				{"TLS 1.3", "main", []string{"-tls1_3"}, []string{"TLSv1.3", "200 OK", "GET /echo"}, false},
				{"TLS 1.2", "main", []string{"-tls1_2"}, []string{"TLSv1.2", "200 OK"}, false},
				{"TLS 1.1", "main", []string{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, nil, true},
				{"TLS 1.0", "main", []string{"-tls1", "-cipher", "DEFAULT@SECLEVEL=0"}, nil, true},
				{"TLS 1.2 where 1.3 is asked for", "new", []string{"-tls1_2"}, nil, true},
				{"TLS 1.3 where it is asked for", "new", []string{"-tls1_3"}, []string{"TLSv1.3", "200 OK"}, false},
				{"no forward secrecy", "main", []string{"-tls1_2", "-cipher", "AES128-SHA:AES128-GCM-SHA256"}, nil, true},
				{"renegotiation is off", "main", []string{"-tls1_2"}, []string{"Secure Renegotiation IS supported"}, false},
				{"ALPN h2", "main", []string{"-alpn", "h2"}, []string{"ALPN protocol: h2"}, false},
				{"ALPN http/1.1", "main", []string{"-alpn", "http/1.1"}, []string{"ALPN protocol: http/1.1"}, false},
				{"ALPN by our preference", "main", []string{"-alpn", "http/1.1,h2"}, []string{"ALPN protocol: h2"}, false},
				{"no ALPN", "main", nil, []string{"No ALPN negotiated", "200 OK"}, false},
				{"SNI", "main", []string{"-servername", "x.b.test", "-verify_hostname", "x.b.test"}, []string{"Verify return code: 0 (ok)"}, false},
				{"SNI of the first certificate", "main", []string{"-servername", "a.test", "-verify_hostname", "a.test"}, []string{"Verify return code: 0 (ok)"}, false},
				{"no SNI gets the first certificate", "main", []string{"-noservername", "-verify_hostname", "a.test"}, []string{"Verify return code: 0 (ok)"}, false},
				{"a name of nobody", "main", []string{"-servername", "c.test", "-verify_hostname", "c.test"}, nil, true},
				{"no compression", "main", []string{"-comp"}, []string{"Compression: NONE"}, false},
			} {
				t.Run(tt.name, func(t *testing.T) {
					got, err := sClient(t, p.Addr(tt.listener), append(tt.args, verify...)...)
					if tt.fails && err == nil {
						t.Errorf("openssl succeeded:\n%s", clip(got))
					}
					if tt.fails && strings.Contains(got, "200 OK") {
						t.Errorf("the request was answered:\n%s", clip(got))
					}
					wants(t, got, tt.wants...)
				})
			}
		})
	}
}

func TestOpenSSLClientCertificates(t *testing.T) {
	backend := rig.HTTP(t, backend())
	ca, other := rig.NewCA(t), rig.NewCA(t)
	server := ca.Issue(t)
	good, wrong, stranger := ca.Issue(t, "spiffe://x.test/ns/a/sa/b"), other.Issue(t, "spiffe://x.test/ns/a/sa/b"), ca.Issue(t, "spiffe://x.test/ns/z/sa/b")
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			p := program.Start(t, rig.Options{Kind: kind, Config: fmt.Sprintf(`
listeners:
- {name: need, address: "127.0.0.1:0", protocol: HTTPS, tls: {certificates: [a], clientTrust: ca, clientAuth: REQUIRE, allowedIds: ["spiffe://x.test/ns/a/*"]}}
- {name: may, address: "127.0.0.2:0", protocol: HTTPS, tls: {certificates: [a], clientTrust: ca, clientAuth: OPTIONAL}}
routes: [{name: main, rules: [{backends: [main]}]}]
clusters: [{name: main, endpoints: [%q]}]
certificates: [{name: a, chainFile: %q, keyFile: %q}]
trustBundles: [{name: ca, file: %q}]
`, backend, server.Chain, server.Key, ca.File)})
			for _, tt := range []struct {
				name, listener string
				with           *rig.Files
				served         bool
			}{
				{"right", "need", &good, true},
				{"of another authority", "need", &wrong, false},
				{"of an identity that is not allowed", "need", &stranger, false},
				{"absent", "need", nil, false},
				{"optional and right", "may", &good, true},
				{"optional and wrong", "may", &wrong, false},
				{"optional and absent", "may", nil, true},
			} {
				for _, version := range []string{"-tls1_2", "-tls1_3"} {
					t.Run(tt.name+version, func(t *testing.T) {
						args := []string{version, "-CAfile", ca.File}
						if tt.with != nil {
							args = append(args, "-cert", tt.with.Chain, "-key", tt.with.Key)
						}
						got, _ := sClient(t, p.Addr(tt.listener), args...)
						if served := strings.Contains(got, "200 OK"); served != tt.served {
							t.Errorf("served: %v, want %v\n%s", served, tt.served, clip(got))
						}
					})
				}
			}
		})
	}
}

func TestPassthroughBySNI(t *testing.T) {
	ca := rig.NewCA(t)
	named := func(name string) string {
		return rig.HTTPS(t, ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, name, " ", r.Proto)
		}), "a.test", "x.b.test", "y.b.test")
	}
	a, b := named("a"), named("b")
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			p := program.Start(t, rig.Options{Kind: kind, Config: fmt.Sprintf(`
listeners: [{name: main, address: "127.0.0.1:0", protocol: TLS}]
streamRoutes:
- {name: a, hostnames: [a.test], backends: [a]}
- {name: b, hostnames: ["*.b.test"], backends: [b]}
clusters: [{name: a, endpoints: [%q]}, {name: b, endpoints: [%q]}]
`, a, b)})
			for _, tt := range []struct{ sni, want string }{
				{"a.test", "a HTTP/2.0"}, {"x.b.test", "b HTTP/2.0"}, {"Y.B.TEST", "b HTTP/2.0"}, {"c.test", ""}, {"b.test", ""},
			} {
				t.Run(tt.sni, func(t *testing.T) {
					c := ca.Client()
					c.ServerName = tt.sni
					tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
					defer tr.CloseIdleConnections()
					resp, err := (&http.Client{Transport: tr, Timeout: 5 * time.Second}).Get("https://" + p.Addr("main"))
					if tt.want == "" {
						if err == nil {
							_ = resp.Body.Close()
							t.Error("it was served, want the connection closed")
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					got, _ := io.ReadAll(resp.Body)
					if string(got) != tt.want {
						t.Errorf("got %q, want %q", got, tt.want)
					}
				})
			}
			t.Run("a greeting in small parts", func(t *testing.T) {
				raw, err := net.Dial("tcp", p.Addr("main"))
				if err != nil {
					t.Fatal(err)
				}
				defer raw.Close()
				cfg := ca.Client()
				cfg.ServerName = "a.test"
				if err := tls.Client(&drip{Conn: raw}, cfg).Handshake(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// drip writes a few bytes at a time.
type drip struct{ net.Conn }

func (d *drip) Write(p []byte) (int, error) {
	for n := 0; n < len(p); n += 50 {
		if _, err := d.Conn.Write(p[n:min(n+50, len(p))]); err != nil {
			return n, err
		}
		time.Sleep(time.Millisecond)
	}
	return len(p), nil
}
