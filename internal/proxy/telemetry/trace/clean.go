package trace

import (
	"strings"
	"unicode/utf8"
)

// clean makes a value that protobuf takes as a string: cut to its limit and valid
// UTF-8, without which a collector refuses the whole batch. It allocates only for
// what is not valid.
func clean(s string) string {
	if len(s) > maxAttribute {
		end := maxAttribute
		for end > maxAttribute-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end-- // not in the middle of a character
		}
		s = s[:end]
	}
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
