package restart

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// TestCertificateRotation replaces certificate and key, in files that are written
// one after the other, while clients shake hands all the time.
func TestCertificateRotation(t *testing.T) {
	rotations := 10
	if testing.Short() {
		rotations = 2
	}
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		s := newSite(t)
		ca := rig.NewCA(t)
		first := ca.Issue(t)
		p := program.Start(t, rig.Options{Kind: kind, Config: fmt.Sprintf(`
listeners: [{name: web, address: "127.0.0.1:0", protocol: HTTPS, tls: {certificates: [web]}}]
routes: [{name: all, rules: [{backends: [web]}]}]
clusters: [{name: web, endpoints: ["%s"]}]
certificates: [{name: web, chainFile: "%s", keyFile: "%s"}]
`, strings.Join(s.web, `", "`), first.Chain, first.Key)})
		addr := p.Addr("web")
		h2 := &lab.HTTP2{Addr: fixed(addr), Bodies: s.bodies, TLS: ca.Client()}
		h2.TLS.NextProtos = []string{"h2"}
		tr := h2.Transport()
		// No resumption: every connection proves the certificate.
		load := &traffic{t: t, stop: lab.Begin(
			&lab.Load{Name: "HTTPS, a connection per request", Workers: 8, Rate: 120, First: 1 << 32, Client: func() lab.Client {
				return &lab.HTTP1{Addr: fixed(addr), Bodies: s.bodies, Fresh: true, TLS: ca.Client()}
			}},
			&lab.Load{Name: "HTTPS, kept", Workers: 8, Rate: 200, First: 2 << 32, Client: func() lab.Client {
				return &lab.HTTP1{Addr: fixed(addr), Bodies: s.bodies, TLS: ca.Client()}
			}},
			&lab.Load{Name: "HTTP/2 over TLS", Workers: 8, Rate: 200, First: 3 << 32, Client: func() lab.Client { return h2.New(tr) }},
		)}
		serial := served(t, addr, ca)
		for range rotations {
			next := ca.Issue(t)
			move(t, next.Key, first.Key)
			move(t, next.Chain, first.Chain)
			lab.Until(t, "the new certificate is served", func() bool { return served(t, addr, ca) != serial })
			serial = served(t, addr, ca)
		}
		load.end()
		// Go's HTTP/2 client connects more than once at first, and drops in the middle
		// what it does not need: at most once per worker.
		if n := p.Metric("tatami_proxy_tls_handshake_failures_total"); n > 8 {
			t.Errorf("%v handshakes failed", n)
		}
	})
}

// move replaces a file at once.
func move(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		next := filepath.Join(filepath.Dir(to), "next")
		if err = os.WriteFile(next, text, 0o600); err == nil {
			err = os.Rename(next, to)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
}

// served is the serial number of the certificate that a new connection is shown.
func served(t *testing.T, addr string, ca *rig.CA) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr, ca.Client())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	// Who leaves at once can make a handshake fail that he did not need any more.
	_ = c.SetDeadline(time.Now().Add(lab.Patience))
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
	if err == nil {
		_, err = io.Copy(io.Discard, c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}
