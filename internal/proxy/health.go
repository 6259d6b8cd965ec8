package proxy

import (
	"crypto/tls"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
)

// reportHealth passes the result of an active check on to the host that it is of.
func (s *Server) reportHealth(cluster, address string, ok bool, err error, _ time.Duration) {
	s.mu.Lock()
	c := s.state.snapshot.Clusters[cluster]
	s.mu.Unlock()
	if c == nil || c.Config.HealthCheck == nil {
		return
	}
	for i := range c.Set.Len() {
		h := c.Set.Host(i)
		if h.Address() != address {
			continue
		}
		if state, changed := h.SetHealth(ok, resilience.NewHealthPolicy(c.Config.HealthCheck)); changed {
			s.options.Diagnostics("cluster %s: endpoint %s is %s now (%v)", cluster, address, state, err)
		}
		return
	}
}

// healthTLS is how checks speak TLS: as requests do.
func (s *Server) healthTLS(c *connect.ClientTLS) (*tls.Config, error) {
	s.mu.Lock()
	secrets := s.state.secrets
	s.mu.Unlock()
	return secrets.Client(c, nil)
}

// Check says whether a configuration would be taken, without any effect.
func (s *Server) Check(c *connect.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.build(c)
	return err
}
