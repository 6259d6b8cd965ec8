package admin

import (
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// Source is what the engine tells. Its methods are called by any goroutine, at any
// time, and should not hold up event loops.
type Source interface {
	// State is where the proxy is in its life.
	State() State
	// Config is the configuration in effect; nil: none yet.
	Config() *connect.Config
	// Clusters and Listeners are what runs, in the order in which it is shown.
	Clusters() []Cluster
	Listeners() []Listener
	// Drain begins to drain and returns at once. Again: nothing happens.
	Drain()
}

// State is where the proxy is in its life.
type State uint8

// A proxy serves in StateReady and in StateDraining, but wants no new
// connections in the latter.
const (
	StateStarting State = iota
	StateReady
	StateDraining
)

// String is the name of the state, as /ready answers it.
func (s State) String() string {
	switch s {
	case StateReady:
		return "ready"
	case StateDraining:
		return "draining"
	default:
		return "starting"
	}
}

// Health is what active checks say of an endpoint.
type Health uint8

// HealthUnknown: it is not checked, or not yet.
const (
	HealthUnknown Health = iota
	HealthHealthy
	HealthUnhealthy
)

// String is "unknown", "healthy" or "unhealthy".
func (h Health) String() string {
	switch h {
	case HealthHealthy:
		return "healthy"
	case HealthUnhealthy:
		return "unhealthy"
	default:
		return "unknown"
	}
}

// MarshalText writes the name into JSON.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// Cluster is a cluster with its endpoints.
type Cluster struct {
	Name    string `json:"name"`
	Service string `json:"service,omitempty"`
	Policy  string `json:"policy"`
	// Connections open and Pending requests that wait for one.
	Connections int64  `json:"connections"`
	Pending     int64  `json:"pending"`
	Hosts       []Host `json:"hosts"`
}

// Host is one endpoint.
type Host struct {
	Address string `json:"address"`
	Zone    string `json:"zone,omitempty"`
	Weight  uint32 `json:"weight"`
	Health  Health `json:"health"`
	// Draining endpoints get nothing new; Ejected ones are out for their failures,
	// for EjectedFor more.
	Draining   bool          `json:"draining,omitempty"`
	Ejected    bool          `json:"ejected,omitempty"`
	EjectedFor time.Duration `json:"-"`
	Ejections  uint64        `json:"ejections,omitempty"`
	// Outstanding requests, and the moving average of latency that balancing uses.
	Outstanding int64         `json:"outstanding"`
	EWMA        time.Duration `json:"-"`
	Requests    uint64        `json:"requests"`
	Failures    uint64        `json:"failures"`
	// LastError of a check or a request; empty: none.
	LastError string `json:"last_error,omitempty"`
}

// Listener is one listener that is open.
type Listener struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	// Address is that of the configuration, Bound the real one, with its port.
	Address string `json:"address"`
	Bound   string `json:"bound"`
	// Connections that are open.
	Connections int64 `json:"connections"`
}
