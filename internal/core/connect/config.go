package connect

import (
	"net/netip"
	"time"
)

// Config is everything that a proxy needs to know. It is immutable once it was
// handed over; a change is a new Config that shares what did not change, so that
// what was compiled from an unchanged resource (same pointer) can be kept.
type Config struct {
	// Version names this state for acknowledgements and for people.
	Version string
	Node    Node
	// The resources, each unique by name within its kind.
	Listeners    []*Listener
	Routes       []*Route
	StreamRoutes []*StreamRoute
	Clusters     []*Cluster
	Certificates []*Certificate
	TrustBundles []*TrustBundle
}

// Node says who and where this proxy is.
type Node struct {
	// Name is unique among proxies, Service the workload that it serves.
	Name    string
	Service string
	// Zone is the availability zone, e.g. "us-east-1a"; empty: not known.
	Zone string
	// Tracing says where spans go; nil: nowhere.
	Tracing *Tracing
	// AccessLog is what is logged for all listeners.
	AccessLog AccessLog
}

// Tracing exports spans over OTLP.
type Tracing struct {
	// Endpoint is the URL of an OTLP/HTTP receiver, e.g. http://127.0.0.1:4318/v1/traces.
	Endpoint string
	// Sample is how many of one million new traces are recorded; a caller's
	// decision is followed whatever it says here.
	Sample uint32
}

// AccessLog says which requests are logged, and how.
type AccessLog struct {
	Mode   LogMode
	Format LogFormat
	// Query keeps query strings in the log; they often hold secrets.
	Query bool
}

// LogMode is which requests are logged.
type LogMode uint8

// The zero value logs errors: answers of 500 and above, and requests that the
// proxy itself ended.
const (
	LogErrors LogMode = iota
	LogOff
	LogAll
)

// LogFormat is the form of a line.
type LogFormat uint8

// JSON is the default.
const (
	LogJSON LogFormat = iota
	LogText
)

// Protocol is what a listener speaks with its clients.
type Protocol uint8

// The protocols of the Gateway API. HTTP and HTTPS accept HTTP/1.1 and HTTP/2.
const (
	ProtocolHTTP Protocol = iota
	ProtocolHTTPS
	// ProtocolTLS passes TLS through by SNI, or terminates it when the listener
	// has certificates; what is inside is bytes.
	ProtocolTLS
	ProtocolTCP
)

// Listener accepts connections. Several of them may share an address when their
// protocols allow to tell them apart, by SNI or by host.
type Listener struct {
	Name string
	// Address is "127.0.0.1:8080", "[::1]:0" or "unix:/run/app.sock".
	Address  string
	Protocol Protocol
	// Hostname is exact, "*.example.com", or empty for all. A request is served
	// by the routes of the most exact listener only.
	Hostname string
	// TLS is needed for HTTPS, optional for TLS, forbidden otherwise.
	TLS *ServerTLS
	// ProxyProtocol requires a PROXY protocol header (v1 or v2) on every
	// connection.
	ProxyProtocol bool
	HTTP          HTTPOptions
	// MaxConnections refuses what is above; 0: no limit.
	MaxConnections int
}

// HTTPOptions are the limits of a listener. Zero means the default in brackets.
type HTTPOptions struct {
	// AllowConnect lets CONNECT through to the routes; it is refused otherwise.
	AllowConnect bool
	// MaxHeaderBytes bounds request line and fields together (32 KiB), at most
	// 1 MiB; MaxHeaders the number of fields (100); MaxURIBytes the target (8 KiB).
	MaxHeaderBytes int
	MaxHeaders     int
	MaxURIBytes    int
	// MaxBodyBytes bounds a request's body; 0: no limit.
	MaxBodyBytes int64
	// HeaderTimeout bounds the time from the first byte of a head to its last
	// (10 s); IdleTimeout the time without a request (5 min), and the time
	// without a byte in either direction during one.
	HeaderTimeout time.Duration
	IdleTimeout   time.Duration
	// MaxStreams is SETTINGS_MAX_CONCURRENT_STREAMS (100).
	MaxStreams uint32
	// MaxRequests ends a connection after so many requests; 0: no limit.
	MaxRequests int
	// ForwardedHops is how many proxies in front are trusted: that many entries
	// of X-Forwarded-For are kept and the client's address is taken from them.
	// 0: the field is replaced.
	ForwardedHops int
	// ErrorDetail adds the reason to our own answers; without it they carry the
	// status only.
	ErrorDetail bool
}

// ServerTLS terminates TLS.
type ServerTLS struct {
	// Certificates by name, chosen by SNI; the first is the default.
	Certificates []string
	// ClientTrust is the bundle that client certificates are checked against.
	ClientTrust string
	ClientAuth  ClientAuth
	// MinVersion is 1.2 (the default) or 1.3, as tls.VersionTLS12.
	MinVersion uint16
	// ALPN replaces h2, http/1.1.
	ALPN []string
	// AllowedIDs are SPIFFE IDs (exact, or a prefix that ends with /*) of which a
	// client must have one; empty: any that the bundle vouches for.
	AllowedIDs []string
}

// ClientAuth says what is asked of a client's certificate.
type ClientAuth uint8

// A client without an acceptable certificate is refused under ClientAuthRequire
// only; ClientAuthOptional verifies what is given.
const (
	ClientAuthNone ClientAuth = iota
	ClientAuthOptional
	ClientAuthRequire
	// ClientAuthInsecure asks for a certificate and lets any through
	// (AllowInsecureFallback of the Gateway API).
	ClientAuthInsecure
)

// Certificate is a chain and its key, PEM, or files that are watched.
type Certificate struct {
	Name     string
	ChainPEM []byte
	KeyPEM   []byte
	// ChainFile and KeyFile say where the above is read from, again when it
	// changes; what is given above counts.
	ChainFile string
	KeyFile   string
}

// TrustBundle is a set of authorities.
type TrustBundle struct {
	Name string
	PEM  []byte
	File string
}

// Endpoint is one backend address.
type Endpoint struct {
	// Address is host:port with an IP address, or "unix:/path".
	Address string
	// Addr is Address parsed; invalid for Unix sockets.
	Addr netip.AddrPort
	// Zone is empty when not known.
	Zone string
	// Weight is relative to its siblings (1 when 0).
	Weight uint32
	// Draining endpoints finish what they have and get nothing new, except
	// requests of their sessions; they count as the last resort when no other is
	// left (Kubernetes: serving and terminating).
	Draining bool
}
