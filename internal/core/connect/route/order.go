package route

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// match is a compiled connect.Match. It belongs to its Route, and every host table
// that holds the route points to it.
type match struct {
	rule *Rule
	// path is the value; of a prefix without the slash at its end, so that "/" is
	// the empty string.
	path  string
	regex *regexp.Regexp
	// class is the kind and then the length of the path, detail the method and the
	// numbers of headers and query parameters: lower comes first in both.
	class   uint32
	detail  uint32
	kind    connect.PathKind
	simple  bool // the path is all there is
	method  string
	headers []valueMatch
	query   []valueMatch
	index   int
}

// maxPathLength bounds what a rule may compare with, in bytes.
const maxPathLength = 8192

// rank computes class and detail: exact before regex before prefix, longer before
// shorter, then a method, then more headers, then more query parameters.
func (m *match) rank(slash bool) {
	kind := uint32(2)
	switch m.kind {
	case connect.PathExact:
		kind = 0
	case connect.PathRegex:
		kind = 1
	case connect.PathPrefix:
	}
	m.class = kind<<16 | (0xffff - uint32(len(m.path)))
	m.detail = (0xff-uint32(len(m.headers)))<<8 | (0xff - uint32(len(m.query)))
	if m.method == "" {
		m.detail |= 1 << 16
	}
	// "/a/" has one character more than "/a", for the same requests.
	if !slash {
		m.detail |= 1 << 17
	}
	m.simple = m.method == "" && m.headers == nil && m.query == nil
}

// compare is the order in which matches are tried; below 0: a comes first. It is
// a total order as long as names of routes are unique. Expressions of one length
// are not ordered by their text, because both may match: what follows decides.
func compare(a, b *match) int {
	if a.class != b.class {
		return cmp.Compare(a.class, b.class)
	}
	if a.kind != connect.PathRegex && a.path != b.path {
		return strings.Compare(a.path, b.path)
	}
	if a.detail != b.detail {
		return cmp.Compare(a.detail, b.detail)
	}
	if a.rule == b.rule {
		return cmp.Compare(a.index, b.index)
	}
	if a.rule.Route == b.rule.Route {
		return cmp.Compare(a.rule.Index, b.rule.Index)
	}
	x, y := a.rule.Route.Config, b.rule.Route.Config
	return cmp.Or(x.Created.Compare(y.Created), strings.Compare(x.Name, y.Name))
}

// onPath compares the path only.
func (m *match) onPath(path string) bool {
	switch m.kind {
	case connect.PathExact:
		return path == m.path
	case connect.PathRegex:
		return m.regex.MatchString(path)
	default:
		return strings.HasPrefix(path, m.path) &&
			(len(path) == len(m.path) || path[len(m.path)] == '/' || m.path == "")
	}
}

// rest compares everything else.
func (m *match) rest(r *Request, query string) bool {
	if m.simple {
		return true
	}
	if m.method != "" && m.method != r.Head.Method {
		return false
	}
	for i := range m.headers {
		if !m.headers[i].matchHeader(r) {
			return false
		}
	}
	for i := range m.query {
		if !m.query[i].matchQuery(r, query) {
			return false
		}
	}
	return true
}
