package message

// Version is the protocol version that a message came with.
type Version uint8

// The versions that are spoken.
const (
	HTTP10 Version = iota
	HTTP11
	HTTP2
)

// String is as access logs have it, e.g. "HTTP/1.1".
func (v Version) String() string {
	switch v {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP2:
		return "HTTP/2"
	default:
		return "HTTP/1.1"
	}
}

// Lengths that are not a number of bytes.
const (
	// LengthUnknown: the body ends with its framing (chunked, END_STREAM, close).
	LengthUnknown int64 = -1
)

// Head is the head of a request or a response.
//
// Its strings may alias the buffer of the connection that it was read from. They
// stay valid until the exchange is over; what is kept longer must be cloned.
type Head struct {
	// Method, Scheme, Authority and Path are of requests. Path is in origin form,
	// with the query: "/a?b=c"; "*" for OPTIONS; empty for CONNECT. Authority is
	// what Host or :authority said, with its port if any, and is not among Fields.
	Method    string
	Scheme    string
	Authority string
	Path      string
	// Status is of responses, 100 to 999; 0 for requests.
	Status int
	// Version is that of the sender.
	Version Version
	// ContentLength of the body that follows in bytes, or LengthUnknown. 0 with
	// end of stream: no body. For answers to HEAD it is what the field said.
	ContentLength int64
	// Protocol is what an Upgrade asks for or a 101 grants, e.g. "websocket", or
	// :protocol of an extended CONNECT; empty: none.
	Protocol string
	// Fields in the order in which they came, without hop-by-hop fields (those
	// that Connection names included), Host, Content-Length and Transfer-Encoding:
	// a codec takes them out when it reads and puts its own in when it writes. TE
	// stays only as "trailers".
	Fields []Field
}

// Field is one field line. Names keep the case in which they came from HTTP/1.1
// and are lower case from HTTP/2.
type Field struct {
	Name  string
	Value string
	// ID is that of a known name, else IDOther.
	ID ID
}

// Get is the value of the first field of this name, which must be lower case.
func (h *Head) Get(id ID, name string) (string, bool) {
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID == id && (id != IDOther || EqualFold(f.Name, name)) {
			return f.Value, true
		}
	}
	return "", false
}

// Remove takes out all fields of this name.
func (h *Head) Remove(id ID, name string) {
	kept := h.Fields[:0]
	for _, f := range h.Fields {
		if f.ID == id && (id != IDOther || EqualFold(f.Name, name)) {
			continue
		}
		kept = append(kept, f)
	}
	h.Fields = kept
}

// Add appends a field.
func (h *Head) Add(id ID, name, value string) {
	h.Fields = append(h.Fields, Field{Name: name, Value: value, ID: id})
}

// Reset empties the head and keeps the memory of its fields.
func (h *Head) Reset() {
	fields := h.Fields[:0]
	clear(h.Fields)
	*h = Head{Fields: fields, ContentLength: LengthUnknown}
}

// EqualFold compares field names without regard to the case of ASCII letters.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if lower(x) != lower(y) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
