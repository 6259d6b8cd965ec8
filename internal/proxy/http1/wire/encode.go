package wire

import (
	"strconv"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// Outgoing is how the head that is written frames its body.
type Outgoing struct {
	Kind Kind
	// Length is written unless it is negative, or Kind is Chunked.
	Length int64
	// Connection is written unless it is empty: "close" or "keep-alive".
	Connection string
}

// headRoom is more than the lines that a writer adds can need, without protocol
// and authority.
const headRoom = 160

// HeadSize is how many bytes the head needs at most.
func HeadSize(h *message.Head) int {
	n := headRoom + len(h.Method) + len(h.Path) + len(h.Authority) + len(h.Protocol)
	for i := range h.Fields {
		n += len(h.Fields[i].Name) + len(h.Fields[i].Value) + 4
	}
	return n
}

// ValidRequest says that method, target and authority can stand in a request.
// Those of other protocols than HTTP/1.1 need not.
func ValidRequest(h *message.Head) bool {
	if !all(h.Method, inToken) || h.Authority != "" && !validAuthority(h.Authority) {
		return false
	}
	if h.Protocol != "" && !protocol(h.Protocol) {
		return false
	}
	if h.Method == "CONNECT" {
		return hasPort(h.Authority)
	}
	return h.Path == "" || (h.Path[0] == '/' || h.Path == "*" && h.Method == "OPTIONS") && all(h.Path, inTarget)
}

// AppendRequest encodes a request's head, which must be valid.
func AppendRequest(dst []byte, h *message.Head, o Outgoing) []byte {
	dst = append(dst, h.Method...)
	dst = append(dst, ' ')
	switch {
	case h.Method == "CONNECT":
		dst = append(dst, h.Authority...)
	case h.Path == "":
		dst = append(dst, '/')
	default:
		dst = append(dst, h.Path...)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, h.Authority...)
	dst = append(dst, "\r\n"...)
	te := false
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID == message.IDTE {
			te = te || message.EqualFold(f.Value, "trailers")
			continue
		}
		dst = appendField(dst, f)
	}
	if te {
		dst = append(dst, "TE: trailers\r\n"...)
	}
	switch {
	case h.Protocol != "" && te:
		dst = append(dst, "Connection: Upgrade, TE\r\n"...)
	case h.Protocol != "":
		dst = append(dst, "Connection: Upgrade\r\n"...)
	case te:
		dst = append(dst, "Connection: TE\r\n"...)
	}
	if h.Protocol != "" {
		dst = append(append(append(dst, "Upgrade: "...), h.Protocol...), "\r\n"...)
	}
	return append(appendFraming(dst, o), "\r\n"...)
}

// AppendResponse encodes a response's head. A Protocol is written with 101 and 426.
func AppendResponse(dst []byte, h *message.Head, o Outgoing) []byte {
	dst = appendStatus(dst, h.Status)
	for i := range h.Fields {
		dst = appendField(dst, &h.Fields[i])
	}
	upgrade := (h.Status == 101 || h.Status == 426) && protocol(h.Protocol)
	switch {
	case upgrade && o.Connection != "":
		dst = append(append(append(dst, "Connection: Upgrade, "...), o.Connection...), "\r\n"...)
	case upgrade:
		dst = append(dst, "Connection: Upgrade\r\n"...)
	case o.Connection != "":
		dst = append(append(append(dst, "Connection: "...), o.Connection...), "\r\n"...)
	}
	if upgrade {
		dst = append(append(append(dst, "Upgrade: "...), h.Protocol...), "\r\n"...)
	}
	return append(appendFraming(dst, o), "\r\n"...)
}

func appendFraming(dst []byte, o Outgoing) []byte {
	switch {
	case o.Kind == Chunked:
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	case o.Length >= 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, o.Length, 10)
		return append(dst, "\r\n"...)
	default:
		return dst
	}
}

// appendField writes a field, unless it could be read as something else: a name
// that is no token, a control character in the value, or a field that frames the
// message or concerns the connection, which is ours to write.
func appendField(dst []byte, f *message.Field) []byte {
	id := f.ID
	if id == message.IDOther {
		if !all(f.Name, inToken) {
			return dst
		}
		id = message.Lookup(f.Name)
	}
	if bit(id)&taken != 0 || !cleanValue(f.Value) {
		return dst
	}
	dst = append(dst, f.Name...)
	dst = append(dst, ": "...)
	dst = append(dst, f.Value...)
	return append(dst, "\r\n"...)
}

// ChunkRoom is how many bytes AppendChunkSize adds at most.
const ChunkRoom = 20

// AppendChunkSize begins a chunk of n bytes, n > 0; before it stands the end of
// the chunk before.
func AppendChunkSize(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, "\r\n"...)
}

// AppendTrailers ends a chunked body.
func AppendTrailers(dst []byte, fields []message.Field) []byte {
	dst = append(dst, "0\r\n"...)
	for i := range fields {
		f := &fields[i]
		if f.Name == "" || forbiddenTrailer(f.ID, f.Name) {
			continue
		}
		dst = appendField(dst, f)
	}
	return append(dst, "\r\n"...)
}

// TrailersSize is how many bytes AppendTrailers adds at most.
func TrailersSize(fields []message.Field) int {
	n := 8
	for i := range fields {
		n += len(fields[i].Name) + len(fields[i].Value) + 4
	}
	return n
}
