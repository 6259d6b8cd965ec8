package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 2 * 365 * 24 * time.Hour
	// renewBefore leaves room for a laptop that is not restarted for months.
	renewBefore = 180 * 24 * time.Hour
	// backdate keeps certificates valid when the clock was ahead at the first
	// start and is set back later.
	backdate = 365 * 24 * time.Hour
)

// Authority signs leaf certificates.
type Authority struct {
	dir  string
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Leaf describes a certificate for one purpose.
type Leaf struct {
	// Name of the files: <name>.crt and <name>.key.
	Name          string
	CommonName    string
	Organizations []string
	// DNSNames and IPs make it a server certificate.
	DNSNames []string
	IPs      []net.IP
}

// EnsureAuthority loads the authority of that name in dir, or makes it. A pair
// of which only one file exists was cut short by a crash and is made anew, and
// so is one near its end, as that of a first start with the clock in 1970.
func EnsureAuthority(dir, name string, now time.Time) (*Authority, error) {
	a := &Authority{dir: dir, name: name}
	cert, key, err := load(dir, name)
	if err == nil && now.Before(cert.NotAfter.Add(-renewBefore)) {
		a.cert, a.key = cert, key
		return a, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", name, err)
	}
	tmpl, err := template(now, authorityLife)
	if err != nil {
		return nil, err
	}
	tmpl.Subject = pkix.Name{CommonName: "tatami " + name}
	// Leaves are renewed when the clock is set back before them. An authority,
	// of which others hold copies, need not be: it has always been valid.
	tmpl.NotBefore = time.Unix(0, 0)
	tmpl.IsCA = true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return a, save(dir, name, der, a.key)
}

// EnsureLeaf makes the leaf unless a good one exists: signed by this authority,
// for the same names, and not near its end.
func (a *Authority) EnsureLeaf(l Leaf, now time.Time) error {
	cert, _, err := load(a.dir, l.Name)
	if err == nil && a.good(cert, l, now) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("key of %s: %w", l.Name, err)
	}
	tmpl, err := template(now, leafLife)
	if err != nil {
		return err
	}
	tmpl.Subject = pkix.Name{CommonName: l.CommonName, Organization: l.Organizations}
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(l.DNSNames)+len(l.IPs) > 0 {
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	tmpl.DNSNames, tmpl.IPAddresses = l.DNSNames, l.IPs
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", l.Name, err)
	}
	return save(a.dir, l.Name, der, key)
}

func (a *Authority) good(cert *x509.Certificate, l Leaf, now time.Time) bool {
	if cert.CheckSignatureFrom(a.cert) != nil || now.Before(cert.NotBefore) || now.After(cert.NotAfter.Add(-renewBefore)) {
		return false
	}
	sameIPs := slices.EqualFunc(cert.IPAddresses, l.IPs, net.IP.Equal)
	return sameIPs && slices.Equal(cert.DNSNames, l.DNSNames) &&
		cert.Subject.CommonName == l.CommonName && slices.Equal(cert.Subject.Organization, l.Organizations)
}

// EnsureKey makes a private key for signing service account tokens.
func EnsureKey(dir, name string) error {
	path := filepath.Join(dir, name+".key")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("key of %s: %w", name, err)
	}
	return saveKey(path, key)
}

func template(now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(life),
		BasicConstraintsValid: true,
	}, nil
}

// save writes the key first: a certificate without a key is never seen as whole.
func save(dir, name string, der []byte, key *ecdsa.PrivateKey) error {
	if err := saveKey(filepath.Join(dir, name+".key"), key); err != nil {
		return err
	}
	return instance.WriteFile(filepath.Join(dir, name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func saveKey(path string, key *ecdsa.PrivateKey) error {
	// The form that the API server also reads a public key from.
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return instance.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// load returns fs.ErrNotExist when the pair is missing or does not match, as
// after a crash between its two files.
func load(dir, name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	cert, err := loadCert(filepath.Join(dir, name+".crt"))
	if err != nil {
		return nil, nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, name+".key"))
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, nil, fmt.Errorf("%s.key in %s is not PEM", name, dir)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s.key in %s: %w", name, dir, err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, fmt.Errorf("%s in %s: key and certificate differ: %w", name, dir, fs.ErrNotExist)
	}
	return cert, key, nil
}

func loadCert(path string) (*x509.Certificate, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cert, nil
}
