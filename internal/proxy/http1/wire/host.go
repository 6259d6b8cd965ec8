package wire

import "net/netip"

// ValidAuthority says that s can be sent as a Host: a name or an address, and
// perhaps a port.
func ValidAuthority(s string) bool { return validAuthority(s) }

// validAuthority says that s is a host with or without a port, and nothing that
// two readers could take for two hosts: no user, no percent sign, no comma.
func validAuthority(s string) bool {
	if s == "" {
		return false
	}
	if s[0] == '[' {
		return validLiteral(s)
	}
	i := 0
	for i < len(s) && classes[s[i]]&inHost != 0 {
		i++
	}
	return i > 0 && (i == len(s) || s[i] == ':' && validPort(s[i+1:]))
}

func validLiteral(s string) bool {
	end := 1
	for end < len(s) && s[end] != ']' {
		end++
	}
	if end == len(s) {
		return false
	}
	addr, err := netip.ParseAddr(s[1:end])
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return false
	}
	rest := s[end+1:]
	return rest == "" || rest[0] == ':' && validPort(rest[1:])
}

// validPort takes the empty port too, which RFC 3986 allows after a colon.
func validPort(s string) bool {
	n := 0
	for i := range len(s) {
		if classes[s[i]]&isDigit == 0 || i == 5 {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// hasPort says that a valid authority ends with a port.
func hasPort(s string) bool {
	i := len(s) - 1
	for i >= 0 && classes[s[i]]&isDigit != 0 {
		i--
	}
	return i >= 0 && s[i] == ':' && i < len(s)-1
}
