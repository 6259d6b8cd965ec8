package route

import (
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// Rewrite changes path and host of a request to what the backend should see. The
// prefix is the Result's. It takes memory only where the path changes. The query
// is kept.
func (r *Rule) Rewrite(h *message.Head, prefix int) {
	w := r.Config.Filters.Rewrite
	if w == nil {
		return
	}
	if w.Hostname != "" {
		h.Authority = w.Hostname
	}
	if w.Path.Kind != connect.ReplaceNone && strings.HasPrefix(h.Path, "/") {
		h.Path = replacePath(h.Path, prefix, w.Path)
	}
}

// Redirect is the status and the Location of the answer; the rule must have such a
// filter. The head is the request's, listener and prefix the Result's.
//
// Port and scheme follow the Gateway API: a port that is given counts; else that of
// the scheme if one is given; else that of the listener. The port that is the
// default of the scheme is left out. Without any host, the Location is a path.
func (r *Rule) Redirect(h *message.Head, l *Listener, prefix int) (status int, location string) {
	d := r.Config.Filters.Redirect
	status = d.Status
	if status == 0 {
		status = 302
	}
	path := h.Path
	if path == "" || path == "*" {
		path = "/"
	}
	if d.Path.Kind != connect.ReplaceNone {
		path = replacePath(path, prefix, d.Path)
	}
	host := d.Hostname
	if host == "" {
		host, _ = splitPort(h.Authority)
	}
	if host == "" {
		// "//evil" would be another host.
		return status, "/" + strings.TrimLeft(path, "/")
	}
	scheme, port := place(d, l)
	if port == 0 || port == defaultPort(scheme) {
		return status, scheme + "://" + host + path
	}
	return status, scheme + "://" + host + ":" + strconv.Itoa(int(port)) + path
}

// place is the scheme and port of a redirect; port 0: not known.
func place(d *connect.Redirect, l *Listener) (scheme string, port uint16) {
	scheme, port = d.Scheme, d.Port
	if scheme == "" {
		scheme = "http"
		if l.Config.Protocol == connect.ProtocolHTTPS {
			scheme = "https"
		}
	}
	switch {
	case port != 0:
	case d.Scheme != "":
		port = defaultPort(scheme)
	default:
		port = l.Port
	}
	return scheme, port
}

// replacePath changes a target, which begins with a slash. A replacement with a
// query replaces the query too.
func replacePath(target string, prefix int, m connect.PathModifier) string {
	path, query := target, ""
	if i := strings.IndexByte(target, '?'); i >= 0 {
		path, query = target[:i], target[i:]
	}
	value, own, hasOwn := strings.Cut(m.Value, "?")
	if hasOwn {
		query = "?" + own
	}
	if m.Kind == connect.ReplacePrefix {
		value = strings.TrimSuffix(value, "/")
		path = path[min(prefix, len(path)):]
	} else {
		path = ""
	}
	if value == "" && path == "" {
		value = "/"
	}
	return value + path + query
}

// splitPort cuts ":port" from an authority; the brackets of IPv6 stay.
func splitPort(authority string) (host, port string) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || i < strings.IndexByte(authority, ']') {
		return authority, ""
	}
	return authority[:i], authority[i+1:]
}

func defaultPort(scheme string) uint16 {
	switch scheme {
	case "http":
		return 80
	case "https":
		return 443
	default:
		return 0
	}
}

// checkFilters holds that the filters of a rule make sense together.
func (c *compiler) checkFilters(r *Rule, field string) {
	f := &r.Config.Filters
	if f.Redirect != nil && f.Rewrite != nil {
		c.problems.add(field, "a rule cannot both redirect and rewrite; take one out")
	}
	if f.Redirect != nil {
		c.checkRedirect(r, field+".redirect", f.Redirect)
	}
	if w := f.Rewrite; w != nil {
		c.checkPath(r, field+".rewrite.path", w.Path)
		c.checkHost(field+".rewrite.hostname", w.Hostname)
		if strings.Contains(w.Path.Value, "?") {
			c.problems.add(field+".rewrite.path", "%q has a query; want a path only", w.Path.Value)
		}
	}
	if f.Direct != nil {
		c.checkDirect(field+".direct", f.Direct)
	}
	for i, m := range f.Mirrors {
		if m.Numerator > m.Denominator && m.Denominator > 0 {
			c.problems.add(field+"."+item("mirrors", i), "%d of %d is more than all", m.Numerator, m.Denominator)
		}
	}
}

func (c *compiler) checkRedirect(r *Rule, field string, d *connect.Redirect) {
	c.checkPath(r, field+".path", d.Path)
	c.checkHost(field+".hostname", d.Hostname)
	if d.Scheme != "" && defaultPort(d.Scheme) == 0 {
		c.problems.add(field+".scheme", "%q is unknown; want http or https", d.Scheme)
	}
	if !isRedirect(d.Status) {
		c.problems.add(field+".status", "%d is no redirect; want 301, 302, 303, 307 or 308", d.Status)
	}
}

func (c *compiler) checkDirect(field string, d *connect.DirectResponse) {
	if d.Status < 200 || d.Status > 599 {
		c.problems.add(field+".status", "%d is no final status; want 200 to 599", d.Status)
	}
	for i := range d.Headers {
		at := field + "." + item("headers", i)
		c.checkOwn(at, c.field(at, d.Headers[i]))
	}
}

func isRedirect(status int) bool {
	switch status {
	case 0, 301, 302, 303, 307, 308:
		return true
	default:
		return false
	}
}

func (c *compiler) checkPath(r *Rule, field string, m connect.PathModifier) {
	switch m.Kind {
	case connect.ReplaceNone:
		return
	case connect.ReplaceFull:
	case connect.ReplacePrefix:
		for i := range r.Config.Matches {
			if r.Config.Matches[i].Path.Kind != connect.PathPrefix {
				c.problems.add(field, "a prefix can only be replaced where all matches are by prefix; matches[%d] is not", i)
			}
		}
	default:
		c.problems.add(field, "there is no kind %d", m.Kind)
	}
	if m.Value != "" && m.Value[0] != '/' || !isFieldValue(m.Value) || strings.ContainsAny(m.Value, " #") {
		c.problems.add(field, "%q is no path; want one that begins with a slash", m.Value)
	}
}

// checkHost allows a name or address, with a port.
func (c *compiler) checkHost(field, host string) {
	if strings.ContainsAny(host, "/\\@?#* \t\r\n") {
		c.problems.add(field, "%q is no host", host)
	}
}
