package route

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// Table holds what a Config says about listeners and routes in the form that is
// matched. It is immutable, but for the counters of weights and rate limits,
// which any number of threads may use at once.
type Table struct {
	addresses map[string]*Address
	listeners []*Listener
	routes    []*Route
	streams   []*Stream
}

// Address is what listens on one address.
type Address struct {
	// Name is as the listeners have it, e.g. "127.0.0.1:8080".
	Name string
	// Listeners that share it, in the order of the configuration.
	Listeners []*Listener

	http index[Listener] // HTTP and HTTPS, by host
	tls  index[Listener] // HTTPS and TLS, by SNI
	tcp  *Listener
	// httpsOnly: http and tls are the same.
	httpsOnly bool
}

// Listener is a connect.Listener with its routes.
type Listener struct {
	Config *connect.Listener
	// Hostname is that of the listener in lower case; empty: all.
	Hostname string
	// Port of the address; 0 for Unix sockets.
	Port uint16

	hosts   index[paths]
	streams index[Stream]
}

// Route is a compiled connect.Route.
type Route struct {
	Config *connect.Route
	Rules  []Rule

	hosts   []string
	matches []match
}

// Rule is a compiled connect.Rule.
type Rule struct {
	Route  *Route
	Config *connect.Rule
	// Index of the rule in its route.
	Index int
	// Request and Response are the header changes of the rule; nil: none.
	Request, Response *Edit
	// CORS is nil without such a filter.
	CORS *CORS
	// Limit is nil without a rate limit.
	Limit *Bucket
	// Backends in the order of the configuration.
	Backends []Backend

	weights *Weights
}

// Backend is a compiled connect.Backend.
type Backend struct {
	Config *connect.Backend
	// Request and Response are the header changes of this backend; nil: none.
	Request, Response *Edit
}

// Stream is a compiled connect.StreamRoute.
type Stream struct {
	Config *connect.StreamRoute

	hosts   []string
	weights *Weights
}

// Address is what listens on an address, nil when nothing does.
func (t *Table) Address(addr string) *Address { return t.addresses[addr] }

// Addresses are all addresses, sorted.
func (t *Table) Addresses() []*Address {
	return slices.SortedFunc(maps.Values(t.addresses), func(a, b *Address) int {
		return strings.Compare(a.Name, b.Name)
	})
}

// Listeners in the order of the configuration.
func (t *Table) Listeners() []*Listener { return t.listeners }

// Routes in the order of the configuration.
func (t *Table) Routes() []*Route { return t.routes }

// Pick is the backend of the next request by weight; nil when there is none with a
// weight, which is answered with 500. So is a backend that is Invalid.
func (r *Rule) Pick() *Backend {
	i := r.weights.Next()
	if i < 0 {
		return nil
	}
	return &r.Backends[i]
}

// Pick is the backend of the next connection by weight; nil: there is none.
func (s *Stream) Pick() *connect.Backend {
	i := s.weights.Next()
	if i < 0 {
		return nil
	}
	return &s.Config.Backends[i]
}

func (l *Listener) http() bool {
	return l.Config.Protocol == connect.ProtocolHTTP || l.Config.Protocol == connect.ProtocolHTTPS
}

// portOf is 0 for what has no port.
func portOf(address string) uint16 {
	if strings.HasPrefix(address, "unix:") {
		return 0
	}
	port, err := strconv.ParseUint(address[strings.LastIndexByte(address, ':')+1:], 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
}

// newAddress groups listeners, which were checked.
func newAddress(name string, listeners []*Listener) *Address {
	a := &Address{Name: name, Listeners: listeners, httpsOnly: true}
	for _, l := range listeners {
		a.httpsOnly = a.httpsOnly && l.Config.Protocol == connect.ProtocolHTTPS
		switch l.Config.Protocol {
		case connect.ProtocolHTTP:
			a.http.put(l.Hostname, l)
		case connect.ProtocolHTTPS:
			a.http.put(l.Hostname, l)
			a.tls.put(l.Hostname, l)
		case connect.ProtocolTLS:
			a.tls.put(l.Hostname, l)
		case connect.ProtocolTCP:
			a.tcp = l
		}
	}
	return a
}
