package metrics

import (
	"sync/atomic"
	"time"
)

// Shard is one event loop's part of all counters.
type Shard struct {
	registry *Registry
	id       int
	unrouted [protocols]*Series
	lag      histogram
	shed     atomic.Uint64
	flags    [MaxFlags]atomic.Uint64
}

// MaxFlags bounds the flags that are counted.
const MaxFlags = 32

// Route finds the series of labels, or makes it. It locks: call it when the
// configuration or the peer of a connection is new, and keep the result. An empty
// source is this proxy's own service and zone.
func (s *Shard) Route(l Labels) *Series {
	r := s.registry
	if l.SourceService == "" {
		l.SourceService, l.SourceZone = r.options.Service, r.options.Zone
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	set := r.resolve(l)
	set.gone = time.Time{}
	for len(set.series) <= s.id {
		set.series = append(set.series, nil)
	}
	if set.series[s.id] == nil {
		set.series[s.id] = new(Series)
	}
	return set.series[s.id]
}

// Unrouted is the series of requests that no route takes.
func (s *Shard) Unrouted(p Protocol) *Series { return s.unrouted[min(p, protocols-1)] }

// Cluster finds the counters of a destination service, or makes them. It locks,
// as Route does.
func (s *Shard) Cluster(service string) *Cluster {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	service = boundLabel(service)
	all := s.registry.clusters
	if all[service] == nil && len(all) >= s.registry.options.MaxSeries {
		service = Other
	}
	return part(all, s.id, "destination_service", service)
}

// Listener finds the counters of a listener, or makes them. It locks, as Route
// does. There are as many as the configuration has.
func (s *Shard) Listener(name string) *Listener {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	return part(s.registry.listeners, s.id, "listener", boundLabel(name))
}

func part[T any](all map[string]*shards[T], id int, name, value string) *T {
	group := all[value]
	if group == nil {
		group = &shards[T]{text: label(name, value)}
		all[value] = group
	}
	group.gone = time.Time{}
	for len(group.own) <= id {
		group.own = append(group.own, nil)
	}
	if group.own[id] == nil {
		group.own[id] = new(T)
	}
	return group.own[id]
}

// Lag records how many nanoseconds later than planned the loop came to its work.
func (s *Shard) Lag(nanos int64) { s.lag.observe(&lagBounds, nanos) }

// Shed counts a request that was refused because the proxy is overloaded.
func (s *Shard) Shed() { s.shed.Add(1) }

// Flag counts an exchange that had something done to it, by the index of the
// flag in Options.Flags.
func (s *Shard) Flag(index int) {
	if uint(index) < MaxFlags {
		s.flags[index].Add(1)
	}
}
