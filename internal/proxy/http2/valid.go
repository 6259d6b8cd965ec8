package http2

import "strings"

// charset holds which bytes may appear where, as bits.
type charset uint8

const (
	inName      charset = 1 << iota // lower-case token
	inToken                         // token
	inValue                         // field value: no control characters but tab
	inPath                          // path and query: no blanks, controls or '#'
	inAuthority                     // host and port
)

//nolint:gochecknoglobals // a lookup table, built once
var charsets = buildCharsets()

func buildCharsets() (t [256]charset) {
	for c := range 256 {
		b := byte(c)
		switch {
		case b < 0x20 || b == 0x7f:
			if b == '\t' {
				t[c] = inValue
			}
			continue
		case b == ' ':
			t[c] = inValue
			continue
		}
		t[c] = inValue | inPath
		if b >= 0x80 {
			continue
		}
		if isTokenByte(b) {
			t[c] |= inToken
			if b < 'A' || b > 'Z' {
				t[c] |= inName
			}
		}
		t[c] |= inAuthority
	}
	t['#'] &^= inPath
	// No user information, no second opinion about where the host ends.
	for _, b := range []byte("@/\\?#\"<>^`{|}") {
		t[b] &^= inAuthority
	}
	return t
}

func isTokenByte(b byte) bool {
	switch {
	case '0' <= b && b <= '9', 'A' <= b && b <= 'Z', 'a' <= b && b <= 'z':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

func consistsOf(s string, set charset) bool {
	for i := range len(s) {
		if charsets[s[i]]&set == 0 {
			return false
		}
	}
	return true
}

func validName(s string) bool      { return s != "" && consistsOf(s, inName) }
func validToken(s string) bool     { return s != "" && consistsOf(s, inToken) }
func validPath(s string) bool      { return s != "" && s[0] == '/' && consistsOf(s, inPath) }
func validAuthority(s string) bool { return s != "" && consistsOf(s, inAuthority) }

// validValue also refuses blanks around a value (RFC 9113 section 8.2.1).
func validValue(s string) bool {
	if s == "" {
		return true
	}
	return !blank(s[0]) && !blank(s[len(s)-1]) && consistsOf(s, inValue)
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// validScheme takes those that a proxy can serve.
func validScheme(s string) bool { return s == "http" || s == "https" }

// parseStatus is the number of three digits, or 0.
func parseStatus(s string) int {
	if len(s) != 3 {
		return 0
	}
	n := 0
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// parseLength is the number of digits only, or negative.
func parseLength(s string) int64 {
	if s == "" || len(s) > 18 {
		return -1
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n
}
