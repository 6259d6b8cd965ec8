package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// CA is an authority that lives as long as a test.
type CA struct {
	// File is its certificate as PEM, Pool the same.
	File string
	Pool *x509.CertPool

	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Files are a certificate with its key, as PEM.
type Files struct{ Chain, Key string }

// NewCA makes an authority.
func NewCA(tb testing.TB) *CA {
	tb.Helper()
	c := &CA{dir: tb.TempDir(), Pool: x509.NewCertPool()}
	c.key = newKey(tb)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der := c.sign(tb, template, c.key, template, c.key)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	c.cert = cert
	c.Pool.AddCert(cert)
	c.File = filepath.Join(c.dir, "ca.pem")
	writePEM(tb, c.File, "CERTIFICATE", der)
	return c
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func (c *CA) sign(tb testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey, parent *x509.Certificate, by *ecdsa.PrivateKey) []byte {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		tb.Fatal(err)
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// Issue makes a certificate, for servers and clients, with names that are hosts,
// addresses or URIs (SPIFFE IDs). Without names it is for 127.0.0.1 and localhost.
func (c *CA) Issue(tb testing.TB, names ...string) Files {
	tb.Helper()
	if len(names) == 0 {
		names = []string{"localhost", "127.0.0.1"}
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		ip := net.ParseIP(n)
		switch {
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		case strings.Contains(n, "://"):
			u, err := url.Parse(n)
			if err != nil {
				tb.Fatal(err)
			}
			template.URIs = append(template.URIs, u)
		default:
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	key := newKey(tb)
	der := c.sign(tb, template, key, c.cert, c.key)
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	f := Files{Chain: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	writePEM(tb, f.Chain, "CERTIFICATE", der)
	writePEM(tb, f.Key, "EC PRIVATE KEY", keyDER)
	return f
}

// Server is a configuration with a new certificate for the names.
func (c *CA) Server(tb testing.TB, names ...string) *tls.Config {
	tb.Helper()
	return &tls.Config{Certificates: []tls.Certificate{c.Issue(tb, names...).Load(tb)}, MinVersion: tls.VersionTLS12}
}

// Client trusts the authority and nothing else.
func (c *CA) Client() *tls.Config {
	return &tls.Config{RootCAs: c.Pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// Load reads both files.
func (f Files) Load(tb testing.TB) tls.Certificate {
	tb.Helper()
	pair, err := tls.LoadX509KeyPair(f.Chain, f.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return pair
}

func writePEM(tb testing.TB, path, kind string, der []byte) {
	tb.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
}
