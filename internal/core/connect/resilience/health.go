package resilience

import (
	"sync/atomic"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// HealthState is the verdict of active health checks.
type HealthState uint32

// A host is HealthUnknown until its first check ended.
const (
	HealthUnknown HealthState = iota
	HealthHealthy
	HealthUnhealthy
)

// String is the name that metrics and logs use.
func (s HealthState) String() string {
	switch s {
	case HealthHealthy:
		return "healthy"
	case HealthUnhealthy:
		return "unhealthy"
	default:
		return "unknown"
	}
}

// HealthPolicy is how many results in a row change a verdict.
type HealthPolicy struct {
	Healthy   uint32
	Unhealthy uint32
}

// NewHealthPolicy fills in the defaults: 2 healthy, 3 unhealthy.
func NewHealthPolicy(c *connect.HealthCheck) HealthPolicy {
	return HealthPolicy{
		Healthy:   uint32(orDefault(c.Healthy, 2)),
		Unhealthy: uint32(orDefault(c.Unhealthy, 3)),
	}
}

// Health is what active checks found about one host. The zero value is unknown.
type Health struct {
	word atomic.Uint64 // results against the state in a row << 2 | state
}

// State is the current verdict.
func (h *Health) State() HealthState { return HealthState(h.word.Load() & 3) }

// Usable says whether requests may go to the host. Where checks are made, a host
// is not used before its first success: a new one must not get requests before it
// works. When all are unknown, as after the start, the balancer's panic mode uses
// them all the same.
func (h *Health) Usable(checked bool) bool {
	return !checked || h.State() == HealthHealthy
}

// Report notes the result of a check and says whether the verdict changed. The
// first result decides alone; after it, as many in a row as the policy asks for.
func (h *Health) Report(ok bool, p HealthPolicy) (HealthState, bool) {
	for {
		old := h.word.Load()
		next := nextHealth(old, ok, p)
		if next == old || h.word.CompareAndSwap(old, next) {
			return HealthState(next & 3), next&3 != old&3
		}
	}
}

func nextHealth(word uint64, ok bool, p HealthPolicy) uint64 {
	said, limit := HealthUnhealthy, p.Unhealthy
	if ok {
		said, limit = HealthHealthy, p.Healthy
	}
	state, run := HealthState(word&3), word>>2
	switch {
	case state == said:
		return uint64(state) // what spoke against it is forgotten
	case state == HealthUnknown || run+1 >= uint64(limit):
		return uint64(said)
	default:
		return (run+1)<<2 | uint64(state)
	}
}
