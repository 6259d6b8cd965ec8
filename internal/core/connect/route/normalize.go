package route

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ErrPath is what Normalize refuses; the answer is 400.
var ErrPath = errors.New("bad request path")

// Normalize brings the path of a request target into the one form that rules are
// compared with and that the backend should see. The query stays as it is.
//
// The policy is that of strict peers (Envoy's normalize_path) plus RFC 3986
// section 6.2.2, which allows only changes that cannot change the meaning:
//
//   - "." and ".." segments are resolved, also when written with %2e;
//   - percent-encoded letters, digits, "-", ".", "_" and "~" are decoded, other
//     percent-encodings get upper case digits; nothing else is decoded, so %2F
//     stays data of a segment;
//   - empty segments ("//") are kept: some backends give them a meaning.
//
// Refused with ErrPath: NUL, %00 and broken percent-encodings; ".." above the root; and what backends that
// decode once more, or that know path parameters, would take for "..": a dot
// segment next to "\", %5C, %2F or ";". "*" and "" (OPTIONS and CONNECT) are
// returned as they are. O(length); a path in normal form costs no memory.
func Normalize(target string) (string, error) {
	if target == "" || target == "*" {
		return target, nil
	}
	if target[0] != '/' {
		return "", fmt.Errorf("%w: it does not begin with a slash", ErrPath)
	}
	if strings.IndexByte(target, 0) >= 0 {
		return "", fmt.Errorf("%w: it holds a NUL", ErrPath)
	}
	path, query := target, ""
	if i := strings.IndexByte(target, '?'); i >= 0 {
		path, query = target[:i], target[i:]
	}
	normal, err := normalPath(path)
	if err != nil {
		return "", err
	}
	if normal == path {
		return target, nil
	}
	return normal + query, nil
}

func normalPath(path string) (string, error) {
	escaped := strings.IndexByte(path, '%') >= 0
	if !escaped && !strings.Contains(path, "/.") && strings.IndexByte(path, '\\') < 0 {
		return path, nil
	}
	if escaped {
		var err error
		if path, err = normalEscapes(path); err != nil {
			return "", err
		}
	}
	return resolveDots(path)
}

// normalEscapes is section 6.2.2.1 and 6.2.2.2 of RFC 3986.
func normalEscapes(path string) (string, error) {
	var out []byte // nil as long as nothing was changed
	from := 0      // what of path is not in out yet
	for i := strings.IndexByte(path, '%'); i >= 0; {
		c, ok := unescape(path[i:])
		if !ok || c == 0 {
			return "", fmt.Errorf("%w: %q is no allowed percent-encoding", ErrPath, path[i:min(i+3, len(path))])
		}
		switch {
		case unreserved(c):
			out = append(append(out, path[from:i]...), c)
			from = i + 3
		case isLowerHex(path[i+1]) || isLowerHex(path[i+2]):
			out = append(append(out, path[from:i]...), '%', hexDigits[c>>4], hexDigits[c&15])
			from = i + 3
		}
		following := strings.IndexByte(path[i+3:], '%')
		if following < 0 {
			break
		}
		i += 3 + following
	}
	if out == nil {
		return path, nil
	}
	return string(append(out, path[from:]...)), nil
}

const hexDigits = "0123456789ABCDEF"

// unescape reads the percent-encoding that s begins with.
func unescape(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	high, low := unhex(s[1]), unhex(s[2])
	return byte(high<<4 | low&15), high >= 0 && low >= 0
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	default:
		return -1
	}
}

func isLowerHex(c byte) bool { return 'a' <= c && c <= 'f' }

func unreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return c == '-' || c == '.' || c == '_' || c == '~'
	}
}

// resolveDots removes dot segments (RFC 3986 section 5.2.4).
func resolveDots(path string) (string, error) {
	var out []byte // nil as long as nothing was removed
	for i := 0; i < len(path); {
		end := segmentEnd(path, i)
		segment := path[i+1 : end]
		switch segment {
		case ".", "..":
			if out == nil {
				out = append(make([]byte, 0, len(path)), path[:i]...)
			}
			if segment == ".." {
				parent := bytes.LastIndexByte(out, '/')
				if parent < 0 {
					return "", fmt.Errorf("%w: it climbs above the root", ErrPath)
				}
				out = out[:parent]
			}
			if end == len(path) {
				out = append(out, '/') // what ends with a dot segment is a folder
			}
		default:
			if hidesDots(segment) {
				return "", fmt.Errorf("%w: segment %q can be read as a dot segment", ErrPath, segment)
			}
			if out != nil {
				out = append(out, path[i:end]...)
			}
		}
		i = end
	}
	if out == nil {
		return path, nil
	}
	return string(out), nil
}

// segmentEnd is where the segment ends whose slash is at i.
func segmentEnd(path string, i int) int {
	if next := strings.IndexByte(path[i+1:], '/'); next >= 0 {
		return i + 1 + next
	}
	return len(path)
}

// hidesDots says that a segment has a "." or ".." between what some backends take
// for separators, or before what they take for parameters. Encodings have upper
// case digits here.
func hidesDots(segment string) bool {
	if strings.IndexByte(segment, '.') < 0 {
		return false
	}
	for more := true; more; {
		var part string
		part, segment, more = cutSeparator(segment)
		part, _, _ = strings.Cut(part, ";")
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// cutSeparator cuts at the first "\\", "%5C" or "%2F".
func cutSeparator(s string) (part, rest string, more bool) {
	for i := range len(s) {
		switch {
		case s[i] == '\\':
			return s[:i], s[i+1:], true
		case s[i] == '%' && (strings.HasPrefix(s[i:], "%2F") || strings.HasPrefix(s[i:], "%5C")):
			return s[:i], s[i+3:], true
		}
	}
	return s, "", false
}
