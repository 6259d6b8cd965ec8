package route

import (
	"strconv"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// The fields of the Fetch standard.
const (
	corsOrigin         = "access-control-allow-origin"
	corsCredentials    = "access-control-allow-credentials"
	corsMethods        = "access-control-allow-methods"
	corsHeaders        = "access-control-allow-headers"
	corsExpose         = "access-control-expose-headers"
	corsMaxAge         = "access-control-max-age"
	corsRequestMethod  = "access-control-request-method"
	corsRequestHeaders = "access-control-request-headers"
	vary               = "vary"
)

// CORS is a compiled connect.CORS.
//
// An allowed origin is always answered by itself, never by "*": the Gateway API
// allows both, and this is right with credentials too. So each answer varies by
// Origin, also the one to a request without.
type CORS struct {
	origins     []origin
	any         bool // all origins
	credentials bool
	// methods and headers are joined; empty when anyMethod or anyHeader echoes what
	// was asked for.
	methods, headers, expose string
	anyMethod, anyHeader     bool
	maxAge                   string
}

// origin is "https://host:port", or the hosts that end with host when wild.
type origin struct {
	scheme string
	host   string
	port   uint16
	wild   bool
}

// Preflight answers a preflight request: OPTIONS with Origin and
// Access-Control-Request-Method. It fills out and returns true; false: the request
// is none, and goes on to the backend. An origin that is not allowed gets the same
// answer without the fields, so that the browser refuses.
func (c *CORS) Preflight(h, out *message.Head) bool {
	if h.Method != "OPTIONS" {
		return false
	}
	from, hasOrigin := h.Get(message.IDOrigin, "origin")
	method, hasMethod := h.Get(message.IDOther, corsRequestMethod)
	if !hasOrigin || !hasMethod {
		return false
	}
	// 200, because there are clients and tests that know no 204.
	out.Status, out.ContentLength = 200, 0
	out.Add(message.IDOther, vary, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	if !c.allows(from) {
		return true
	}
	out.Add(message.IDOther, corsOrigin, from)
	if c.credentials {
		out.Add(message.IDOther, corsCredentials, "true")
	}
	methods := c.methods
	if c.anyMethod {
		methods = method
	}
	if methods != "" {
		out.Add(message.IDOther, corsMethods, methods)
	}
	headers := c.headers
	if c.anyHeader {
		headers, _ = h.Get(message.IDOther, corsRequestHeaders)
	}
	if headers != "" {
		out.Add(message.IDOther, corsHeaders, headers)
	}
	if c.expose != "" {
		out.Add(message.IDOther, corsExpose, c.expose)
	}
	out.Add(message.IDOther, corsMaxAge, c.maxAge)
	return true
}

// Mark sets the fields of the answer to an actual request; from is its Origin,
// empty when there was none. What the backend said about an origin is replaced:
// the filter alone decides. It takes memory only where Fields has to grow.
func (c *CORS) Mark(from string, out *message.Head) {
	varyByOrigin(out)
	if from == "" {
		return
	}
	if !c.allows(from) {
		out.Remove(message.IDOther, corsOrigin)
		out.Remove(message.IDOther, corsCredentials)
		return
	}
	setField(out, message.Field{Name: corsOrigin, Value: from})
	if c.credentials {
		setField(out, message.Field{Name: corsCredentials, Value: "true"})
	} else {
		out.Remove(message.IDOther, corsCredentials)
	}
	if c.expose != "" {
		setField(out, message.Field{Name: corsExpose, Value: c.expose})
	}
}

// varyByOrigin tells caches, once.
func varyByOrigin(out *message.Head) {
	for i := range out.Fields {
		f := &out.Fields[i]
		if f.ID != message.IDOther || !message.EqualFold(f.Name, vary) {
			continue
		}
		for rest := f.Value; rest != ""; {
			var name string
			name, rest, _ = strings.Cut(rest, ",")
			name = strings.Trim(name, " \t")
			if name == "*" || message.EqualFold(name, "origin") {
				return
			}
		}
	}
	out.Add(message.IDOther, vary, "Origin")
}

// allows compares an Origin field, which browsers write in lower case without a
// default port.
func (c *CORS) allows(from string) bool {
	if c.any {
		return from != ""
	}
	o, ok := parseOrigin(from)
	if !ok {
		return false
	}
	for i := range c.origins {
		if c.origins[i].covers(o) {
			return true
		}
	}
	return false
}

func (o *origin) covers(other origin) bool {
	if o.port != other.port || !message.EqualFold(o.scheme, other.scheme) {
		return false
	}
	if !o.wild {
		return message.EqualFold(o.host, other.host)
	}
	left := len(other.host) - len(o.host)
	return left > 0 && message.EqualFold(o.host, other.host[left:])
}

// parseOrigin reads scheme://host[:port], http or https.
func parseOrigin(s string) (origin, bool) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return origin{}, false
	}
	o := origin{scheme: scheme}
	switch {
	case message.EqualFold(scheme, "https"):
		o.port = 443
	case message.EqualFold(scheme, "http"):
		o.port = 80
	default:
		return origin{}, false
	}
	host, port := splitPort(rest)
	o.host = host
	if len(host) == len(rest) {
		return o, host != ""
	}
	n := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' || n > 65535 {
			return origin{}, false
		}
		n = n*10 + int(port[i]-'0')
	}
	o.port = uint16(n)
	return o, host != "" && n > 0 && n <= 65535
}

// cors compiles the filter.
func (c *compiler) cors(field string, config *connect.CORS) *CORS {
	out := &CORS{credentials: config.AllowCredentials}
	for i, s := range config.AllowOrigins {
		if s == "*" {
			out.any = true
			continue
		}
		o, ok := parseOrigin(s)
		if rest, wild := strings.CutPrefix(o.host, "*"); wild {
			// "https://*.example.com" or "https://*".
			ok = ok && (rest == "" || len(rest) > 1 && rest[0] == '.')
			o.host, o.wild = rest, true
		}
		if !ok || strings.ContainsAny(o.host, "*/@ ") {
			c.problems.add(field+"."+item("allowOrigins", i),
				`%q is no origin; want "*", "https://example.com:8443" or "https://*.example.com"`, s)
		}
		out.origins = append(out.origins, o)
	}
	out.methods, out.anyMethod = c.tokens(field+".allowMethods", config.AllowMethods)
	out.headers, out.anyHeader = c.tokens(field+".allowHeaders", config.AllowHeaders)
	expose, all := c.tokens(field+".exposeHeaders", config.ExposeHeaders)
	out.expose = expose
	if all && !config.AllowCredentials {
		// With credentials a browser takes the star for a name.
		out.expose = "*"
	}
	age := config.MaxAge
	if age <= 0 {
		age = 5 * time.Second
	}
	out.maxAge = strconv.FormatInt(int64((age+time.Second-1)/time.Second), 10)
	return out
}

// tokens joins names; star: one of them stands for all.
func (c *compiler) tokens(field string, names []string) (joined string, star bool) {
	for i, name := range names {
		if !isToken(name) {
			c.problems.add(item(field, i), "%q is no token", name)
		}
		if name == "*" {
			return "", true
		}
	}
	return strings.Join(names, ", "), false
}
