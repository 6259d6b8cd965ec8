package wire

import (
	"bytes"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// maxMethod is the length of the longest registered method (UPDATEREDIRECTREF)
// with room to spare.
const maxMethod = 32

const versionLine = "HTTP/1.1\r\n"

// requestLine parses the first line. next is where the fields begin, 0 when the
// line is incomplete.
func requestLine(buf []byte, h *message.Head, maxTarget int) (next int, fault Fault) {
	i := 0
	if len(buf) > 0 && buf[0] == '\r' {
		// RFC 9112, section 2.2: an empty line before a request line is to be
		// ignored. One, since old clients sent one after a body.
		if i, fault = lineEnd(buf, 0); i == 0 {
			return 0, fault
		}
	}
	if i, fault = method(buf, i, h); i == 0 {
		return 0, fault
	}
	start := i
	for i < len(buf) && classes[buf[i]]&inTarget != 0 {
		i++
	}
	switch {
	case i-start > maxTarget:
		return 0, FaultTargetLong
	case i == len(buf):
		return 0, None
	case buf[i] != ' ' || i == start:
		return 0, targetFault(buf, i, start)
	}
	h.Path = text(buf[start:i])
	if next, fault = version(buf, i+1, h); next > 0 {
		fault = target(h)
	}
	return next, fault
}

// method returns where the target begins, 0 when more is needed.
func method(buf []byte, i int, h *message.Head) (next int, fault Fault) {
	if len(buf) >= i+4 && string(buf[i:i+4]) == "GET " {
		h.Method = "GET"
		return i + 4, None
	}
	start := i
	for i < len(buf) && classes[buf[i]]&inToken != 0 {
		i++
	}
	switch {
	case i-start > maxMethod:
		return 0, FaultMethodLong
	case i == len(buf):
		return 0, None
	case buf[i] == '\n':
		return 0, FaultBareLF
	case buf[i] != ' ' || i == start:
		return 0, FaultMethod
	}
	h.Method = text(buf[start:i])
	return i + 1, None
}

func targetFault(buf []byte, i, start int) Fault {
	switch {
	case buf[i] == '\n':
		return FaultBareLF
	case buf[i] == '\r' && i > start:
		return FaultVersion // as HTTP/0.9 asked
	default:
		return FaultTarget
	}
}

// version parses the end of the line, from i on.
func version(buf []byte, i int, h *message.Head) (next int, fault Fault) {
	if len(buf) >= i+len(versionLine) && string(buf[i:i+len(versionLine)]) == versionLine {
		h.Version = message.HTTP11
		return i + len(versionLine), None
	}
	return otherVersion(buf, i, h)
}

// otherVersion takes the lines that are not the usual one.
func otherVersion(buf []byte, i int, h *message.Head) (next int, fault Fault) {
	rest := buf[i:]
	const pattern = "HTTP/0.0" // where 0 is any digit
	for k := range min(len(rest), len(pattern)) {
		switch c := rest[k]; {
		case c == '\n':
			return 0, FaultBareLF
		case pattern[k] == '0' && classes[c]&isDigit != 0:
		case c != pattern[k]:
			return 0, FaultVersion
		}
	}
	if len(rest) <= len(pattern) {
		return 0, None
	}
	if c := rest[len(pattern)]; c != '\r' && c != '\n' {
		return 0, FaultVersion
	}
	if next, fault = lineEnd(rest, len(pattern)); next == 0 {
		return 0, fault
	}
	if rest[5] != '1' {
		return 0, FaultVersionUnknown
	}
	h.Version = message.HTTP10
	if rest[7] != '0' {
		// A higher minor version is read as the highest that is known: RFC
		// 9110, section 2.5.
		h.Version = message.HTTP11
	}
	return i + len(versionLine), None
}

// target checks the form of the target that is in h.Path, and brings it into
// origin form.
func target(h *message.Head) Fault {
	t := h.Path
	switch {
	case h.Method == "CONNECT":
		h.Path, h.Authority = "", t
		if !validAuthority(t) || !hasPort(t) {
			return FaultTarget
		}
		return None
	case t[0] == '/':
		return percent(t)
	case t == "*":
		if h.Method != "OPTIONS" {
			return FaultTarget
		}
		return None
	default:
		return absolute(h, t)
	}
}

// absolute takes a target apart that is a URI. It says where to go; Host does not.
func absolute(h *message.Head, t string) Fault {
	switch {
	case hasPrefixFold(t, "http://"):
		t = t[len("http://"):]
	case hasPrefixFold(t, "https://"):
		t = t[len("https://"):]
	default:
		return FaultTarget
	}
	end := 0
	for end < len(t) && t[end] != '/' && t[end] != '?' {
		end++
	}
	h.Authority = t[:end]
	if !validAuthority(h.Authority) {
		return FaultTarget
	}
	switch {
	case end == len(t) && h.Method == "OPTIONS":
		h.Path = "*" // RFC 9112, section 3.2.4
	case end == len(t):
		h.Path = "/"
	case t[end] == '?':
		h.Path = "/" + t[end:] // so rare that it may allocate
	default:
		h.Path = t[end:]
	}
	return percent(h.Path)
}

// percent checks that every percent sign of the path stands before two
// hexadecimal digits. In queries others are found in the wild, and nobody decodes
// those to decide where a request goes.
func percent(t string) Fault {
	for i := 0; i < len(t) && t[i] != '?'; i++ {
		if t[i] != '%' {
			continue
		}
		if i+2 >= len(t) || classes[t[i+1]]&isHex == 0 || classes[t[i+2]]&isHex == 0 {
			return FaultTarget
		}
		i += 2
	}
	return None
}

// statusLine parses the first line of a response. next is 0 when it is
// incomplete.
func statusLine(buf []byte, h *message.Head) (next int, fault Fault) {
	const prefix = "HTTP/1."
	if k := min(len(buf), len(prefix)); string(buf[:k]) != prefix[:k] {
		return 0, FaultStatus
	}
	if len(buf) < 13 {
		// A line without a reason is 13 bytes long, or 14 with the space that it
		// should have.
		if bytes.IndexByte(buf, '\n') >= 0 {
			return 0, FaultStatus
		}
		return 0, None
	}
	if classes[buf[7]]&isDigit == 0 || buf[8] != ' ' || !all(text(buf[9:12]), isDigit) || buf[9] == '0' {
		return 0, FaultStatus
	}
	h.Version = message.HTTP11
	if buf[7] == '0' {
		h.Version = message.HTTP10
	}
	h.Status = int(buf[9]-'0')*100 + int(buf[10]-'0')*10 + int(buf[11]-'0')
	if c := buf[12]; c != ' ' && c != '\r' {
		return 0, FaultStatus
	}
	return lineEnd(buf, valueEnd(buf, 12))
}

// lineEnd checks that a line ends at i, where its first control character is. next
// is behind the line, 0 when more is needed.
func lineEnd(buf []byte, i int) (next int, fault Fault) {
	switch {
	case i >= len(buf):
		return 0, None
	case buf[i] == '\n':
		return 0, FaultBareLF
	case buf[i] != '\r':
		return 0, FaultValue
	case i+1 == len(buf):
		return 0, None
	case buf[i+1] != '\n':
		return 0, FaultBareCR
	}
	return i + 2, None
}
