package connect

import "time"

// Route is an HTTPRoute or GRPCRoute: rules for the requests of some hosts. A
// GRPCRoute's methods are paths: /service/method exactly, or /service/ as prefix.
type Route struct {
	// Name is namespace/name.
	Name string
	// Listeners by name that the route is attached to; empty: all of HTTP and HTTPS.
	Listeners []string
	// Hostnames, exact or with a leading "*."; empty: all that the listener takes.
	Hostnames []string
	// Created orders routes of equal precedence, oldest first, then by Name.
	Created time.Time
	Rules   []Rule
}

// StreamRoute is a TCPRoute or TLSRoute: bytes to clusters, by SNI if any.
type StreamRoute struct {
	Name      string
	Listeners []string
	// Hostnames are matched against SNI on listeners of ProtocolTLS.
	Hostnames []string
	Created   time.Time
	Backends  []Backend
	// IdleTimeout without a byte in either direction (1 h).
	IdleTimeout time.Duration
}

// Rule says what is done with requests that fulfil one of its matches.
type Rule struct {
	Name string
	// Matches are alternatives; none: all requests.
	Matches []Match
	Filters Filters
	// Backends share by weight. Without one, and without a redirect or direct
	// response, the answer is 500; where all weights are 0 as well.
	Backends []Backend
	// RequestTimeout bounds the whole exchange, BackendTimeout one attempt; 0: none.
	// IdleTimeout replaces the listener's; 0: the listener's.
	RequestTimeout time.Duration
	BackendTimeout time.Duration
	IdleTimeout    time.Duration
	Retry          *Retry
	Session        *Session
	RateLimit      *RateLimit
	Fault          *Fault
}

// Match is fulfilled when all its parts are.
type Match struct {
	Path    PathMatch
	Method  string // empty: any
	Headers []ValueMatch
	Query   []ValueMatch
}

// PathKind is how a path is compared.
type PathKind uint8

// PathPrefix compares whole segments: /a matches /a and /a/b, not /ab. The zero
// PathMatch is the prefix "/", which matches all.
const (
	PathPrefix PathKind = iota
	PathExact
	PathRegex // RE2, the whole path
)

// PathMatch compares the path without its query.
type PathMatch struct {
	Kind  PathKind
	Value string
}

// ValueKind is how a value is compared.
type ValueKind uint8

// ValueRegex is RE2 and matches the whole value; ValuePresent any value.
const (
	ValueExact ValueKind = iota
	ValueRegex
	ValuePresent
	ValuePrefix
	ValueSuffix
	ValueRange // "10-20": an integer, first included, last not
)

// ValueMatch compares a header (name without regard to case; several fields of a
// name joined by a comma) or a query parameter (its first value).
type ValueMatch struct {
	Name   string
	Kind   ValueKind
	Value  string
	Invert bool
}

// Filters change a request on its way, or answer it.
type Filters struct {
	RequestHeaders  HeaderEdit
	ResponseHeaders HeaderEdit
	Redirect        *Redirect
	Rewrite         *Rewrite
	Direct          *DirectResponse
	Mirrors         []Mirror
	CORS            *CORS
}

// HeaderEdit changes fields: first Remove, then Set, then Add.
type HeaderEdit struct {
	Set    []HeaderValue
	Add    []HeaderValue
	Remove []string
}

// HeaderValue is one field.
type HeaderValue struct{ Name, Value string }

// PathModifier replaces a path: all of it, or the prefix that matched.
type PathModifier struct {
	// Kind is ReplaceNone, ReplaceFull or ReplacePrefix.
	Kind  ReplaceKind
	Value string
}

// ReplaceKind is what of a path is replaced.
type ReplaceKind uint8

// ReplaceNone keeps the path.
const (
	ReplaceNone ReplaceKind = iota
	ReplaceFull
	ReplacePrefix
)

// Redirect answers with Location. Empty parts are those of the request.
type Redirect struct {
	Scheme   string
	Hostname string
	// Port 0: that of the scheme if it is given, else the listener's.
	Port   uint16
	Path   PathModifier
	Status int // 302 when 0
}

// Rewrite changes what the backend sees.
type Rewrite struct {
	Hostname string
	Path     PathModifier
}

// DirectResponse answers without a backend.
type DirectResponse struct {
	Status  int
	Headers []HeaderValue
	Body    string
}

// Mirror sends a copy to another cluster and drops the answer.
type Mirror struct {
	Cluster string
	// Numerator of Denominator requests; Denominator 0: all.
	Numerator   uint32
	Denominator uint32
}

// CORS answers preflight requests and marks answers, as the Gateway API has it.
type CORS struct {
	// AllowOrigins are exact, "*", or with one wildcard such as https://*.example.com.
	AllowOrigins     []string
	AllowCredentials bool
	AllowMethods     []string
	AllowHeaders     []string
	ExposeHeaders    []string
	MaxAge           time.Duration // 5 s when 0
}

// Backend is a cluster with a share of the requests.
type Backend struct {
	Cluster string
	// Weight is relative to its siblings; 0: no request. Invalid backends keep
	// their weight and get answers of 500.
	Weight  uint32
	Invalid bool
	// Filters of this backend only: header changes.
	RequestHeaders  HeaderEdit
	ResponseHeaders HeaderEdit
}

// Retry asks again after a failure. What was never sent and what the backend
// refused unseen is asked again without it, within the budget.
type Retry struct {
	// Attempts beyond the first (2 when 0).
	Attempts int
	// Codes are answers that are asked again, e.g. 500, 502, 503, 504.
	Codes []int
	// Backoff before the first retry, doubled for each further one, with jitter
	// (25 ms when 0).
	Backoff time.Duration
	// NonIdempotent asks again even for POST, PATCH and the like after the
	// request may have been seen.
	NonIdempotent bool
	// MaxBodyBytes that are kept to ask again (64 KiB when 0).
	MaxBodyBytes int
}

// Session keeps a client with its endpoint.
type Session struct {
	// Cookie is set by us with this name, or Header is read and answered.
	Cookie string
	Header string
	// Path of the cookie ("/" when empty). MaxAge 0: a session cookie.
	Path   string
	MaxAge time.Duration
}

// RateLimit is a token bucket of this proxy alone.
type RateLimit struct {
	// Requests per Interval (1 s when 0), Burst at once (Requests when 0).
	Requests int
	Interval time.Duration
	Burst    int
	// Status of refusals (429 when 0).
	Status int
}

// Fault is injected to test callers.
type Fault struct {
	// DelayPercent of requests wait for Delay, AbortPercent get AbortStatus.
	Delay        time.Duration
	DelayPercent uint32
	AbortStatus  int
	AbortPercent uint32
	// AbortGRPC is the gRPC status for gRPC requests; 0: from AbortStatus.
	AbortGRPC int
}
