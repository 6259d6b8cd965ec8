package connect

import (
	"slices"
	"strings"
	"time"
)

const (
	maxRules      = 1_000
	maxMatches    = 256
	maxConditions = 64
	maxBackends   = 256
	maxEdits      = 64
	maxMirrors    = 16
	maxDirectBody = 1 << 20
)

func (v *validator) route(f *field, r *Route) {
	v.hosts(f, r.Hostnames)
	v.count(f.sub("rules"), len(r.Rules), maxRules)
	for i := range r.Rules {
		rule := f.at("rules", i)
		v.rule(&rule, &r.Rules[i])
	}
}

func (v *validator) routeRefs(f *field, r *Route) {
	for i, name := range r.Listeners {
		l := v.listeners[name]
		switch {
		case l == nil:
			v.missing(f.at("listeners", i), "listener", name)
		case l.Protocol != ProtocolHTTP && l.Protocol != ProtocolHTTPS:
			v.fail(f.at("listeners", i), "listener %q does not speak HTTP; allowed: one that does, or a stream route", name)
		}
	}
	for i := range r.Rules {
		rule := f.at("rules", i)
		v.backendRefs(&rule, r.Rules[i].Backends)
		filters := rule.sub("filters")
		for j := range r.Rules[i].Filters.Mirrors {
			if name := r.Rules[i].Filters.Mirrors[j].Cluster; v.clusters[name] == nil {
				mirror := filters.at("mirrors", j)
				v.missing(mirror.sub("cluster"), "cluster", name)
			}
		}
	}
}

// backendRefs lets an invalid backend name what does not exist: that is often why
// it is invalid.
func (v *validator) backendRefs(f *field, backends []Backend) {
	for i := range backends {
		if b := &backends[i]; !b.Invalid && v.clusters[b.Cluster] == nil {
			at := f.at("backends", i)
			v.missing(at.sub("cluster"), "cluster", b.Cluster)
		}
	}
}

func (v *validator) streamRoute(f *field, r *StreamRoute) {
	v.hosts(f, r.Hostnames)
	v.backends(f, r.Backends)
	for i := range r.Backends {
		b := &r.Backends[i]
		if !b.RequestHeaders.empty() || !b.ResponseHeaders.empty() {
			v.fail(f.at("backends", i), "bytes have no headers; allowed: cluster and weight")
		}
	}
	v.timeout(f.sub("idleTimeout"), r.IdleTimeout)
}

func (v *validator) streamRouteRefs(f *field, r *StreamRoute) {
	for i, name := range r.Listeners {
		l := v.listeners[name]
		switch {
		case l == nil:
			v.missing(f.at("listeners", i), "listener", name)
		case l.Protocol != ProtocolTLS && l.Protocol != ProtocolTCP:
			v.fail(f.at("listeners", i), "listener %q does not pass bytes; allowed: one of TCP or TLS, or a route", name)
		case l.Protocol == ProtocolTCP && len(r.Hostnames) > 0:
			v.fail(f.sub("hostnames"), "listener %q is plain TCP and has no SNI; allowed: no hostnames, or listeners of TLS", name)
		}
	}
	v.backendRefs(f, r.Backends)
}

func (v *validator) backends(f *field, backends []Backend) {
	v.count(f.sub("backends"), len(backends), maxBackends)
	for i := range backends {
		b := &backends[i]
		at := f.at("backends", i)
		inRange(v, at.sub("weight"), b.Weight, 1, maxWeight)
		v.edit(at.sub("requestHeaders"), &b.RequestHeaders)
		v.edit(at.sub("responseHeaders"), &b.ResponseHeaders)
	}
}

func (v *validator) rule(f *field, r *Rule) {
	v.count(f.sub("matches"), len(r.Matches), maxMatches)
	for i := range r.Matches {
		match := f.at("matches", i)
		v.match(&match, &r.Matches[i])
	}
	filters := f.sub("filters")
	v.filters(&filters, r)
	v.backends(f, r.Backends)
	v.timeout(f.sub("requestTimeout"), r.RequestTimeout)
	v.timeout(f.sub("backendTimeout"), r.BackendTimeout)
	v.timeout(f.sub("idleTimeout"), r.IdleTimeout)
	if r.RequestTimeout > 0 && r.BackendTimeout > r.RequestTimeout {
		v.fail(f.sub("backendTimeout"), "%v is more than requestTimeout; allowed: at most %v", r.BackendTimeout, r.RequestTimeout)
	}
	if r.Retry != nil {
		v.retry(f.sub("retry"), r.Retry)
	}
	if r.Session != nil {
		v.session(f.sub("session"), r.Session)
	}
	if r.RateLimit != nil {
		v.rateLimit(f.sub("rateLimit"), r.RateLimit)
	}
	if r.Fault != nil {
		v.fault(f.sub("fault"), r.Fault)
	}
}

func (v *validator) match(f *field, m *Match) {
	path := f.sub("path")
	switch m.Path.Kind {
	case PathPrefix, PathExact:
		if m.Path != (PathMatch{}) {
			v.path(path.sub("value"), m.Path.Value)
		}
	case PathRegex:
		v.expression(path.sub("value"), m.Path.Value)
	default:
		oneOf(v, path.sub("kind"), m.Path.Kind, PathRegex)
	}
	if m.Method != "" {
		v.token(f.sub("method"), m.Method)
	}
	v.count(f.sub("headers"), len(m.Headers), maxConditions)
	for i := range m.Headers {
		at := f.at("headers", i)
		v.token(at.sub("name"), m.Headers[i].Name)
		v.value(&at, &m.Headers[i])
	}
	v.count(f.sub("query"), len(m.Query), maxConditions)
	for i := range m.Query {
		at := f.at("query", i)
		if name := m.Query[i].Name; name == "" || len(name) > maxFieldName {
			v.fail(at.sub("name"), "the name has %d bytes; allowed: 1 to %d", len(name), maxFieldName)
		}
		v.value(&at, &m.Query[i])
	}
}

func (v *validator) value(f *field, m *ValueMatch) {
	at := f.sub("value")
	switch m.Kind {
	case ValueExact:
	case ValuePrefix, ValueSuffix:
		if m.Value == "" {
			v.fail(at, "it is empty; allowed: some text, or kind PRESENT")
		}
	case ValuePresent:
		if m.Value != "" {
			v.fail(at, "%q would not be compared; allowed: nothing, or another kind", m.Value)
		}
	case ValueRegex:
		v.expression(at, m.Value)
	case ValueRange:
		v.integers(at, m.Value)
	default:
		oneOf(v, f.sub("kind"), m.Kind, ValueRange)
	}
	if len(m.Value) > maxFieldValue {
		v.fail(at, "the value has %d bytes; allowed: at most %d", len(m.Value), maxFieldValue)
	}
}

func (v *validator) filters(f *field, r *Rule) {
	x := &r.Filters
	v.edit(f.sub("requestHeaders"), &x.RequestHeaders)
	v.edit(f.sub("responseHeaders"), &x.ResponseHeaders)
	if x.Redirect != nil {
		v.redirect(f.sub("redirect"), r)
	}
	if x.Rewrite != nil {
		v.rewrite(f.sub("rewrite"), r)
	}
	if x.Direct != nil {
		v.direct(f.sub("direct"), r)
	}
	v.count(f.sub("mirrors"), len(x.Mirrors), maxMirrors)
	for i := range x.Mirrors {
		if m := &x.Mirrors[i]; m.Numerator > m.Denominator {
			mirror := f.at("mirrors", i)
			v.fail(mirror.sub("numerator"), "%d of %d is more than all; allowed: at most denominator", m.Numerator, m.Denominator)
		}
	}
	if x.CORS != nil {
		v.cors(f.sub("cors"), x.CORS)
	}
}

func (e *HeaderEdit) empty() bool { return len(e.Set)+len(e.Add)+len(e.Remove) == 0 }

func (v *validator) edit(f field, e *HeaderEdit) {
	if e.empty() {
		return
	}
	v.headers(&f, "set", e.Set)
	v.headers(&f, "add", e.Add)
	v.count(f.sub("remove"), len(e.Remove), maxEdits)
	for i, name := range e.Remove {
		v.headerName(f.at("remove", i), name)
	}
}

func (v *validator) headers(f *field, list string, headers []HeaderValue) {
	v.count(f.sub(list), len(headers), maxEdits)
	for i := range headers {
		at := f.at(list, i)
		v.headerName(at.sub("name"), headers[i].Name)
		v.fieldValue(at.sub("value"), headers[i].Value)
	}
}

// headerName refuses the fields that say where a message ends or that are for one
// hop: they are ours to set.
func (v *validator) headerName(f field, name string) {
	v.token(f, name)
	for _, ours := range [...]string{
		"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
	} {
		if strings.EqualFold(name, ours) {
			v.fail(f, "%q is set by the proxy itself; allowed: any field that is not about the connection", name)
		}
	}
}

// modifier checks a replacement against the matches, which must give a prefix
// where one is replaced.
func (v *validator) modifier(f field, m *PathModifier, matches []Match) {
	switch m.Kind {
	case ReplaceNone:
		if m.Value != "" {
			v.fail(f.sub("kind"), "there is a value but nothing is replaced; allowed: FULL or PREFIX")
		}
	case ReplaceFull:
		v.path(f.sub("value"), m.Value)
	case ReplacePrefix:
		if m.Value != "" {
			v.path(f.sub("value"), m.Value)
		}
		if slices.ContainsFunc(matches, func(m Match) bool { return m.Path.Kind != PathPrefix }) {
			v.fail(f.sub("kind"), "not all matches of the rule are prefixes; allowed: FULL, or matches of kind PREFIX")
		}
	default:
		oneOf(v, f.sub("kind"), m.Kind, ReplacePrefix)
	}
}

func (v *validator) redirect(f field, r *Rule) {
	x := r.Filters.Redirect
	if x.Scheme != "" && x.Scheme != "http" && x.Scheme != "https" {
		v.fail(f.sub("scheme"), "%q is not known; allowed: http and https", x.Scheme)
	}
	if x.Hostname != "" {
		v.hostname(f.sub("hostname"), x.Hostname, false)
	}
	v.modifier(f.sub("path"), &x.Path, r.Matches)
	switch x.Status {
	case 0, 301, 302, 303, 307, 308:
	default:
		v.fail(f.sub("status"), "%d is no redirect; allowed: 301, 302, 303, 307 and 308", x.Status)
	}
	if r.Filters.Rewrite != nil || r.Filters.Direct != nil || len(r.Backends) > 0 {
		v.fail(f, "a redirect is an answer; allowed: no rewrite, direct response or backends beside it")
	}
}

func (v *validator) rewrite(f field, r *Rule) {
	x := r.Filters.Rewrite
	if x.Hostname != "" {
		v.hostname(f.sub("hostname"), x.Hostname, false)
	}
	v.modifier(f.sub("path"), &x.Path, r.Matches)
}

func (v *validator) direct(f field, r *Rule) {
	x := r.Filters.Direct
	v.status(f.sub("status"), x.Status, 200)
	v.headers(&f, "headers", x.Headers)
	if len(x.Body) > maxDirectBody {
		v.fail(f.sub("body"), "the body has %d bytes; allowed: at most %d", len(x.Body), maxDirectBody)
	}
	if x.Body != "" && (x.Status == 204 || x.Status == 304) {
		v.fail(f.sub("body"), "an answer of %d has none; allowed: no body, or another status", x.Status)
	}
	if len(r.Backends) > 0 || r.Filters.Rewrite != nil {
		v.fail(f, "a direct response is an answer; allowed: no rewrite or backends beside it")
	}
}

func (v *validator) cors(f field, c *CORS) {
	if len(c.AllowOrigins) == 0 {
		v.fail(f.sub("allowOrigins"), "at least one origin is required")
	}
	v.count(f.sub("allowOrigins"), len(c.AllowOrigins), maxConditions)
	for i, origin := range c.AllowOrigins {
		v.origin(f.at("allowOrigins", i), origin)
	}
	v.tokens(&f, "allowMethods", c.AllowMethods)
	v.tokens(&f, "allowHeaders", c.AllowHeaders)
	v.tokens(&f, "exposeHeaders", c.ExposeHeaders)
	inRange(v, f.sub("maxAge"), c.MaxAge, time.Second, 30*24*time.Hour)
}

// tokens checks names; "*" is a token as well.
func (v *validator) tokens(f *field, list string, names []string) {
	v.count(f.sub(list), len(names), maxConditions)
	for i, name := range names {
		v.token(f.at(list, i), name)
	}
}

func (v *validator) origin(f field, origin string) {
	if origin == "*" {
		return
	}
	scheme, host, found := strings.Cut(origin, "://")
	if !found || !isToken(scheme) || strings.Contains(scheme, "*") || host == "" || !visible(host) ||
		strings.ContainsAny(host, "/?#@") || strings.Count(host, "*") > 1 {
		v.fail(f, "%q is no origin; allowed: \"*\", or such as https://example.com:8443 or https://*.example.com", origin)
	}
}

func (v *validator) retry(f field, r *Retry) {
	inRange(v, f.sub("attempts"), r.Attempts, 1, 10)
	v.count(f.sub("codes"), len(r.Codes), 200)
	for i, code := range r.Codes {
		v.status(f.at("codes", i), code, 400)
	}
	inRange(v, f.sub("backoff"), r.Backoff, time.Millisecond, time.Minute)
	inRange(v, f.sub("maxBodyBytes"), r.MaxBodyBytes, 1, 1<<24)
}

func (v *validator) session(f field, s *Session) {
	if (s.Cookie == "") == (s.Header == "") {
		v.fail(f, "a session has a cookie or a header; allowed: one of them")
	}
	if s.Cookie != "" {
		v.token(f.sub("cookie"), s.Cookie)
	}
	if s.Header != "" {
		v.headerName(f.sub("header"), s.Header)
	}
	if s.Path != "" {
		v.path(f.sub("path"), s.Path)
		if strings.Contains(s.Path, ";") {
			v.fail(f.sub("path"), "%q would end the cookie's attribute; allowed: a path without ;", s.Path)
		}
	}
	inRange(v, f.sub("maxAge"), s.MaxAge, time.Second, 400*24*time.Hour)
}

func (v *validator) rateLimit(f field, r *RateLimit) {
	if r.Requests == 0 {
		v.fail(f.sub("requests"), "it is missing; allowed: 1 to 10000000")
	}
	inRange(v, f.sub("requests"), r.Requests, 1, 10_000_000)
	inRange(v, f.sub("interval"), r.Interval, time.Millisecond, 24*time.Hour)
	inRange(v, f.sub("burst"), r.Burst, 1, 10_000_000)
	inRange(v, f.sub("status"), r.Status, 400, 599)
}

func (v *validator) fault(f field, x *Fault) {
	v.percent(f.sub("delayPercent"), int(x.DelayPercent))
	v.percent(f.sub("abortPercent"), int(x.AbortPercent))
	inRange(v, f.sub("delay"), x.Delay, time.Millisecond, time.Hour)
	if x.DelayPercent > 0 && x.Delay == 0 {
		v.fail(f.sub("delay"), "requests are delayed for no time; give a delay")
	}
	inRange(v, f.sub("abortStatus"), x.AbortStatus, 200, 599)
	inRange(v, f.sub("abortGrpc"), x.AbortGRPC, 1, 16)
	if x.AbortPercent > 0 && x.AbortStatus == 0 && x.AbortGRPC == 0 {
		v.fail(f.sub("abortStatus"), "requests are aborted without a status; give abortStatus or abortGrpc")
	}
}
