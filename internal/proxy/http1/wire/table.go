package wire

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// What a byte may be part of.
const (
	// inToken: tchar, RFC 9110, section 5.6.2.
	inToken uint8 = 1 << iota
	// inTarget: visible ASCII except '#', which begins a fragment. Stricter than
	// this would break query strings that browsers do send.
	inTarget
	// inHost: letters, digits and what registered names really contain; not the
	// sub-delimiters and percent signs that URIs would allow.
	inHost
	isHex
	isDigit
)

//nolint:gochecknoglobals // a lookup table
var classes = classify()

func classify() (t [256]uint8) {
	const marks = "!#$%&'*+-.^_`|~"
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	const digits = "0123456789"
	mark := func(bytes string, class uint8) {
		for _, b := range []byte(bytes) {
			t[b] |= class
		}
	}
	mark(letters, inToken|inHost)
	mark(digits, inToken|inHost|isHex|isDigit)
	mark("abcdefABCDEF", isHex)
	mark(marks, inToken)
	mark("-._~", inHost)
	for b := '!'; b <= '~'; b++ {
		if b != '#' {
			t[b] |= inTarget
		}
	}
	return t
}

// text views bytes as a string. It lives as long as the buffer keeps them.
func text(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the codec pins the buffer while the head is in use
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// controls marks the high bit of bytes below 0x20 and of 0x7f among eight. Only
// the lowest mark is exact: a borrow may mark bytes above it.
func controls(x uint64) uint64 {
	del := x ^ 0x7f*ones
	return ((x-0x20*ones)&^x | (del-ones)&^del) & highs
}

// valueEnd is the index of the first byte from i on that no field value may
// contain: a control character other than a tab. That is the CR in a good line.
func valueEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		m := controls(binary.LittleEndian.Uint64(b[i:]))
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) {
		if c := b[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return i
		}
		i++
	}
	return i
}

// cleanValue says that s can be sent as a field value.
func cleanValue(s string) bool {
	b := unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // it is only read
	return valueEnd(b, 0) == len(b)
}

// all says that s is not empty and has only bytes of a class.
func all(s string, class uint8) bool {
	for i := range len(s) {
		if classes[s[i]]&class == 0 {
			return false
		}
	}
	return s != ""
}
