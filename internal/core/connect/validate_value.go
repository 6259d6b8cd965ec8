package connect

import (
	"cmp"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The longest values. A hostname's length is that of RFC 1035; the others bound
// memory and the work per request.
const (
	maxName       = 512
	maxHostname   = 253
	maxLabel      = 63
	maxPath       = 4_096
	maxExpression = 4_096
	maxFieldName  = 256
	maxFieldValue = 8_192
	maxUnixPath   = 107 // sun_path without its NUL
	maxStatus     = 599
)

// inRange checks a value of which zero means the default.
func inRange[T cmp.Ordered](v *validator, f field, value, lowest, highest T) {
	var zero T
	if value != zero && (value < lowest || value > highest) {
		v.fail(f, "%v is out of range; allowed: %v to %v, or nothing for the default", value, lowest, highest)
	}
}

func (v *validator) count(f field, n, limit int) {
	if n > limit {
		v.fail(f, "there are %d; allowed: at most %d", n, limit)
	}
}

// timeout checks a duration of which zero means the default or none.
func (v *validator) timeout(f field, d time.Duration) {
	inRange(v, f, d, time.Millisecond, 7*24*time.Hour)
}

func (v *validator) percent(f field, n int) {
	if n < 0 || n > 100 {
		v.fail(f, "%d is no percentage; allowed: 0 to 100", n)
	}
}

func (v *validator) status(f field, status, lowest int) {
	if status < lowest || status > maxStatus {
		v.fail(f, "%d is out of range; allowed: a status from %d to %d", status, lowest, maxStatus)
	}
}

// name checks what people and metrics call a resource.
func (v *validator) name(f field, name string) {
	switch {
	case name == "":
		v.fail(f, "a name is required")
	case len(name) > maxName:
		v.fail(f, "the name has %d bytes; allowed: at most %d", len(name), maxName)
	case !visible(name):
		v.fail(f, "%q holds blanks or control characters; allowed: visible ASCII", name)
	}
}

// label checks a value that goes into metrics and logs and may be empty.
func (v *validator) label(f field, value string) {
	if value != "" {
		v.name(f, value)
	}
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// hostname checks "example.com" and, where wildcard says so, "*.example.com".
func (v *validator) hostname(f field, name string, wildcard bool) {
	rest := name
	if below, found := strings.CutPrefix(name, "*."); found && wildcard {
		rest = below
	}
	if !validHostname(rest) {
		allowed := "lower-case letters, digits and hyphens in labels that dots part, such as example.com"
		if wildcard {
			allowed += " or *.example.com"
		}
		v.fail(f, "%q is no hostname; allowed: %s", name, allowed)
	}
}

func validHostname(name string) bool {
	if name == "" || len(name) > maxHostname {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if !hostByte(label[i]) {
				return false
			}
		}
	}
	return true
}

// hostByte allows the underscore, which DNS names of services have.
func hostByte(c byte) bool {
	return c == '-' || c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
}

// hosts checks a list of hostnames.
func (v *validator) hosts(f *field, names []string) {
	v.count(f.sub("hostnames"), len(names), 1_000)
	for i, name := range names {
		v.hostname(f.at("hostnames", i), name, true)
	}
}

// address checks "127.0.0.1:8080" or "unix:/path" and returns the former parsed.
func (v *validator) address(f field, address string) netip.AddrPort {
	if path, found := strings.CutPrefix(address, "unix:"); found {
		if !strings.HasPrefix(path, "/") || len(path) > maxUnixPath || strings.IndexByte(path, 0) >= 0 {
			v.fail(f, "%q is no Unix socket; allowed: unix: and an absolute path of at most %d bytes", address, maxUnixPath)
		}
		return netip.AddrPort{}
	}
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		v.fail(f, "%q is no address; allowed: an IP address with port, such as 127.0.0.1:8080 or [::1]:8080 (names are not resolved here), or unix:/path", address)
	}
	return parsed
}

// token checks a method or the name of a header field (RFC 9110, section 5.6.2).
func (v *validator) token(f field, s string) {
	if !isToken(s) {
		v.fail(f, "%q is no token; allowed: letters, digits and !#$%%&'*+-.^_`|~, at most %d", s, maxFieldName)
	}
}

func isToken(s string) bool {
	if s == "" || len(s) > maxFieldName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := (c|0x20) >= 'a' && (c|0x20) <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// fieldValue checks the value of a header field (RFC 9110, section 5.5).
func (v *validator) fieldValue(f field, s string) {
	if len(s) > maxFieldValue {
		v.fail(f, "the value has %d bytes; allowed: at most %d", len(s), maxFieldValue)
		return
	}
	for i := range len(s) {
		if c := s[i]; (c < ' ' && c != '\t') || c == 0x7f {
			v.fail(f, "%q holds a control character; allowed: text and tabs on one line", s)
			return
		}
	}
	if strings.Trim(s, " \t") != s {
		v.fail(f, "%q begins or ends with a blank, which the peer would drop; allowed: none there", s)
	}
}

func (v *validator) expression(f field, text string) {
	if text == "" || len(text) > maxExpression {
		v.fail(f, "the expression has %d bytes; allowed: 1 to %d", len(text), maxExpression)
		return
	}
	if _, err := regexp.Compile(text); err != nil {
		v.fail(f, "%q does not compile: %v; allowed: RE2 (no look-around, no back-references)", text, err)
	}
}

// path checks an absolute path as the Gateway API has it: without query, dot
// segments, empty segments or escaped slashes, which would never match.
func (v *validator) path(f field, path string) {
	switch {
	case !strings.HasPrefix(path, "/") || len(path) > maxPath:
		v.fail(f, "%q is no path; allowed: / and what follows, at most %d bytes", path, maxPath)
	case !visible(path) || strings.ContainsAny(path, "?#"):
		v.fail(f, "%q holds what no path can hold; allowed: visible ASCII without ? and #, others as %%xx", path)
	case strings.Contains(path, "//") || strings.Contains(path, "/./") || strings.Contains(path, "/../") ||
		strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/.."):
		v.fail(f, "%q holds //, /./ or /../; allowed: a path without them", path)
	case strings.Contains(path, "%2f") || strings.Contains(path, "%2F"):
		v.fail(f, "%q holds an escaped slash; allowed: a path without", path)
	}
}

// integers checks "10-20", first included, last not; both may be negative.
func (v *validator) integers(f field, text string) {
	cut := -1
	if len(text) > 1 {
		cut = strings.IndexByte(text[1:], '-') + 1
	}
	if cut > 0 {
		first, err1 := strconv.ParseInt(text[:cut], 10, 64)
		last, err2 := strconv.ParseInt(text[cut+1:], 10, 64)
		if err1 == nil && err2 == nil && first < last {
			return
		}
	}
	v.fail(f, "%q is no range; allowed: two integers, the first less than the last, such as 10-20", text)
}

// oneOf checks an enumeration.
func oneOf[T ~uint8](v *validator, f field, value, last T) {
	if value > last {
		v.fail(f, "%d is not known; allowed: 0 to %d", value, last)
	}
}
