package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/balance"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/exchange"
	"github.com/tatami-platform/tatami/internal/proxy/front"
	"github.com/tatami-platform/tatami/internal/proxy/secret"
)

// state is a configuration with all that was built from it.
type state struct {
	snapshot  *exchange.Snapshot
	secrets   *secret.Store
	addresses map[string]*front.Address
}

func emptyState() *state {
	return &state{snapshot: &exchange.Snapshot{}}
}

// Apply changes to a configuration, whole or not at all. Requests that are being
// served go on with the old one; none is lost. Its error says what is wrong with
// the configuration; then the old one is still in force.
func (s *Server) Apply(c *connect.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return ErrDraining
	}
	next, err := s.build(c)
	if err != nil {
		s.tele.Metrics().Rejected()
		return err
	}
	opened, err := s.open(next)
	if err == nil {
		err = s.tele.Apply(time.Now(), c)
	}
	if err != nil {
		closeNew(opened)
		s.tele.Metrics().Rejected()
		return err
	}
	s.commit(next, opened)
	return nil
}

// build makes all that follows from a configuration, without any effect.
func (s *Server) build(c *connect.Config) (*state, error) {
	if err := connect.ValidateChange(s.state.snapshot.Config, c); err != nil {
		return nil, err
	}
	old := s.state
	table, err := route.Compile(c, old.snapshot.Table)
	if err != nil {
		return nil, err
	}
	secrets, err := secret.New(c.Certificates, c.TrustBundles, old.secrets)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	next := &state{
		secrets:   secrets,
		snapshot:  &exchange.Snapshot{Config: c, Table: table, Clusters: make(map[string]*exchange.Cluster, len(c.Clusters))},
		addresses: map[string]*front.Address{},
	}
	var errs []error
	for _, cluster := range c.Clusters {
		built, err := s.cluster(next, cluster)
		errs = append(errs, err)
		next.snapshot.Clusters[cluster.Name] = built
	}
	for _, a := range table.Addresses() {
		built, err := next.address(a)
		errs = append(errs, err)
		next.addresses[a.Name] = built
	}
	return next, errors.Join(errs...)
}

// cluster takes the run-time form of a cluster over when nothing changed.
func (s *Server) cluster(next *state, c *connect.Cluster) (*exchange.Cluster, error) {
	old := s.state.snapshot.Clusters[c.Name]
	var tc *tls.Config
	switch {
	case c.TLS == nil:
	case old != nil && old.Config == c && sameSecrets(c.TLS, s.state.snapshot.Config, next.snapshot.Config):
		tc = old.TLS
	default:
		var err error
		if tc, err = next.secrets.Client(c.TLS, alpn(c.Protocol)); err != nil {
			return nil, fmt.Errorf("cluster %s: tls: %w", c.Name, err)
		}
	}
	var set *balance.Set
	if old != nil {
		set = old.Set
	}
	set = balance.Build(c, set, s.zone(next))
	if old != nil && old.Set == set && old.TLS == tc {
		return old, nil
	}
	n := &exchange.Cluster{Config: c, Service: c.Service, TLS: tc, Set: set}
	if n.Service == "" {
		n.Service = c.Name
	}
	return n, nil
}

// sameSecrets says that what a cluster presents and trusts did not change, so that
// its connections may stay.
func sameSecrets(t *connect.ClientTLS, before, now *connect.Config) bool {
	certificate := func(c *connect.Config) *connect.Certificate {
		i := slices.IndexFunc(c.Certificates, func(x *connect.Certificate) bool { return x.Name == t.Certificate })
		if i < 0 {
			return nil
		}
		return c.Certificates[i]
	}
	bundle := func(c *connect.Config) *connect.TrustBundle {
		i := slices.IndexFunc(c.TrustBundles, func(x *connect.TrustBundle) bool { return x.Name == t.Trust })
		if i < 0 {
			return nil
		}
		return c.TrustBundles[i]
	}
	return certificate(before) == certificate(now) && bundle(before) == bundle(now)
}

func (s *Server) zone(next *state) string {
	if z := next.snapshot.Config.Node.Zone; z != "" {
		return z
	}
	return s.options.Zone
}

// alpn is what is offered to endpoints.
func alpn(p connect.UpstreamProtocol) []string {
	switch p {
	case connect.UpstreamHTTP1:
		return []string{"http/1.1"}
	case connect.UpstreamHTTP2:
		return []string{"h2"}
	default:
		return []string{"h2", "http/1.1"}
	}
}

// serverALPN is what a listener offers unless its configuration says otherwise.
func serverALPN(p connect.Protocol) []string {
	if p == connect.ProtocolHTTPS {
		return []string{"h2", "http/1.1"}
	}
	return nil
}

// address collects what the front needs to know about one address.
func (next *state) address(a *route.Address) (*front.Address, error) {
	out := &front.Address{Routes: a, Snapshot: next.snapshot, TLS: map[string]*tls.Config{}}
	for _, l := range a.Listeners {
		if l.Config.TLS == nil {
			continue
		}
		tc, err := next.secrets.Server(l.Config.TLS, serverALPN(l.Config.Protocol))
		if err != nil {
			return nil, fmt.Errorf("listener %s: tls: %w", l.Config.Name, err)
		}
		out.TLS[l.Config.Name] = tc
	}
	return out, nil
}

// open binds the addresses that are new. On an error nothing stays open.
func (s *Server) open(next *state) ([]*socket, error) {
	var opened []*socket
	for name, a := range next.addresses {
		if s.sockets[name] != nil {
			continue
		}
		sock, err := s.bind(name, a)
		if err != nil {
			closeNew(opened)
			return nil, err
		}
		opened = append(opened, sock)
	}
	return opened, nil
}

// closeNew undoes open; what was handed over stays, for another try.
func closeNew(opened []*socket) {
	for _, sock := range opened {
		if !sock.inherited {
			sock.close()
		}
	}
}

// commit makes next what is served from.
func (s *Server) commit(next *state, opened []*socket) {
	s.state = next
	for i, l := range s.group.Loops() {
		w := s.workers[i]
		l.Call(func() { w.Use(next.snapshot) })
	}
	for name, sock := range s.sockets {
		if a := next.addresses[name]; a != nil {
			sock.use(a)
		}
	}
	for _, sock := range opened {
		s.sockets[sock.name] = sock
		if err := sock.accept(s); err != nil {
			s.options.Diagnostics("listen on %s: %v", sock.name, err)
		}
	}
	s.closeRemoved(next)
	s.closeInherited()
	s.checker.Set(next.snapshot.Config.Clusters)
	s.tele.Metrics().Certificates(expiry(next.secrets))
	s.ready.Store(true)
}

// closeInherited closes what was handed over and is not served: clients would
// wait there for ever.
func (s *Server) closeInherited() {
	for name, ln := range s.options.Inherited {
		if sock := s.sockets[name]; sock == nil || sock.ln != ln {
			_ = ln.Close()
		}
	}
	s.options.Inherited = nil
}

func expiry(s *secret.Store) map[string]time.Time {
	all := map[string]time.Time{}
	for _, e := range s.Expiries() {
		all[e.Kind+"/"+e.Name] = e.NotAfter
	}
	return all
}

// closeRemoved stops listening where no listener is any more, and lets the
// connections that were made there end well.
func (s *Server) closeRemoved(next *state) {
	removed := map[string]bool{}
	for name, sock := range s.sockets {
		if next.addresses[name] == nil {
			sock.close()
			removed[name] = true
			delete(s.sockets, name)
		}
	}
	if len(removed) > 0 {
		s.drainConns(func(address string) bool { return removed[address] })
	}
}
