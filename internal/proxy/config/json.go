package config

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// plainEscapes rewrites the two escapes of JSON that YAML does not have: pairs of
// surrogates become the character that they stand for, \/ becomes /. Lines stay
// where they are. What is no JSON is returned as it is.
func plainEscapes(data []byte) []byte {
	rare := bytes.Contains(data, []byte(`\/`)) || bytes.Contains(bytes.ToLower(data), []byte(`\ud`))
	if !rare || !json.Valid(data) {
		return data
	}
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		// A backslash in JSON begins an escape of at least two bytes.
		first, isChar := escaped(data)
		switch {
		case data[0] != '\\':
			out, data = append(out, data[0]), data[1:]
		case data[1] == '/':
			out, data = append(out, '/'), data[2:]
		case !isChar || !utf16.IsSurrogate(first):
			out, data = append(out, data[:2]...), data[2:]
		default:
			second, _ := escaped(data[6:])
			char := utf16.DecodeRune(first, second)
			data = data[6:]
			if char != utf8.RuneError {
				data = data[6:]
			}
			out = utf8.AppendRune(out, char)
		}
	}
	return out
}

// escaped is the character of \uXXXX at the front.
func escaped(data []byte) (rune, bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	return rune(n), err == nil
}
