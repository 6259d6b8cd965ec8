package secret

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// Server builds the configuration of a listener. alpn is what it offers unless
// spec says otherwise; empty: no protocol is negotiated. Clients that ask for
// others only are refused.
func (s *Store) Server(spec *connect.ServerTLS, alpn []string) (*tls.Config, error) {
	chosen, err := s.chooser(spec.Certificates)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		GetCertificate: chosen.choose,
		MinVersion:     max(spec.MinVersion, tls.VersionTLS12),
		NextProtos:     alpn,
		// One write carries whole records: small ones first would cost more calls
		// than they save time.
		DynamicRecordSizingDisabled: true,
	}
	if len(spec.ALPN) > 0 {
		config.NextProtos = spec.ALPN
	}
	trust, err := s.clientTrust(spec, config)
	if err != nil {
		return nil, err
	}
	keys := s.tickets.of(spec, trust)
	config.WrapSession = keys.EncryptTicket
	config.UnwrapSession = keys.DecryptTicket
	return config, nil
}

// clientTrust says what is asked of clients.
func (s *Store) clientTrust(spec *connect.ServerTLS, config *tls.Config) (*bundle, error) {
	switch spec.ClientAuth {
	case connect.ClientAuthNone:
		if len(spec.AllowedIDs) > 0 {
			return nil, errors.New("allowed IDs are given, but clients are not asked for a certificate: require one")
		}
		return nil, nil
	case connect.ClientAuthInsecure:
		config.ClientAuth = tls.RequestClientCert
		return nil, nil
	case connect.ClientAuthOptional:
		config.ClientAuth = tls.VerifyClientCertIfGiven
	case connect.ClientAuthRequire:
		config.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		return nil, fmt.Errorf("client authentication %d is unknown", spec.ClientAuth)
	}
	if spec.ClientTrust == "" {
		return nil, errors.New("client certificates are verified, but no trust bundle is named for them")
	}
	trust, err := s.bundle(spec.ClientTrust)
	if err != nil {
		return nil, err
	}
	allowed, err := parsePatterns(spec.AllowedIDs)
	if err != nil {
		return nil, err
	}
	config.ClientCAs = trust.pool
	// Called for resumed sessions, too.
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil // optional, or refused before
		}
		return checkClient(state.PeerCertificates[0], allowed)
	}
	return trust, nil
}

// checkClient checks the identity in a certificate whose chain was verified.
func checkClient(leaf *x509.Certificate, allowed patterns) error {
	id, err := identity(leaf)
	if err != nil {
		return err
	}
	if len(allowed) > 0 && !allowed.match(id) {
		return &PeerError{ID: id, wrongName: true, Text: "it is none of the allowed IDs"}
	}
	return nil
}

// chooser finds the certificate for a server name.
type chooser struct {
	// exact by name, wildcards by what follows the star.
	exact     map[string][]*tls.Certificate
	wildcards map[string][]*tls.Certificate
	fallback  []*tls.Certificate
}

func (s *Store) chooser(names []string) (*chooser, error) {
	if len(names) == 0 {
		return nil, errors.New("no certificate is named: TLS cannot be terminated without one")
	}
	ch := &chooser{exact: map[string][]*tls.Certificate{}, wildcards: map[string][]*tls.Certificate{}}
	for _, name := range names {
		c, err := s.certificate(name)
		if err != nil {
			return nil, err
		}
		ch.fallback = append(ch.fallback, &c.pair)
		for _, host := range c.pair.Leaf.DNSNames {
			host = strings.ToLower(strings.TrimSuffix(host, "."))
			if suffix, ok := strings.CutPrefix(host, "*"); ok {
				ch.wildcards[suffix] = append(ch.wildcards[suffix], &c.pair)
			} else {
				ch.exact[host] = append(ch.exact[host], &c.pair)
			}
		}
	}
	return ch, nil
}

// choose takes an exact name before a wildcard before the first certificate, and
// among several the first that the client can use.
func (ch *chooser) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	found := ch.exact[name]
	if found == nil {
		if i := strings.IndexByte(name, '.'); i > 0 {
			found = ch.wildcards[name[i:]]
		}
	}
	if found == nil {
		found = ch.fallback[:1]
	}
	if len(found) > 1 {
		for _, c := range found {
			if hello.SupportsCertificate(c) == nil {
				return c, nil
			}
		}
	}
	return found[0], nil
}

// tickets holds the keys of session tickets, one set per way to judge clients: a
// session must not be resumed where its client would have been judged otherwise.
// They live longer than a store, and crypto/tls rotates them every day.
type tickets struct {
	mu   sync.Mutex
	keys map[[sha256.Size]byte]*tls.Config
}

// keptTickets bounds the sets: after so many changes of trust all begin anew.
const keptTickets = 256

func newTickets() *tickets {
	return &tickets{keys: map[[sha256.Size]byte]*tls.Config{}}
}

func (t *tickets) of(spec *connect.ServerTLS, trust *bundle) *tls.Config {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d %q %d", spec.ClientAuth, spec.AllowedIDs, spec.MinVersion)
	if trust != nil {
		_, _ = h.Write(trust.sum[:])
	}
	var judged [sha256.Size]byte
	h.Sum(judged[:0])
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keys[judged] == nil {
		if len(t.keys) >= keptTickets {
			clear(t.keys)
		}
		t.keys[judged] = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return t.keys[judged]
}
