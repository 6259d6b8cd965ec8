package route

import (
	"errors"
	"strings"
)

// maxHost is the longest DNS name in bytes; a longer host matches no name.
const maxHost = 253

var errHostname = errors.New(`want a DNS name such as "example.com" or "*.example.com"`)

// cleanHostname is a configured hostname in lower case without a trailing dot. It
// keeps the string when there is nothing to change.
func cleanHostname(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	rest, wild := strings.CutPrefix(name, "*.")
	if len(name) > maxHost || rest == "" && (wild || s != "") {
		return "", errHostname
	}
	if rest == "" {
		return "", nil
	}
	for label := range strings.SplitSeq(rest, ".") {
		if !isLabel(label) {
			return "", errHostname
		}
	}
	return name, nil
}

// isLabel is lenient about "_" and "-", as resolvers are.
func isLabel(s string) bool {
	for i := range len(s) {
		c := s[i]
		if ('a' > c || c > 'z') && ('0' > c || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// intersect says that some host fulfils both names; empty is any host.
func intersect(a, b string) bool {
	if a == "" || b == "" || a == b {
		return true
	}
	aWild, bWild := a[0] == '*', b[0] == '*'
	switch {
	case aWild && bWild:
		return strings.HasSuffix(a, b[1:]) || strings.HasSuffix(b, a[1:])
	case aWild:
		return strings.HasSuffix(b, a[1:])
	case bWild:
		return strings.HasSuffix(a, b[1:])
	default:
		return false
	}
}

// hostName is a host as it is looked up: lower case, without port and trailing
// dot. It is s, or b when letters had to be changed: a map is read with either
// without memory.
type hostName struct {
	s string
	b []byte
}

// set takes the host out of an authority ("Example.com.:8080"). It returns the
// scratch memory, grown where upper case made that necessary.
func (n *hostName) set(authority string, scratch []byte) []byte {
	end, upper := hostEnd(authority)
	if end > 0 && authority[end-1] == '.' {
		end--
	}
	n.s, n.b = authority[:end], nil
	if !upper || end > maxHost {
		return scratch
	}
	scratch = append(scratch[:0], n.s...)
	for i, c := range scratch {
		if 'A' <= c && c <= 'Z' {
			scratch[i] = c + 'a' - 'A'
		}
	}
	n.b = scratch
	return scratch
}

// hostEnd is where the host of an authority ends, and whether it has upper case.
func hostEnd(authority string) (end int, upper bool) {
	for i := range len(authority) {
		c := authority[i]
		switch {
		case c == ']':
			return i + 1, upper
		case c == ':' && authority[0] != '[':
			return i, upper
		case 'A' <= c && c <= 'Z':
			upper = true
		}
	}
	return len(authority), upper
}

func (n *hostName) at(i int) byte {
	if n.b != nil {
		return n.b[i]
	}
	return n.s[i]
}

// find reads a map by the name from a position on.
func find[T any](m map[string]*T, n *hostName, from int) *T {
	if n.b != nil {
		return m[string(n.b[from:])]
	}
	return m[n.s[from:]]
}

// index finds what belongs to a host, the most exact name first.
type index[T any] struct {
	exact map[string]*T
	wild  map[string]*T // by what follows the star: ".example.com"
	// labels is the number of dots of the longest name in wild, so that a host of
	// a hundred labels costs no hundred look-ups.
	labels int
	all    *T
}

// get is what belongs to a name, which must be clean.
func (x *index[T]) get(name string) *T {
	switch {
	case name == "":
		return x.all
	case name[0] == '*':
		return x.wild[name[1:]]
	default:
		return x.exact[name]
	}
}

// put sets what belongs to a name, or takes it out when v is nil.
func (x *index[T]) put(name string, v *T) {
	switch {
	case name == "":
		x.all = v
	case name[0] == '*':
		x.wild = assign(x.wild, name[1:], v)
		x.labels = max(x.labels, strings.Count(name, "."))
	default:
		x.exact = assign(x.exact, name, v)
	}
}

func assign[T any](m map[string]*T, key string, v *T) map[string]*T {
	if v == nil {
		delete(m, key)
		return m
	}
	if m == nil {
		m = map[string]*T{}
	}
	m[key] = v
	return m
}

// best is what the most exact name has.
func (x *index[T]) best(n *hostName) *T {
	if x.exact == nil && x.wild == nil {
		return x.all
	}
	c := cursor{}
	return x.next(n, &c)
}

// cursor walks from the most exact name of a host to the least.
type cursor struct {
	stage uint8
	dot   int
}

// next is what the next name has; nil: there is none left.
func (x *index[T]) next(n *hostName, c *cursor) *T {
	if c.stage == 0 {
		c.stage, c.dot = 1, x.firstDot(n)
		if x.exact != nil {
			if v := find(x.exact, n, 0); v != nil {
				return v
			}
		}
	}
	for c.stage == 1 && c.dot < len(n.s) {
		from := c.dot
		c.dot = n.dotAfter(from + 1)
		if v := find(x.wild, n, from); v != nil {
			return v
		}
	}
	if c.stage < 2 {
		c.stage = 2
		return x.all
	}
	return nil
}

// firstDot is where the longest suffix begins that a name in wild can have;
// len(n.s): there is none. A star stands for at least one label.
func (x *index[T]) firstDot(n *hostName) int {
	first, left := len(n.s), x.labels
	for i := len(n.s) - 1; i > 0 && left > 0; i-- {
		if n.at(i) == '.' {
			first = i
			left--
		}
	}
	return first
}

func (n *hostName) dotAfter(i int) int {
	for ; i < len(n.s); i++ {
		if n.at(i) == '.' {
			return i
		}
	}
	return len(n.s)
}
