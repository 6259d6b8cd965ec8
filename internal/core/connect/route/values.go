package route

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// valueMatch is a compiled connect.ValueMatch.
type valueMatch struct {
	name   string // lower case for headers
	id     message.ID
	kind   connect.ValueKind
	invert bool
	value  string
	regex  *regexp.Regexp
	first  int64
	end    int64
}

// verdict is the match of a value that may be missing. Invert turns the whole
// condition round, so a missing value fulfils every inverted one.
func (m *valueMatch) verdict(present, fulfilled bool) bool {
	return (present && fulfilled) != m.invert
}

// fulfils compares a value that is one string.
func (m *valueMatch) fulfils(v string) bool {
	switch m.kind {
	case connect.ValueExact:
		return v == m.value
	case connect.ValueRegex:
		return m.regex.MatchString(v)
	case connect.ValuePrefix:
		return strings.HasPrefix(v, m.value)
	case connect.ValueSuffix:
		return strings.HasSuffix(v, m.value)
	case connect.ValueRange:
		n, ok := parseInt(v)
		return ok && m.first <= n && n < m.end
	default:
		return true
	}
}

// fulfilsBytes compares a value that had to be put together. A conversion for a
// comparison alone takes no memory.
func (m *valueMatch) fulfilsBytes(v []byte) bool {
	switch m.kind {
	case connect.ValueExact:
		return string(v) == m.value
	case connect.ValueRegex:
		return m.regex.Match(v)
	case connect.ValuePrefix:
		return len(v) >= len(m.value) && string(v[:len(m.value)]) == m.value
	case connect.ValueSuffix:
		return len(v) >= len(m.value) && string(v[len(v)-len(m.value):]) == m.value
	case connect.ValueRange:
		if len(v) > maxDigits {
			return false
		}
		var short [maxDigits]byte
		n, ok := parseInt(string(short[:copy(short[:], v)]))
		return ok && m.first <= n && n < m.end
	default:
		return true
	}
}

// maxDigits is what an int64 with its sign needs at most.
const maxDigits = 20

// parseInt is strconv.ParseInt without the error, which would take memory for
// every request whose header is no number.
func parseInt(s string) (int64, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) >= maxDigits {
		return 0, false
	}
	var n int64
	for i := range len(digits) {
		d := int64(digits[i]) - '0'
		if d < 0 || d > 9 || n > (1<<63-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if len(digits) < len(s) {
		n = -n
	}
	return n, true
}

// parseRange reads "10-20", "-5-5" or "-10--5": first included, last not.
func parseRange(s string) (first, end int64, ok bool) {
	if s == "" {
		return 0, 0, false
	}
	dash := strings.IndexByte(s[1:], '-') + 1
	if dash == 0 {
		return 0, 0, false
	}
	first, errFirst := strconv.ParseInt(s[:dash], 10, 64)
	end, errEnd := strconv.ParseInt(s[dash+1:], 10, 64)
	return first, end, errFirst == nil && errEnd == nil && first < end
}

// matchHeader compares a header; fields of one name count as one, joined by a
// comma (RFC 9110 section 5.3).
func (m *valueMatch) matchHeader(r *Request) bool {
	fields := r.Head.Fields
	first, more := -1, false
	for i := range fields {
		if !m.named(&fields[i]) {
			continue
		}
		if first >= 0 {
			more = true
			break
		}
		first = i
		if m.kind == connect.ValuePresent {
			break
		}
	}
	if first < 0 {
		if m.id == message.IDHost {
			return m.verdict(true, m.fulfils(r.Head.Authority))
		}
		return m.verdict(false, false)
	}
	if !more {
		return m.verdict(true, m.fulfils(fields[first].Value))
	}
	r.value = append(r.value[:0], fields[first].Value...)
	for i := first + 1; i < len(fields); i++ {
		if m.named(&fields[i]) {
			r.value = append(append(r.value, ','), fields[i].Value...)
		}
	}
	return m.verdict(true, m.fulfilsBytes(r.value))
}

func (m *valueMatch) named(f *message.Field) bool {
	return f.ID == m.id && (m.id != message.IDOther || message.EqualFold(f.Name, m.name))
}

// matchQuery compares the first value of a query parameter, percent-decoded, "+"
// being a space. O(length of the query).
func (m *valueMatch) matchQuery(r *Request, query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if encoded(name) {
			r.value = appendDecoded(r.value[:0], name)
			if string(r.value) != m.name {
				continue
			}
		} else if name != m.name {
			continue
		}
		if !encoded(value) {
			return m.verdict(true, m.fulfils(value))
		}
		r.value = appendDecoded(r.value[:0], value)
		return m.verdict(true, m.fulfilsBytes(r.value))
	}
	return m.verdict(false, false)
}

func encoded(s string) bool {
	return strings.IndexByte(s, '%') >= 0 || strings.IndexByte(s, '+') >= 0
}

// appendDecoded decodes a part of a query; what is no encoding stays.
func appendDecoded(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			dst = append(dst, ' ')
		case '%':
			decoded, ok := unescape(s[i:])
			if !ok {
				dst = append(dst, c)
				continue
			}
			dst = append(dst, decoded)
			i += 2
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
