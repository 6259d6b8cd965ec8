package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	tb   testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// PEM is its own certificate, as a trust bundle has it.
	PEM []byte
}

// Leaf says what a certificate shall be. The zero value is valid for an hour for
// both sides.
type Leaf struct {
	DNS  []string
	URIs []string
	// From and To are the validity, relative to now.
	From, To time.Duration
	// CA makes it an authority, which a leaf must not be.
	CA bool
}

// NewAuthority makes one.
func NewAuthority(tb testing.TB, name string) *Authority {
	tb.Helper()
	key := newKey(tb)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &Authority{tb: tb, cert: cert, key: key, PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Issue signs a certificate and returns chain and key.
func (a *Authority) Issue(l Leaf) (chain, key []byte) {
	a.tb.Helper()
	if l.To == 0 {
		l.From, l.To = -time.Hour, time.Hour
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, DNSNames: l.DNS,
		NotBefore: time.Now().Add(l.From), NotAfter: time.Now().Add(l.To),
		KeyUsage: x509.KeyUsageDigitalSignature, IsCA: l.CA, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if l.CA {
		template.KeyUsage |= x509.KeyUsageCertSign
	}
	for _, u := range l.URIs {
		parsed, err := url.Parse(u)
		if err != nil {
			a.tb.Fatal(err)
		}
		template.URIs = append(template.URIs, parsed)
	}
	priv := newKey(a.tb)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &priv.PublicKey, a.key)
	if err != nil {
		a.tb.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		a.tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// Certificate is Issue for a tls.Config.
func (a *Authority) Certificate(l Leaf) tls.Certificate {
	a.tb.Helper()
	cert, err := tls.X509KeyPair(a.Issue(l))
	if err != nil {
		a.tb.Fatal(err)
	}
	return cert
}

// Pool is the authority as a tls.Config has it.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}
