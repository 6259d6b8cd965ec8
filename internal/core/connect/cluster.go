package connect

import "time"

// Cluster is a set of endpoints that can answer for each other.
type Cluster struct {
	Name string
	// Service is the label of metrics (Name when empty).
	Service   string
	Endpoints []Endpoint
	Protocol  UpstreamProtocol
	// TLS originates TLS; nil: plain text.
	TLS           *ClientTLS
	Balance       Balance
	HealthCheck   *HealthCheck
	Outlier       *Outlier
	Breaker       Breaker
	ProxyProtocol uint8 // 0 none, 1 or 2: sent to the endpoints
	// ConnectTimeout is 1 s when 0, IdleTimeout of pooled connections 60 s.
	ConnectTimeout time.Duration
	IdleTimeout    time.Duration
	// MaxRequests ends an upstream connection after so many; 0: no limit.
	MaxRequests int
}

// UpstreamProtocol is how endpoints are spoken to.
type UpstreamProtocol uint8

// UpstreamAuto is HTTP/1.1 without TLS and what ALPN gives with it. gRPC needs
// UpstreamHTTP2.
const (
	UpstreamAuto UpstreamProtocol = iota
	UpstreamHTTP1
	UpstreamHTTP2
)

// ClientTLS says how endpoints are authenticated, and with what.
type ClientTLS struct {
	// ServerName is the SNI and the name that is verified.
	ServerName string
	// Trust is a bundle by name; empty: the system's roots.
	Trust string
	// SubjectAltNames replace ServerName for verification: DNS names or URIs.
	SubjectAltNames []string
	// Certificate is presented when asked for.
	Certificate string
	// Insecure skips verification.
	Insecure bool
}

// Policy is a way to choose an endpoint.
type Policy uint8

// PolicyEWMA is the default: power of two choices on the peak exponentially
// weighted moving average of latency times outstanding requests.
const (
	PolicyEWMA Policy = iota
	PolicyRoundRobin
	PolicyLeastRequest
	PolicyRingHash
	PolicyRandom
)

// Balance chooses endpoints.
type Balance struct {
	Policy Policy
	// HashOn says what PolicyRingHash hashes.
	HashOn HashKey
	// ZoneAware prefers endpoints of the proxy's zone and spills over to the
	// others when the own zone has less than its share of healthy capacity.
	ZoneAware bool
	// SpillAt is the share of healthy endpoints in the own zone, in percent,
	// below which traffic spills over (70).
	SpillAt uint32
}

// HashKey is what consistent hashing and sessions go by.
type HashKey struct {
	// Header or Cookie by name; both empty: the client's address.
	Header string
	Cookie string
}

// HealthCheck asks endpoints actively.
type HealthCheck struct {
	Protocol CheckProtocol
	// Path, Host and Expect (status, default 200-299) are for HTTP; Service for gRPC.
	Path        string
	Host        string
	Service     string
	ExpectFirst int
	ExpectLast  int
	// Interval 10 s, Timeout 2 s, Healthy 2 and Unhealthy 3 in a row when 0.
	Interval  time.Duration
	Timeout   time.Duration
	Healthy   int
	Unhealthy int
	// Port replaces the endpoint's; 0: the same.
	Port uint16
}

// CheckProtocol is how a health check asks.
type CheckProtocol uint8

// CheckTCP only connects.
const (
	CheckHTTP CheckProtocol = iota
	CheckGRPC
	CheckTCP
)

// Outlier ejects an endpoint that fails. Zero fields mean the default in brackets.
type Outlier struct {
	// Failures in a row that eject (5): connection errors, resets, time-outs and
	// answers of 502, 503, 504; with Gateway5xx false also 500 and others.
	Failures int
	// AllServerErrors counts every answer of 500 and above.
	AllServerErrors bool
	// BaseTime doubles with each ejection in a row, up to MaxTime, with jitter
	// (1 s, 60 s). After it one probe request decides.
	BaseTime time.Duration
	MaxTime  time.Duration
	// MaxPercent of endpoints that may be ejected at once (50).
	MaxPercent int
}

// Breaker bounds what a cluster is asked at once. 0: the default in brackets.
type Breaker struct {
	// MaxConnections per endpoint (1,024), MaxPending requests that wait for one
	// per cluster (1,024), MaxRequests at once per cluster (no limit).
	MaxConnections int
	MaxPending     int
	MaxRequests    int
	// Adaptive finds the limit per endpoint from latency (gradient).
	Adaptive bool
	// MaxRetries is the share of requests that may be retries, in percent (20).
	RetryBudget int
}
