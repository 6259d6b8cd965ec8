package accesslog

import (
	"strconv"
	"unicode/utf8"
)

// What is longer is cut, in bytes: a client must not fill the log's buffers.
const (
	maxValue = 256
	maxPath  = 1024
)

const hexDigits = "0123456789abcdef"

// plain says whether a byte stands for itself in both formats, within quotes.
func plain(c byte) bool { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' }

// appendEscaped writes a value between quotes of JSON. What is not UTF-8 becomes
// U+FFFD; quotes, backslashes, control characters and characters that change how
// a terminal or an editor shows a line are escaped.
func appendEscaped(b []byte, s string, limit int) []byte {
	if len(s) > limit {
		s = s[:limit]
	}
	for i := 0; i < len(s); {
		from := i
		for i < len(s) && plain(s[i]) {
			i++
		}
		b = append(b, s[from:i]...)
		if i == len(s) {
			return b
		}
		if s[i] < utf8.RuneSelf {
			b = appendControl(b, s[i])
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, `\ufffd`...)
		case invisible(r):
			b = appendUnicode(b, r)
		default:
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return b
}

func appendControl(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	default:
		return appendUnicode(b, rune(c))
	}
}

// appendUnicode writes \uXXXX; all that comes here lies in the first plane.
func appendUnicode(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hexDigits[r>>12&0xf], hexDigits[r>>8&0xf], hexDigits[r>>4&0xf], hexDigits[r&0xf])
}

// invisible are C1 controls, line and paragraph separators, marks that turn the
// direction of writing, and the byte order mark.
func invisible(r rune) bool {
	switch {
	case r <= 0x9f, r == 0x061c, r == 0xfeff:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x2069:
		return true
	default:
		return false
	}
}

// appendToken writes a value of the text format: one word without blanks, "-" when
// it is empty. What is not printable ASCII becomes \xNN.
func appendToken(b []byte, s string, limit int) []byte {
	if s == "" {
		return append(b, '-')
	}
	if len(s) > limit {
		s = s[:limit]
	}
	for i := range len(s) {
		if c := s[i]; plain(c) && c != ' ' {
			b = append(b, c)
			continue
		}
		b = append(b, '\\', 'x', hexDigits[s[i]>>4], hexDigits[s[i]&0xf])
	}
	return b
}

// appendMillis writes nanoseconds as milliseconds with microseconds behind the
// point.
func appendMillis(b []byte, nanos int64) []byte {
	micros := max(nanos, 0) / 1000
	b = strconv.AppendInt(b, micros/1000, 10)
	rest := micros % 1000
	return append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}
