package trace

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// Kind is the side of a span.
type Kind uint8

// The kinds, with OTLP's numbers: a request that came to us, one that we send.
const (
	KindServer Kind = 2
	KindClient Kind = 3
)

// Numbers of fields in opentelemetry/proto/trace/v1 and common/v1.
const (
	dataResourceSpans = 1

	resourceSpansResource = 1
	resourceSpansScope    = 2
	resourceSpansSchema   = 3
	resourceAttributes    = 1

	scopeSpansScope = 1
	scopeSpansSpans = 2
	scopeName       = 1
	scopeVersion    = 2

	spanTrace      = 1
	spanSpan       = 2
	spanState      = 3
	spanParent     = 4
	spanName       = 5
	spanKind       = 6
	spanStart      = 7
	spanEnd        = 8
	spanAttributes = 9
	spanStatus     = 15
	spanFlags      = 16

	statusCode  = 3
	statusError = 2

	keyValueKey   = 1
	keyValueValue = 2
	valueString   = 1
	valueInt      = 3

	// Of the collector's response.
	responsePartial = 1
	partialRejected = 1
)

// maxAttribute bounds the value of an attribute, in bytes.
const maxAttribute = 1024

// Span builds one OTLP span in memory that it is given. The order of the calls is
// Begin, any number of attributes, End.
type Span struct {
	b []byte
}

// Begin starts a span; start and end are nanoseconds since 1970.
func (s *Span) Begin(b []byte, c *Context, k Kind, start, end int64) {
	// The length of the message is not known yet: five bytes are left for it,
	// and a varint may be padded to five.
	b = protowire.AppendTag(b[:0], scopeSpansSpans, protowire.BytesType)
	b = append(b, 0, 0, 0, 0, 0)
	b = appendBytes(b, spanTrace, c.Trace[:])
	b = appendBytes(b, spanSpan, c.Span[:])
	b = appendString(b, spanState, c.State)
	if c.Parent != (SpanID{}) {
		b = appendBytes(b, spanParent, c.Parent[:])
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, spanKind, protowire.VarintType), uint64(k))
	b = protowire.AppendFixed64(protowire.AppendTag(b, spanStart, protowire.Fixed64Type), uint64(start))
	b = protowire.AppendFixed64(protowire.AppendTag(b, spanEnd, protowire.Fixed64Type), uint64(end))
	s.b = protowire.AppendFixed32(protowire.AppendTag(b, spanFlags, protowire.Fixed32Type), uint32(c.Flags))
}

// Name sets the name, from two parts: what the request does, and to what. The
// second may be empty.
func (s *Span) Name(what, target string) {
	what, target = clean(what), clean(target)
	blank := min(len(target), 1)
	s.b = protowire.AppendTag(s.b, spanName, protowire.BytesType)
	s.b = protowire.AppendVarint(s.b, uint64(len(what)+blank+len(target)))
	s.b = append(s.b, what...)
	s.b = append(s.b, " "[:blank]...)
	s.b = append(s.b, target...)
}

// String adds an attribute, unless the value is empty.
func (s *Span) String(key, value string) { s.b = appendAttribute(s.b, spanAttributes, key, value) }

// Int adds an attribute.
func (s *Span) Int(key string, value int64) {
	inner := protowire.SizeTag(valueInt) + protowire.SizeVarint(uint64(value))
	s.b = appendKey(s.b, spanAttributes, key, inner)
	s.b = protowire.AppendVarint(protowire.AppendTag(s.b, valueInt, protowire.VarintType), uint64(value))
}

// appendAttribute writes a KeyValue as the given field.
func appendAttribute(b []byte, field protowire.Number, key, value string) []byte {
	value = clean(value)
	if value == "" {
		return b
	}
	inner := protowire.SizeTag(valueString) + protowire.SizeBytes(len(value))
	return appendString(appendKey(b, field, key, inner), valueString, value)
}

// appendKey writes all of a KeyValue but its value, which has so many bytes.
func appendKey(b []byte, field protowire.Number, key string, inner int) []byte {
	size := protowire.SizeTag(keyValueKey) + protowire.SizeBytes(len(key)) +
		protowire.SizeTag(keyValueValue) + protowire.SizeBytes(inner)
	b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(size))
	b = appendString(b, keyValueKey, key)
	return protowire.AppendVarint(protowire.AppendTag(b, keyValueValue, protowire.BytesType), uint64(inner))
}

// Error marks the span as failed.
func (s *Span) Error() {
	s.b = protowire.AppendTag(s.b, spanStatus, protowire.BytesType)
	s.b = append(s.b, 2, statusCode<<3, statusError)
}

// End returns the span, encoded as a field of ScopeSpans.
func (s *Span) End() []byte {
	const head = 1 + 5
	size := len(s.b) - head
	for i := range 4 {
		s.b[1+i] = byte(size)&0x7f | 0x80
		size >>= 7
	}
	s.b[5] = byte(size) & 0x7f
	return s.b
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

// appendString leaves empty strings out, as proto3 does.
func appendString(b []byte, field protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}
