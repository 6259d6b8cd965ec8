package secret

import (
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
)

const (
	scheme = "spiffe://"
	// Limits of the SPIFFE ID specification, 2.3, in bytes.
	maxID     = 2048
	maxDomain = 255
)

// PeerError says that a peer's certificate, though of a trusted authority, is not
// good enough.
type PeerError struct {
	// ID is whom it names; "" when it names nobody in a well-formed way.
	ID   string
	Text string

	wrongName bool
}

// Error says who and why.
func (e *PeerError) Error() string {
	if e.ID == "" {
		return "peer certificate: " + e.Text
	}
	return fmt.Sprintf("peer certificate of %s: %s", e.ID, e.Text)
}

// HandshakeReason is for metrics.
func (e *PeerError) HandshakeReason() tlsconn.Reason {
	if e.wrongName {
		return tlsconn.ReasonWrongName
	}
	return tlsconn.ReasonCertificate
}

// identity returns the SPIFFE ID of a certificate, or "" when it has none and is
// an ordinary one. One that claims an ID must follow the rules of an X509-SVID:
// with two URIs it would be another's to choose who it is.
func identity(leaf *x509.Certificate) (string, error) {
	id := ""
	for _, u := range leaf.URIs {
		if strings.EqualFold(u.Scheme, "spiffe") {
			id = u.String()
		}
	}
	switch {
	case id == "":
		return "", nil
	case len(leaf.URIs) != 1:
		return "", &PeerError{Text: fmt.Sprintf("it has %d URIs besides a SPIFFE ID, and must have one", len(leaf.URIs))}
	case leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return "", &PeerError{Text: "it is an authority's, which must not be used as a workload's"}
	}
	if err := checkID(id); err != nil {
		return "", &PeerError{Text: err.Error()}
	}
	return id, nil
}

// checkID holds that s is spiffe://trust-domain/path of a workload.
func checkID(s string) error {
	rest, ok := strings.CutPrefix(s, scheme)
	domain, path, found := strings.Cut(rest, "/")
	switch {
	case !ok:
		return fmt.Errorf("%q is no SPIFFE ID: it must begin with %s", s, scheme)
	case len(s) > maxID || len(domain) > maxDomain:
		return fmt.Errorf("SPIFFE ID of %d bytes is too long", len(s))
	case domain == "" || !only(domain, false):
		return fmt.Errorf("SPIFFE ID %q: the trust domain must be of a-z, 0-9, '.', '-' and '_'", s)
	case !found:
		return fmt.Errorf("SPIFFE ID %q names a trust domain and no workload: add a path", s)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || !only(segment, true) {
			return fmt.Errorf("SPIFFE ID %q: a segment of the path must be of letters, digits, '.', '-' and '_', and not be empty or relative", s)
		}
	}
	return nil
}

func only(s string, upper bool) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '-', c == '_', upper && c >= 'A' && c <= 'Z':
		default:
			return false
		}
	}
	return true
}

// patterns are IDs, or prefixes of whole segments that end with /*.
type patterns []string

func parsePatterns(given []string) (patterns, error) {
	for _, p := range given {
		id := p
		if prefix, ok := strings.CutSuffix(p, "/*"); ok {
			id = prefix + "/x"
		}
		if err := checkID(id); err != nil {
			return nil, fmt.Errorf("allowed ID %q: %w", p, err)
		}
	}
	return given, nil
}

func (ps patterns) match(id string) bool {
	for _, p := range ps {
		prefix, ok := strings.CutSuffix(p, "*")
		if ok && strings.HasPrefix(id, prefix) || p == id {
			return true
		}
	}
	return false
}
