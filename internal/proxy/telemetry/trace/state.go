package trace

import "slices"

// Limits of tracestate. A longer list than stateLength may be cut by anyone on the
// way; we drop what no one has to forward.
const (
	stateMembers = 32
	stateLength  = 8 << 10
	keyLength    = 256
	tenantLength = 241
	systemLength = 14
	valueLength  = 256
)

// ValidState says whether a tracestate may be forwarded: at most 32 members, keys
// and values of the allowed bytes and lengths, no key twice. An empty one may.
func ValidState(s string) bool {
	if len(s) > stateLength {
		return false
	}
	var seen [stateMembers]string
	n := 0
	for more := true; more; {
		var member string
		member, s, more = cut(s, ',')
		member = trim(member)
		if member == "" {
			continue // empty members are allowed
		}
		key, value, ok := cut(member, '=')
		if !ok || !validKey(key) || !validValue(value) || n == stateMembers {
			return false
		}
		if slices.Contains(seen[:n], key) {
			return false
		}
		seen[n] = key
		n++
	}
	return true
}

// validKey takes "key" and "tenant@system".
func validKey(key string) bool {
	tenant, system, multi := cut(key, '@')
	if !multi {
		return keyPart(key, keyLength) && !decimal(key[0])
	}
	return keyPart(tenant, tenantLength) && keyPart(system, systemLength) && !decimal(system[0])
}

// keyPart takes what begins with a letter or a digit.
func keyPart(s string, limit int) bool {
	return s != "" && len(s) <= limit && (lowerLetter(s[0]) || decimal(s[0])) && keyBytes(s)
}

func keyBytes(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !lowerLetter(c) && !decimal(c) && c != '_' && c != '-' && c != '*' && c != '/' {
			return false
		}
	}
	return true
}

func validValue(s string) bool {
	if s == "" || len(s) > valueLength || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == ',' || c == '=' {
			return false
		}
	}
	return true
}

func lowerLetter(c byte) bool { return 'a' <= c && c <= 'z' }

func decimal(c byte) bool { return '0' <= c && c <= '9' }

func cut(s string, at byte) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == at {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
