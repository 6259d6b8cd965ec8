package secret_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
	"github.com/tatami-platform/tatami/internal/proxy/secret"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn/tlstest"
)

func certificate(ca *tlstest.Authority, name string, l tlstest.Leaf) *connect.Certificate {
	chain, key := ca.Issue(l)
	return &connect.Certificate{Name: name, ChainPEM: chain, KeyPEM: key}
}

func newStore(tb testing.TB, previous *secret.Store, certs []*connect.Certificate, bundles ...*connect.TrustBundle) *secret.Store {
	tb.Helper()
	s, err := secret.New(certs, bundles, previous)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func serverOf(tb testing.TB, s *secret.Store, spec *connect.ServerTLS) *tls.Config {
	tb.Helper()
	c, err := s.Server(spec, []string{"h2", "http/1.1"})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// outcome is what both sides of a handshake saw; reasons are "" without error.
type outcome struct {
	server, client tlsconn.Reason
	conn           evloop.Conn
	err            error
}

// handshake runs ours against ours over sockets: the server on a loop, the client
// on the same one. Then a byte goes each way, so that tickets arrive.
func handshake(t *testing.T, server, client *tls.Config) outcome {
	t.Helper()
	l := evlooptest.Loop(t, evloop.Native)
	h := tlsconn.NewHandshaker(0, 0)
	ln := evlooptest.Listen(t, "tcp")
	type end struct {
		conn evloop.Conn
		err  error
	}
	serverEnd, clientEnd := make(chan end, 1), make(chan end, 1)
	dialled := evlooptest.Dial(t, ln)
	accepted := evlooptest.Accept(t, ln)
	evlooptest.On(t, l, func() {
		a, err := l.Adopt(accepted)
		if err != nil {
			t.Error(err)
			return
		}
		b, err := l.Adopt(dialled)
		if err != nil {
			t.Error(err)
			return
		}
		h.Server(l, a, server, func(c evloop.Conn, err error) { serverEnd <- end{c, err} })
		h.Client(l, b, client, func(c evloop.Conn, err error) {
			if err == nil {
				c.Handle(&reader{c})
			}
			clientEnd <- end{c, err}
		})
	})
	c, s := evlooptest.Wait(t, "the client", clientEnd), evlooptest.Wait(t, "the server", serverEnd)
	o := outcome{conn: s.conn, err: errors.Join(s.err, c.err)}
	o.server, o.client = reason(t, s.err), reason(t, c.err)
	evlooptest.On(t, l, func() {
		if s.conn != nil {
			_, _ = s.conn.Write([]byte("x"), nil)
		}
	})
	time.Sleep(10 * time.Millisecond)
	evlooptest.On(t, l, func() {
		for _, conn := range []evloop.Conn{c.conn, s.conn} {
			if conn != nil {
				conn.Close()
			}
		}
	})
	return o
}

type reader struct{ conn evloop.Conn }

func (r *reader) Readable()    { _, _ = r.conn.Read(make([]byte, 100)) }
func (r *reader) Writable()    {}
func (r *reader) Hangup(error) {}

func reason(t *testing.T, err error) tlsconn.Reason {
	t.Helper()
	var h *tlsconn.HandshakeError
	if err != nil && !errors.As(err, &h) {
		t.Errorf("not a HandshakeError: %v", err)
	}
	if h == nil {
		return ""
	}
	return h.Reason
}

// served is the name of the certificate that a client gets for a server name.
func served(t *testing.T, config *tls.Config, name string) (string, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	defer func() { _, _ = ours.Close(), theirs.Close() }()
	go func() {
		s := tls.Server(ours, config)
		_ = s.Handshake()
		_, _ = io.Copy(io.Discard, s)
	}()
	c := tls.Client(theirs, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		return "", err
	}
	return c.ConnectionState().PeerCertificates[0].DNSNames[0], nil
}

func TestChooseByName(t *testing.T) {
	ca := tlstest.NewAuthority(t, "ca")
	s := newStore(t, nil, []*connect.Certificate{
		certificate(ca, "default", tlstest.Leaf{DNS: []string{"default.test"}}),
		certificate(ca, "wild", tlstest.Leaf{DNS: []string{"*.b.test"}}),
		certificate(ca, "exact", tlstest.Leaf{DNS: []string{"exact.test", "a.b.test"}}),
	})
	config := serverOf(t, s, &connect.ServerTLS{Certificates: []string{"default", "wild", "exact"}})
	for name, want := range map[string]string{
		"exact.test": "exact.test", "EXACT.test": "exact.test", "a.b.test": "exact.test", "c.b.test": "*.b.test",
		"d.c.b.test": "default.test", "b.test": "default.test", "other.test": "default.test", "": "default.test",
	} {
		if got, err := served(t, config, name); err != nil || got != want {
			t.Errorf("%q gets %q, not %q: %v", name, got, want, err)
		}
	}
}

func TestClientAuthentication(t *testing.T) {
	ca, other := tlstest.NewAuthority(t, "ca"), tlstest.NewAuthority(t, "other")
	const a = "spiffe://td.test/ns/prod/sa/a"
	certs := []*connect.Certificate{
		certificate(ca, "server", tlstest.Leaf{DNS: []string{"s.test"}}),
		certificate(ca, "a", tlstest.Leaf{URIs: []string{a}}),
		certificate(ca, "plain", tlstest.Leaf{DNS: []string{"client.test"}}),
		certificate(ca, "expired", tlstest.Leaf{URIs: []string{a}, From: -2 * time.Hour, To: -time.Hour}),
		certificate(ca, "two", tlstest.Leaf{URIs: []string{a, "spiffe://td.test/other"}}),
		certificate(ca, "two kinds", tlstest.Leaf{URIs: []string{a, "https://x.test"}}),
		certificate(ca, "no path", tlstest.Leaf{URIs: []string{"spiffe://td.test"}}),
		certificate(ca, "upper", tlstest.Leaf{URIs: []string{"spiffe://TD.test/a"}}),
		certificate(ca, "query", tlstest.Leaf{URIs: []string{a + "?x=1"}}),
		certificate(ca, "dots", tlstest.Leaf{URIs: []string{"spiffe://td.test/ns/../a"}}),
		certificate(ca, "encoded", tlstest.Leaf{URIs: []string{"spiffe://td.test/ns/%2e/a"}}),
		certificate(ca, "port", tlstest.Leaf{URIs: []string{"spiffe://td.test:80/a"}}),
		certificate(ca, "authority", tlstest.Leaf{URIs: []string{a}, CA: true}),
		certificate(other, "foreign", tlstest.Leaf{URIs: []string{a}}),
	}
	s := newStore(t, nil, certs, &connect.TrustBundle{Name: "ca", PEM: ca.PEM})
	const req, opt = connect.ClientAuthRequire, connect.ClientAuthOptional
	tests := map[string]struct {
		client  string
		auth    connect.ClientAuth
		allowed []string
		want    tlsconn.Reason // of the server
		peer    string
	}{
		"required":               {client: "a", auth: req, peer: a},
		"required, none":         {auth: req, want: tlsconn.ReasonNoCertificate},
		"required, foreign":      {client: "foreign", auth: req, want: tlsconn.ReasonUntrusted},
		"required, expired":      {client: "expired", auth: req, want: tlsconn.ReasonExpired},
		"required, no SPIFFE":    {client: "plain", auth: req, peer: "client.test"},
		"two IDs":                {client: "two", auth: req, want: tlsconn.ReasonCertificate},
		"another URI":            {client: "two kinds", auth: req, want: tlsconn.ReasonCertificate},
		"no path":                {client: "no path", auth: req, want: tlsconn.ReasonCertificate},
		"upper-case domain":      {client: "upper", auth: req, want: tlsconn.ReasonCertificate},
		"query":                  {client: "query", auth: req, want: tlsconn.ReasonCertificate},
		"relative path":          {client: "dots", auth: req, want: tlsconn.ReasonCertificate},
		"encoded path":           {client: "encoded", auth: req, want: tlsconn.ReasonCertificate},
		"port":                   {client: "port", auth: req, want: tlsconn.ReasonCertificate},
		"an authority's":         {client: "authority", auth: req, want: tlsconn.ReasonCertificate},
		"optional":               {client: "a", auth: opt, peer: a},
		"optional, none":         {auth: opt},
		"optional, foreign":      {client: "foreign", auth: opt, want: tlsconn.ReasonUntrusted},
		"insecure, none":         {auth: connect.ClientAuthInsecure},
		"insecure, foreign":      {client: "foreign", auth: connect.ClientAuthInsecure},
		"not asked":              {client: "a"},
		"allowed":                {client: "a", auth: req, allowed: []string{"spiffe://x.test/a", a}, peer: a},
		"allowed by prefix":      {client: "a", auth: req, allowed: []string{"spiffe://td.test/ns/prod/*"}, peer: a},
		"not allowed":            {client: "a", auth: req, allowed: []string{"spiffe://td.test/ns/prod/sa/b"}, want: tlsconn.ReasonWrongName},
		"not by half a segment":  {client: "a", auth: req, allowed: []string{"spiffe://td.test/ns/pr/*"}, want: tlsconn.ReasonWrongName},
		"not by another domain":  {client: "a", auth: req, allowed: []string{"spiffe://td.tes/*"}, want: tlsconn.ReasonWrongName},
		"allowed, but no SPIFFE": {client: "plain", auth: req, allowed: []string{a}, want: tlsconn.ReasonWrongName},
	}
	for name, test := range tests {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name, func(t *testing.T) {
				spec := &connect.ServerTLS{Certificates: []string{"server"}, ClientAuth: test.auth, AllowedIDs: test.allowed}
				if test.auth == req || test.auth == opt {
					spec.ClientTrust = "ca"
				}
				client, err := s.Client(&connect.ClientTLS{ServerName: "s.test", Trust: "ca", Certificate: test.client}, nil)
				if err != nil {
					t.Fatal(err)
				}
				client.MaxVersion = version
				// Again, so that a resumed session is judged the same way.
				for range 2 {
					o := handshake(t, serverOf(t, s, spec), client)
					if o.server != test.want {
						t.Errorf("the server says %q, not %q: %v", o.server, test.want, o.err)
					}
					if o.conn != nil && o.conn.Info().PeerID != test.peer {
						t.Errorf("the peer is %q, not %q", o.conn.Info().PeerID, test.peer)
					}
				}
			})
		}
	}
}

func TestServerVerification(t *testing.T) {
	ca, other := tlstest.NewAuthority(t, "ca"), tlstest.NewAuthority(t, "other")
	const id = "spiffe://td.test/ns/prod/sa/s"
	s := newStore(t, nil, []*connect.Certificate{
		certificate(ca, "server", tlstest.Leaf{DNS: []string{"s.test", "*.w.test"}}),
		certificate(ca, "mesh", tlstest.Leaf{URIs: []string{id}}),
		certificate(ca, "expired", tlstest.Leaf{DNS: []string{"s.test"}, From: -2 * time.Hour, To: -time.Hour}),
	}, &connect.TrustBundle{Name: "ca", PEM: ca.PEM}, &connect.TrustBundle{Name: "other", PEM: other.PEM})
	tests := map[string]struct {
		server string
		client connect.ClientTLS
		want   tlsconn.Reason
	}{
		"by name":           {"server", connect.ClientTLS{ServerName: "s.test", Trust: "ca"}, ""},
		"wrong name":        {"server", connect.ClientTLS{ServerName: "t.test", Trust: "ca"}, tlsconn.ReasonWrongName},
		"wrong bundle":      {"server", connect.ClientTLS{ServerName: "s.test", Trust: "other"}, tlsconn.ReasonUntrusted},
		"the system's":      {"server", connect.ClientTLS{ServerName: "s.test"}, tlsconn.ReasonUntrusted},
		"expired":           {"expired", connect.ClientTLS{ServerName: "s.test", Trust: "ca"}, tlsconn.ReasonExpired},
		"insecure":          {"expired", connect.ClientTLS{ServerName: "x.test", Insecure: true}, ""},
		"DNS names":         {"server", connect.ClientTLS{ServerName: "x.test", Trust: "ca", SubjectAltNames: []string{"y.test", "s.test"}}, ""},
		"by a wildcard":     {"server", connect.ClientTLS{Trust: "ca", SubjectAltNames: []string{"a.w.test"}}, ""},
		"no such name":      {"server", connect.ClientTLS{ServerName: "s.test", Trust: "ca", SubjectAltNames: []string{"y.test"}}, tlsconn.ReasonWrongName},
		"URI":               {"mesh", connect.ClientTLS{Trust: "ca", SubjectAltNames: []string{id}}, ""},
		"another URI":       {"mesh", connect.ClientTLS{Trust: "ca", SubjectAltNames: []string{id + "x"}}, tlsconn.ReasonWrongName},
		"URI, wrong bundle": {"mesh", connect.ClientTLS{Trust: "other", SubjectAltNames: []string{id}}, tlsconn.ReasonUntrusted},
		"names, expired":    {"expired", connect.ClientTLS{Trust: "ca", SubjectAltNames: []string{"s.test"}}, tlsconn.ReasonExpired},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client, err := s.Client(&test.client, []string{"h2"})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				o := handshake(t, serverOf(t, s, &connect.ServerTLS{Certificates: []string{test.server}}), client)
				if o.client != test.want {
					t.Errorf("the client says %q, not %q: %v", o.client, test.want, o.err)
				}
			}
		})
	}
}

// TestRotation: authority and certificate change in steps, and every step works
// with peers that have made it and peers that have not.
func TestRotation(t *testing.T) {
	older, newer := tlstest.NewAuthority(t, "older"), tlstest.NewAuthority(t, "newer")
	both := &connect.TrustBundle{Name: "ca", PEM: append(bytes.Clone(older.PEM), newer.PEM...)}
	first := certificate(older, "c", tlstest.Leaf{DNS: []string{"s.test"}})
	second := certificate(newer, "c", tlstest.Leaf{DNS: []string{"s.test"}})
	one := newStore(t, nil, []*connect.Certificate{first}, &connect.TrustBundle{Name: "ca", PEM: older.PEM})
	two := newStore(t, one, []*connect.Certificate{first}, both)
	three := newStore(t, two, []*connect.Certificate{second}, both)
	four := newStore(t, three, []*connect.Certificate{second}, &connect.TrustBundle{Name: "ca", PEM: newer.PEM})
	tests := []struct {
		name           string
		server, client *secret.Store
		works          bool
	}{
		{"before", one, one, true},
		{"one has the bundle", two, one, true},
		{"both have it", two, two, true},
		{"the server has the certificate", three, two, true},
		{"the client has it", two, three, true},
		{"the old one is gone", four, four, true},
		{"too fast", four, one, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			spec := &connect.ServerTLS{Certificates: []string{"c"}, ClientAuth: connect.ClientAuthRequire, ClientTrust: "ca"}
			client, err := test.client.Client(&connect.ClientTLS{ServerName: "s.test", Trust: "ca", Certificate: "c"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if o := handshake(t, serverOf(t, test.server, spec), client); (o.err == nil) != test.works {
				t.Errorf("works: %v, not %v: %v", o.err == nil, test.works, o.err)
			}
		})
	}
}

// TestSessionsOverStores: a session outlives a store, but not the trust in its
// client.
func TestSessionsOverStores(t *testing.T) {
	ca, other := tlstest.NewAuthority(t, "ca"), tlstest.NewAuthority(t, "other")
	certs := []*connect.Certificate{
		certificate(ca, "s", tlstest.Leaf{DNS: []string{"s.test"}}),
		certificate(ca, "c", tlstest.Leaf{URIs: []string{"spiffe://td/c"}}),
	}
	spec := &connect.ServerTLS{Certificates: []string{"s"}, ClientAuth: connect.ClientAuthRequire, ClientTrust: "ca"}
	one := newStore(t, nil, certs, &connect.TrustBundle{Name: "ca", PEM: ca.PEM})
	client, err := one.Client(&connect.ClientTLS{ServerName: "s.test", Trust: "ca", Certificate: "c"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	resumed := false
	client.VerifyConnection = func(state tls.ConnectionState) error {
		resumed = state.DidResume
		return nil
	}
	if o := handshake(t, serverOf(t, one, spec), client); o.err != nil || resumed {
		t.Fatalf("first: resumed %v, %v", resumed, o.err)
	}
	two := newStore(t, one, certs, &connect.TrustBundle{Name: "ca", PEM: bytes.Clone(ca.PEM)})
	if o := handshake(t, serverOf(t, two, spec), client); o.err != nil || !resumed {
		t.Errorf("another store: resumed %v, %v", resumed, o.err)
	}
	three := newStore(t, two, certs, &connect.TrustBundle{Name: "ca", PEM: other.PEM})
	if o := handshake(t, serverOf(t, three, spec), client); o.server != tlsconn.ReasonUntrusted {
		t.Errorf("another bundle: %q", o.server)
	}
}

func TestFiles(t *testing.T) {
	ca := tlstest.NewAuthority(t, "ca")
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	chain, key := ca.Issue(tlstest.Leaf{DNS: []string{"old.test"}})
	certs := []*connect.Certificate{{Name: "c", ChainFile: write("chain", chain), KeyFile: write("key", key)}}
	bundle := &connect.TrustBundle{Name: "ca", File: write("ca", ca.PEM)}
	one := newStore(t, nil, certs, bundle)
	if one.Changed() {
		t.Error("changed at once")
	}
	chain, key = ca.Issue(tlstest.Leaf{DNS: []string{"new.test"}, From: -time.Hour, To: 2 * time.Hour})
	write("chain", chain)
	if !one.Changed() {
		t.Error("a changed chain was not seen")
	}
	if _, err := secret.New(certs, []*connect.TrustBundle{bundle}, one); err == nil {
		t.Error("the new chain with the old key was taken")
	}
	write("key", key)
	two := newStore(t, one, certs, bundle)
	spec := &connect.ServerTLS{Certificates: []string{"c"}}
	for want, s := range map[string]*secret.Store{"old.test": one, "new.test": two} {
		if got, err := served(t, serverOf(t, s, spec), "x.test"); err != nil || got != want {
			t.Errorf("%q, not %q: %v", got, want, err)
		}
	}
	for _, e := range two.Expiries() {
		left := time.Until(e.NotAfter)
		want := map[string]time.Duration{"c": 2 * time.Hour, "ca": 24 * time.Hour}[e.Name]
		if left > want || left < want-time.Minute {
			t.Errorf("%s %s: %v left, not %v", e.Kind, e.Name, left, want)
		}
	}
	if n := len(two.Expiries()); n != 2 {
		t.Errorf("%d expiries", n)
	}
}

func TestRefuses(t *testing.T) {
	ca := tlstest.NewAuthority(t, "ca")
	good := certificate(ca, "good", tlstest.Leaf{DNS: []string{"a.test"}})
	other := certificate(ca, "other", tlstest.Leaf{DNS: []string{"b.test"}})
	stores := map[string]struct {
		cert   *connect.Certificate
		bundle *connect.TrustBundle
		want   string
	}{
		"no file":         {cert: &connect.Certificate{Name: "x", ChainFile: "/no/such", KeyPEM: good.KeyPEM}, want: "check the path"},
		"nothing":         {cert: &connect.Certificate{Name: "x"}, want: "neither"},
		"another's key":   {cert: &connect.Certificate{Name: "x", ChainPEM: good.ChainPEM, KeyPEM: other.KeyPEM}, want: "belong together"},
		"empty bundle":    {bundle: &connect.TrustBundle{Name: "x", PEM: []byte(" \n")}, want: "no certificate"},
		"key in bundle":   {bundle: &connect.TrustBundle{Name: "x", PEM: append(bytes.Clone(ca.PEM), good.KeyPEM...)}, want: "certificates only"},
		"words in bundle": {bundle: &connect.TrustBundle{Name: "x", PEM: append(bytes.Clone(ca.PEM), "and so on"...)}, want: "no PEM"},
	}
	for name, test := range stores {
		var certs []*connect.Certificate
		var bundles []*connect.TrustBundle
		if test.cert != nil {
			certs = append(certs, test.cert)
		}
		if test.bundle != nil {
			bundles = append(bundles, test.bundle)
		}
		if _, err := secret.New(certs, bundles, nil); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `"x"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := newStore(t, nil, []*connect.Certificate{good}, &connect.TrustBundle{Name: "ca", PEM: ca.PEM})
	names := []string{"good"}
	servers := map[string]connect.ServerTLS{
		"no certificate":      {},
		"unknown certificate": {Certificates: []string{"none"}},
		"no trust":            {Certificates: names, ClientAuth: connect.ClientAuthRequire},
		"unknown trust":       {Certificates: names, ClientAuth: connect.ClientAuthRequire, ClientTrust: "none"},
		"IDs and no request":  {Certificates: names, AllowedIDs: []string{"spiffe://td/a"}},
		"ID is none":          {Certificates: names, ClientAuth: connect.ClientAuthRequire, ClientTrust: "ca", AllowedIDs: []string{"https://td/a"}},
		"ID is all":           {Certificates: names, ClientAuth: connect.ClientAuthRequire, ClientTrust: "ca", AllowedIDs: []string{"*"}},
		"unknown mode":        {Certificates: names, ClientAuth: 9},
	}
	for name, spec := range servers {
		if _, err := s.Server(&spec, nil); err == nil {
			t.Errorf("server, %s: taken", name)
		}
	}
	clients := map[string]connect.ClientTLS{
		"no name":             {Trust: "ca"},
		"unknown trust":       {ServerName: "a", Trust: "none"},
		"unknown certificate": {ServerName: "a", Certificate: "none"},
		"insecure with trust": {ServerName: "a", Trust: "ca", Insecure: true},
		"wildcard":            {Trust: "ca", SubjectAltNames: []string{"*.test"}},
		"malformed ID":        {Trust: "ca", SubjectAltNames: []string{"spiffe://td"}},
	}
	for name, spec := range clients {
		if _, err := s.Client(&spec, nil); err == nil {
			t.Errorf("client, %s: taken", name)
		}
	}
}
