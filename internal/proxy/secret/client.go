package secret

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// sessions is how many sessions a client keeps, one per server name.
const sessions = 64

// Client builds the configuration for the endpoints of a cluster. alpn is what it
// asks for; empty: nothing.
//
// Where the check of the peer is ours, InsecureSkipVerify and VerifyConnection are
// both set; where there is no check at all, the first is set alone.
func (s *Store) Client(spec *connect.ClientTLS, alpn []string) (*tls.Config, error) {
	config := &tls.Config{
		ServerName:                  spec.ServerName,
		MinVersion:                  tls.VersionTLS12,
		NextProtos:                  alpn,
		DynamicRecordSizingDisabled: true,
		ClientSessionCache:          tls.NewLRUClientSessionCache(sessions),
	}
	if spec.Certificate != "" {
		c, err := s.certificate(spec.Certificate)
		if err != nil {
			return nil, err
		}
		// Given whatever authorities the server names: it has one identity to show.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.pair, nil }
	}
	if spec.Insecure {
		if spec.Trust != "" || len(spec.SubjectAltNames) > 0 {
			return nil, errors.New("verification is off, but a trust bundle or names are given: choose one")
		}
		config.InsecureSkipVerify = true
		return config, nil
	}
	roots, err := s.roots(spec.Trust)
	if err != nil {
		return nil, err
	}
	config.RootCAs = roots
	if len(spec.SubjectAltNames) == 0 {
		if spec.ServerName == "" {
			return nil, errors.New("no server name and no subject alternative names: there is nothing to verify the server by")
		}
		return config, nil
	}
	names, err := parseNames(spec.SubjectAltNames)
	if err != nil {
		return nil, err
	}
	// Called for resumed sessions, too.
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		return checkServer(state.PeerCertificates, roots, names)
	}
	return config, nil
}

// roots is nil for those of the system.
func (s *Store) roots(trust string) (*x509.CertPool, error) {
	if trust == "" {
		return nil, nil
	}
	b, err := s.bundle(trust)
	if err != nil {
		return nil, err
	}
	return b.pool, nil
}

func parseNames(names []string) ([]string, error) {
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "* ") {
			return nil, fmt.Errorf("subject alternative name %q: it must be a DNS name or a URI, without wildcards", name)
		}
		if strings.HasPrefix(name, scheme) {
			if err := checkID(name); err != nil {
				return nil, err
			}
		}
	}
	return names, nil
}

func checkServer(chain []*x509.Certificate, roots *x509.CertPool, names []string) error {
	if len(chain) == 0 {
		return &PeerError{Text: "the server presented no certificate"}
	}
	leaf := chain[0]
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, cert := range chain[1:] {
		options.Intermediates.AddCert(cert)
	}
	if _, err := leaf.Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	id, err := identity(leaf)
	if err != nil {
		return err
	}
	for _, name := range names {
		if matches(leaf, name) {
			return nil
		}
	}
	return &PeerError{ID: id, wrongName: true, Text: fmt.Sprintf("its names are none of %q", names)}
}

// matches: a name with a scheme is compared with the URIs, exactly.
func matches(leaf *x509.Certificate, name string) bool {
	if !strings.Contains(name, "://") {
		return leaf.VerifyHostname(name) == nil
	}
	for _, u := range leaf.URIs {
		if u.String() == name {
			return true
		}
	}
	return false
}
