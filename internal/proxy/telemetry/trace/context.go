package trace

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// ID is a trace ID, SpanID a span ID; all zero is none.
type (
	ID     [16]byte
	SpanID [8]byte
)

// Flags are those of traceparent.
type Flags uint8

// Sampled: the caller records the trace. Random: the right 7 bytes of its ID are
// random, so that all who sample by ratio agree.
const (
	Sampled Flags = 1 << iota
	Random
)

// Context is what a request carries.
type Context struct {
	Trace ID
	// Span is ours: what the next hop gets as its parent. Parent is the caller's.
	Span   SpanID
	Parent SpanID
	Flags  Flags
	// State is tracestate as it came; it may alias a buffer.
	State string
	// Own: Span is one that we made, and not the caller's passed on.
	Own bool
}

// Valid says whether there is a trace at all.
func (c *Context) Valid() bool { return c.Trace != ID{} && c.Span != SpanID{} }

// Recorded says whether the span is exported.
func (c *Context) Recorded() bool { return c.Own && c.Flags&Sampled != 0 && c.Valid() }

// HeaderLength is that of a traceparent that we write.
const HeaderLength = 55

// Append writes the value of traceparent, HeaderLength bytes.
func (c *Context) Append(b []byte) []byte {
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, c.Trace[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, c.Span[:])
	b = append(b, '-')
	return hex.AppendEncode(b, []byte{byte(c.Flags & (Sampled | Random))})
}

// String is the value of traceparent.
func (c *Context) String() string { return string(c.Append(nil)) }

// Extract reads the caller's context: its span is in Span. ok is false when there
// is no traceparent, more than one, or a malformed one; then a new trace begins.
// A malformed tracestate is dropped alone. It allocates only when tracestate came
// in several fields.
func Extract(h *message.Head) (Context, bool) {
	var parent, state string
	parents, states := 0, 0
	for i := range h.Fields {
		switch f := &h.Fields[i]; f.ID {
		case message.IDTraceparent:
			parent = f.Value
			parents++
		case message.IDTracestate:
			state = join(state, f.Value, states > 0)
			states++
		default:
		}
	}
	if parents != 1 {
		return Context{}, false
	}
	c, ok := Parse(parent)
	if ok && ValidState(state) {
		c.State = state
	}
	return c, ok
}

func join(a, b string, several bool) string {
	if !several {
		return b
	}
	return a + "," + b
}

// Parse reads one traceparent. Later versions than 00 are read as far as 00
// defines them, as the specification asks.
func Parse(s string) (Context, bool) {
	var version, flags [1]byte
	var c Context
	ok := len(s) >= HeaderLength && s[2] == '-' && s[35] == '-' && s[52] == '-' &&
		unhex(version[:], s[:2]) && unhex(c.Trace[:], s[3:35]) && unhex(c.Span[:], s[36:52]) && unhex(flags[:], s[53:55])
	if !ok || !c.Valid() || !rest(version[0], s[HeaderLength:]) {
		return Context{}, false
	}
	c.Flags = Flags(flags[0]) & (Sampled | Random)
	return c, true
}

// rest says whether a version may have this behind what 00 defines.
func rest(version byte, s string) bool {
	switch version {
	case 0:
		return s == ""
	case 0xff:
		return false
	default:
		return s == "" || s[0] == '-'
	}
}

// unhex reads lower case hexadecimal only: upper case is malformed here.
func unhex(to []byte, s string) bool {
	for i := range to {
		high, low := digit(s[2*i]), digit(s[2*i+1])
		if high|low > 0xf {
			return false
		}
		to[i] = high<<4 | low
	}
	return true
}

func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	default:
		return 0xff
	}
}

// low56 is the part of the ID that is random under the Random flag.
func (t ID) low56() uint64 { return binary.BigEndian.Uint64(t[8:]) & (1<<56 - 1) }
