package secret

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// maxFile bounds a file of certificates or keys, in bytes.
const maxFile = 4 << 20

// Store is a set of certificates and bundles at one time. Any number of
// goroutines may use it.
type Store struct {
	certificates map[string]*certificate
	bundles      map[string]*bundle
	tickets      *tickets
}

type certificate struct {
	source *connect.Certificate
	pair   tls.Certificate
	files  []file
}

type bundle struct {
	source *connect.TrustBundle
	pool   *x509.CertPool
	expiry time.Time
	sum    [sha256.Size]byte
	files  []file
}

// Expiry is when something ends to be valid.
type Expiry struct {
	// Kind is "certificate" or "trust_bundle".
	Kind string
	Name string
	// NotAfter is the first end of validity in the chain or bundle.
	NotAfter time.Time
}

// New reads and checks everything, and returns all that is wrong. previous, which
// may be nil, is the store that this one replaces: what has not changed since is
// taken from it, and sessions can be resumed. On an error keep previous; while
// files are being replaced, chain and key may not match for a moment.
func New(certificates []*connect.Certificate, bundles []*connect.TrustBundle, previous *Store) (*Store, error) {
	if previous == nil {
		previous = &Store{tickets: newTickets()}
	}
	s := &Store{certificates: map[string]*certificate{}, bundles: map[string]*bundle{}, tickets: previous.tickets}
	var errs []error
	for _, c := range certificates {
		loaded, err := loadCertificate(c, previous.certificates[c.Name])
		if err != nil {
			errs = append(errs, fmt.Errorf("certificate %q: %w", c.Name, err))
		}
		s.certificates[c.Name] = loaded
	}
	for _, b := range bundles {
		loaded, err := loadBundle(b, previous.bundles[b.Name])
		if err != nil {
			errs = append(errs, fmt.Errorf("trust bundle %q: %w", b.Name, err))
		}
		s.bundles[b.Name] = loaded
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Changed says that a file is another one than when it was read: it is time for a
// new store.
func (s *Store) Changed() bool {
	for _, c := range s.certificates {
		if changed(c.files) {
			return true
		}
	}
	for _, b := range s.bundles {
		if changed(b.files) {
			return true
		}
	}
	return false
}

// Expiries are those of everything in the store, in no order.
func (s *Store) Expiries() []Expiry {
	all := make([]Expiry, 0, len(s.certificates)+len(s.bundles))
	for name, c := range s.certificates {
		first := c.pair.Leaf.NotAfter
		for _, der := range c.pair.Certificate[1:] {
			if cert, err := x509.ParseCertificate(der); err == nil && cert.NotAfter.Before(first) {
				first = cert.NotAfter
			}
		}
		all = append(all, Expiry{Kind: "certificate", Name: name, NotAfter: first})
	}
	for name, b := range s.bundles {
		all = append(all, Expiry{Kind: "trust_bundle", Name: name, NotAfter: b.expiry})
	}
	return all
}

// file is what a path led to when it was read.
type file struct {
	path string
	info os.FileInfo
}

func changed(files []file) bool {
	for _, f := range files {
		now, err := os.Stat(f.path)
		if err != nil || !os.SameFile(now, f.info) || !now.ModTime().Equal(f.info.ModTime()) || now.Size() != f.info.Size() {
			return true
		}
	}
	return false
}

// content returns given, or what is in the file. Where both are there, given is
// what whoever watches the file has read from it.
func content(given []byte, path string, files *[]file) ([]byte, error) {
	switch {
	case path == "" && len(given) == 0:
		return nil, errors.New("neither PEM nor a file is given")
	case len(given) > 0:
		return given, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: check the path, and that the proxy may read it", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	*files = append(*files, file{path: path, info: info})
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("%s: more than %d bytes: is it the right file?", path, maxFile)
	}
	return data, nil
}

func loadCertificate(c *connect.Certificate, old *certificate) (*certificate, error) {
	if old != nil && old.source == c && !changed(old.files) {
		return old, nil
	}
	loaded := &certificate{source: c}
	chain, err := content(c.ChainPEM, c.ChainFile, &loaded.files)
	if err != nil {
		return nil, fmt.Errorf("chain: %w", err)
	}
	key, err := content(c.KeyPEM, c.KeyFile, &loaded.files)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	loaded.pair, err = tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%w: chain and key must be PEM and belong together, the leaf first", err)
	}
	return loaded, nil
}

func loadBundle(b *connect.TrustBundle, old *bundle) (*bundle, error) {
	if old != nil && old.source == b && !changed(old.files) {
		return old, nil
	}
	loaded := &bundle{source: b, pool: x509.NewCertPool()}
	data, err := content(b.PEM, b.File, &loaded.files)
	if err != nil {
		return nil, err
	}
	loaded.sum = sha256.Sum256(data)
	return loaded, loaded.add(data)
}

// add takes the authorities from PEM.
func (b *bundle) add(data []byte) error {
	count := 0
	for rest := data; len(bytes.TrimSpace(rest)) > 0; count++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return fmt.Errorf("what follows certificate %d is no PEM", count)
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("it holds a %s: a bundle holds certificates only", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("certificate %d: %w", count+1, err)
		}
		b.pool.AddCert(cert)
		if count == 0 || cert.NotAfter.Before(b.expiry) {
			b.expiry = cert.NotAfter
		}
	}
	if count == 0 {
		// An empty pool trusts nobody, a missing one everybody that the system does.
		return errors.New("it holds no certificate: nobody could be trusted by it")
	}
	return nil
}

func (s *Store) certificate(name string) (*certificate, error) {
	if c := s.certificates[name]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("certificate %q does not exist: define it or take another name", name)
}

func (s *Store) bundle(name string) (*bundle, error) {
	if b := s.bundles[name]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("trust bundle %q does not exist: define it or take another name", name)
}
