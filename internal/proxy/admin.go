package proxy

import (
	"cmp"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
	"github.com/tatami-platform/tatami/internal/proxy/admin"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/exchange"
	"github.com/tatami-platform/tatami/internal/proxy/handover"
)

// Admin tells the admin endpoint about the server.
func (s *Server) Admin() admin.Source { return &source{server: s} }

type source struct {
	server *Server
}

// State is where the proxy is in its life.
func (a *source) State() admin.State {
	switch {
	case a.server.draining.Load(), a.server.retiring.Load():
		return admin.StateDraining
	case a.server.ready.Load():
		return admin.StateReady
	default:
		return admin.StateStarting
	}
}

// Config is the configuration in force.
func (a *source) Config() *connect.Config { return a.server.Config() }

// Drain announces the end; the process goes on until it is told to end.
func (a *source) Drain() {
	a.server.options.Diagnostics("asked to drain: connections are told to end, until SIGTERM all are served")
	a.server.Retire()
}

// Clusters are all clusters by name.
func (a *source) Clusters() []admin.Cluster {
	a.server.mu.Lock()
	snapshot := a.server.state.snapshot
	a.server.mu.Unlock()
	out := make([]admin.Cluster, 0, len(snapshot.Clusters))
	for _, c := range snapshot.Clusters {
		out = append(out, describe(c))
	}
	slices.SortFunc(out, func(x, y admin.Cluster) int { return cmp.Compare(x.Name, y.Name) })
	return out
}

func describe(c *exchange.Cluster) admin.Cluster {
	policies := [...]string{"ewma", "round_robin", "least_request", "ring_hash", "random"}
	out := admin.Cluster{
		Name: c.Config.Name, Service: c.Service, Policy: policies[c.Config.Balance.Policy],
		Pending: c.Set.Breaker().Pending().Used(),
	}
	now := evloop.Clock()
	for i := range c.Set.Len() {
		st := c.Set.Host(i).Stats(now)
		out.Connections += st.Connections
		out.Hosts = append(out.Hosts, admin.Host{
			Address: st.Endpoint.Address, Zone: st.Endpoint.Zone, Weight: max(st.Endpoint.Weight, 1),
			Health: healthOf(st.Health), Draining: st.Endpoint.Draining, Ejected: st.Ejected,
			EjectedFor: st.EjectedFor, Ejections: st.Ejections,
			Outstanding: st.Outstanding, EWMA: st.Latency, Requests: st.Requests, Failures: st.Failed,
		})
	}
	return out
}

func healthOf(h resilience.HealthState) admin.Health {
	switch h {
	case resilience.HealthHealthy:
		return admin.HealthHealthy
	case resilience.HealthUnhealthy:
		return admin.HealthUnhealthy
	default:
		return admin.HealthUnknown
	}
}

// Listeners are all listeners in the order of the configuration.
func (a *source) Listeners() []admin.Listener {
	s := a.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.snapshot.Config == nil {
		return nil
	}
	protocols := [...]string{"HTTP", "HTTPS", "TLS", "TCP"}
	var out []admin.Listener
	for _, l := range s.state.snapshot.Config.Listeners {
		sock := s.sockets[l.Address]
		if sock == nil {
			continue
		}
		out = append(out, admin.Listener{
			Name: l.Name, Protocol: protocols[l.Protocol], Address: l.Address,
			Bound: sock.ln.Addr().String(), Connections: sock.open.Load(),
		})
	}
	return out
}

// Sockets are the listening sockets, for a successor.
func (s *Server) Sockets() handover.Sockets {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := handover.Sockets{}
	for name, sock := range s.sockets {
		out[name] = sock.ln
	}
	return out
}
