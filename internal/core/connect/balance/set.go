package balance

import (
	"math"
	"sync/atomic"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
)

// Set is the hosts of one cluster. It is immutable, but for the state of its
// hosts and for the order that follows from it.
type Set struct {
	cluster *connect.Cluster
	zoneIs  string
	policy  connect.Policy
	members []member
	weight  uint64 // of all members
	byKey   map[uint64]*member
	ring    []uint64
	zone    *zone // nil: zones do not count
	checked bool
	shared  *shared

	outliers *resilience.Outliers // nil: off
	breaker  *resilience.Breaker
	retries  *resilience.RetryBudget

	view    atomic.Pointer[view]
	sorting atomic.Bool
}

// shared is what all sets of a cluster have in common, one after the other.
type shared struct {
	changes atomic.Uint64
	turns   [3]atomic.Uint64
}

// Build makes the Set of a cluster. Old is the one that it replaces, or nil: hosts
// with the same address are taken over with all that was learned, and so are
// gauges and budgets. LocalZone is the proxy's; empty: zones do not count.
//
// O(endpoints), and O(points log points) for a ring. An unchanged cluster (the
// same pointer) gives the old Set. Of two endpoints with one address the first
// counts that is not draining, as EndpointSlices may overlap.
func Build(c *connect.Cluster, old *Set, localZone string) *Set {
	if old != nil && old.cluster == c && old.zoneIs == localZone {
		return old
	}
	s := &Set{
		cluster: c,
		zoneIs:  localZone,
		policy:  c.Balance.Policy,
		checked: c.HealthCheck != nil,
		byKey:   make(map[uint64]*member, len(c.Endpoints)),
	}
	var breaker *resilience.Breaker
	var retries *resilience.RetryBudget
	var outliers *resilience.Outliers
	if old != nil {
		s.shared, breaker, retries, outliers = old.shared, old.breaker, old.retries, old.outliers
	} else {
		s.shared = new(shared)
	}
	s.breaker = resilience.NewBreaker(c.Breaker, breaker)
	s.retries = resilience.NewRetryBudget(c.Breaker.RetryBudget, retries)
	s.enlist(old)
	if c.Outlier != nil {
		s.outliers = resilience.NewOutliers(c.Outlier, s.present(), s.checked, outliers)
	}
	if c.Balance.ZoneAware && localZone != "" && s.policy != connect.PolicyRingHash {
		s.zone = s.newZone(old)
	}
	if s.policy == connect.PolicyRingHash {
		s.ring = newRing(s.members)
	}
	s.view.Store(s.sort())
	return s
}

// enlist makes the members from the endpoints.
func (s *Set) enlist(old *Set) {
	endpoints := distinct(s.cluster.Endpoints)
	s.members = make([]member, len(endpoints))
	for i, e := range endpoints {
		h := s.host(e, old)
		weight := uint64(max(e.Weight, 1))
		s.members[i] = member{
			host:    h,
			weight:  weight,
			inverse: 1 / float64(weight),
			local:   e.Zone != "" && e.Zone == s.zoneIs,
			drain:   e.Draining,
		}
		s.weight += weight
		s.byKey[h.key] = &s.members[i]
	}
}

// distinct leaves out endpoints whose address stands before, or stands later
// without draining.
func distinct(endpoints []connect.Endpoint) []*connect.Endpoint {
	at := make(map[string]int, len(endpoints))
	list := make([]*connect.Endpoint, 0, len(endpoints))
	for i := range endpoints {
		e := &endpoints[i]
		first, found := at[e.Address]
		switch {
		case !found:
			at[e.Address] = len(list)
			list = append(list, e)
		case list[first].Draining && !e.Draining:
			list[first] = e
		}
	}
	return list
}

func (s *Set) host(e *connect.Endpoint, old *Set) *Host {
	key := Key(e.Address)
	if old != nil {
		if m := old.byKey[key]; m != nil && m.host.address == e.Address {
			m.host.endpoint.Store(e)
			return m.host
		}
	}
	h := &Host{address: e.Address, addr: e.Addr, key: key, changes: &s.shared.changes}
	h.endpoint.Store(e)
	return h
}

// present are the members that are not draining.
func (s *Set) present() []*resilience.Vitals {
	var list []*resilience.Vitals
	for i := range s.members {
		if !s.members[i].drain {
			list = append(list, &s.members[i].host.vitals)
		}
	}
	return list
}

func (s *Set) newZone(old *Set) *zone {
	z := &zone{spillAt: spillAt}
	if at := s.cluster.Balance.SpillAt; at > 0 {
		z.spillAt = float64(at)
	}
	for i := range s.members {
		m := &s.members[i]
		if !m.local {
			z.far = append(z.far, m.host)
			continue
		}
		z.near = append(z.near, m.host)
		if !m.drain {
			z.weight += m.weight
		}
	}
	z.pull.Store(math.Float64bits(1))
	if old != nil && old.zone != nil {
		z.pull.Store(old.zone.pull.Load())
		z.least.Store(old.zone.least.Load())
	}
	return z
}

// Cluster is what the Set was built from.
func (s *Set) Cluster() *connect.Cluster { return s.cluster }

// Len is the number of hosts.
func (s *Set) Len() int { return len(s.members) }

// Host is the i-th, in the order of the cluster's endpoints.
func (s *Set) Host(i int) *Host { return s.members[i].host }

// Breaker bounds what the cluster is asked at once.
func (s *Set) Breaker() *resilience.Breaker { return s.breaker }

// Retries is the budget of the cluster.
func (s *Set) Retries() *resilience.RetryBudget { return s.retries }

// ByKey finds a host by the Key of its address, for sessions. It may be draining:
// sessions stay until the end. It is nil when there is no such host, or when it is
// ejected or ill, so that the session must move.
func (s *Set) ByKey(key uint64) *Host {
	m := s.byKey[key]
	if m == nil || !s.eligible(m.host) {
		return nil
	}
	return m.host
}

// Health is how many hosts are eligible, not draining, and there at all.
func (s *Set) Health() (eligible, present, all int) {
	for i := range s.members {
		m := &s.members[i]
		if m.drain {
			continue
		}
		present++
		if s.eligible(m.host) {
			eligible++
		}
	}
	return eligible, present, len(s.members)
}

// LocalShare is the part of the requests that stays in the local zone now, of 1;
// 1 where zones do not count.
func (s *Set) LocalShare() float64 {
	if s.zone == nil {
		return 1
	}
	v := s.current()
	if len(v.far.members) == 0 {
		return 1
	}
	return v.fair + (v.share-v.fair)*math.Float64frombits(s.zone.pull.Load())
}
