package resilience

import (
	"sync/atomic"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// Gauge counts what is in use now and what was refused. The zero value is ready.
type Gauge struct {
	used    atomic.Int64
	refused atomic.Uint64
}

// Acquire takes one unless limit are in use; a limit of 0 is none. Each success
// needs one Release.
func (g *Gauge) Acquire(limit int64) bool {
	if limit <= 0 {
		g.used.Add(1)
		return true
	}
	for {
		n := g.used.Load()
		if n >= limit {
			g.refused.Add(1)
			return false
		}
		if g.used.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives one back.
func (g *Gauge) Release() { g.used.Add(-1) }

// Used is how many are in use.
func (g *Gauge) Used() int64 { return g.used.Load() }

// Refused is how many were refused since the start.
func (g *Gauge) Refused() uint64 { return g.refused.Load() }

// Breaker bounds what a cluster is asked at once. The gauges belong to the
// cluster and outlive a change of the limits.
type Breaker struct {
	maxConnections int64
	maxPending     int64
	maxRequests    int64
	gauges         *breakerGauges
}

type breakerGauges struct {
	pending  Gauge
	requests Gauge
}

// NewBreaker fills in the defaults: 1,024 connections per host, 1,024 pending,
// no limit of requests. Old is the value that this one replaces, or nil.
func NewBreaker(c connect.Breaker, old *Breaker) *Breaker {
	b := &Breaker{
		maxConnections: int64(orDefault(c.MaxConnections, 1024)),
		maxPending:     int64(orDefault(c.MaxPending, 1024)),
		maxRequests:    int64(max(c.MaxRequests, 0)),
	}
	if old != nil {
		b.gauges = old.gauges
		return b
	}
	b.gauges = &breakerGauges{}
	return b
}

// AcquireConnection takes a connection of the host whose gauge this is.
func (b *Breaker) AcquireConnection(host *Gauge) bool { return host.Acquire(b.maxConnections) }

// AcquirePending takes a place among the requests that wait for a connection.
func (b *Breaker) AcquirePending() bool { return b.gauges.pending.Acquire(b.maxPending) }

// ReleasePending gives it back.
func (b *Breaker) ReleasePending() { b.gauges.pending.Release() }

// AcquireRequest takes a place among the requests of the cluster.
func (b *Breaker) AcquireRequest() bool { return b.gauges.requests.Acquire(b.maxRequests) }

// ReleaseRequest gives it back.
func (b *Breaker) ReleaseRequest() { b.gauges.requests.Release() }

// Pending is the gauge of waiting requests, to be read.
func (b *Breaker) Pending() *Gauge { return &b.gauges.pending }

// Requests is the gauge of all requests, to be read.
func (b *Breaker) Requests() *Gauge { return &b.gauges.requests }
