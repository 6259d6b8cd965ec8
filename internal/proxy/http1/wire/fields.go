package wire

import (
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// block is a field section while it is parsed: the fields go into h, except those
// that concern this connection and framing, whose meaning is noted here.
type block struct {
	buf     []byte
	h       *message.Head
	max     int
	request bool
	trailer bool

	// seen has a bit per known name.
	seen   uint64
	length int64
	host   string
	// coding is the only Transfer-Encoding.
	coding  string
	upgrade string
	// te: TE contained trailers.
	te bool
	// What Connection said; named is set when it names more than options.
	close     bool
	keepAlive bool
	upgrading bool
	named     bool
	// connection has the values of Connection, to remove what they name.
	connection  [maxConnection]string
	connections int
	count       int
}

const maxConnection = 4

// bit is the place of a known name in a set.
func bit(id message.ID) uint64 { return 1 << (id & 63) }

// taken are the fields that do not stay in the head: bit(id) of each.
const taken = 1<<message.IDConnection | 1<<message.IDContentLength | 1<<message.IDHost |
	1<<message.IDHTTP2Settings | 1<<message.IDKeepAlive | 1<<message.IDProxyConnection |
	1<<message.IDTE | 1<<message.IDTransferEncoding | 1<<message.IDUpgrade

// fields parses the lines from i on, up to the empty one. n is the index behind
// it, 0 when more is needed.
//
//nolint:gocyclo // the hot loop of the parser: calls would cost what they hide
func (b *block) fields(i int) (n int, fault Fault) {
	buf := b.buf
	for i < len(buf) {
		start := i
		for i < len(buf) && classes[buf[i]]&inToken != 0 {
			i++
		}
		if i == len(buf) {
			return 0, None
		}
		if i == start || buf[i] != ':' {
			return b.notName(i, start)
		}
		name := text(buf[start:i])
		i++
		for i < len(buf) && (buf[i] == ' ' || buf[i] == '\t') {
			i++
		}
		value := i
		i = valueEnd(buf, i)
		end := i
		if i+1 >= len(buf) || buf[i] != '\r' || buf[i+1] != '\n' {
			return lineEnd(buf, i)
		}
		i += 2
		for end > value && (buf[end-1] == ' ' || buf[end-1] == '\t') {
			end--
		}
		if fault := b.add(name, text(buf[value:end])); fault != None {
			return 0, fault
		}
	}
	return 0, None
}

// notName decides what a line is that does not begin with a name and a colon: the
// empty one at the end, or a fault.
func (b *block) notName(i, start int) (n int, fault Fault) {
	buf := b.buf
	switch c := buf[i]; {
	case i == start && c == '\r':
		return lineEnd(buf, i)
	case c == '\n':
		return 0, FaultBareLF
	case c == '\r' && i+1 < len(buf) && buf[i+1] != '\n':
		return 0, FaultBareCR
	case i == start && (c == ' ' || c == '\t'):
		return 0, FaultFold
	case c == ' ' || c == '\t':
		return 0, FaultNameSpace
	default:
		return 0, FaultName
	}
}

// add takes one field.
func (b *block) add(name, value string) Fault {
	if b.count++; b.count > b.max {
		return FaultFieldMany
	}
	id := message.Lookup(name)
	if b.trailer {
		if forbiddenTrailer(id, name) {
			return None
		}
	} else if bit(id)&taken != 0 {
		return b.special(id, value)
	}
	b.h.Fields = append(b.h.Fields, message.Field{Name: name, Value: value, ID: id})
	return None
}

// forbiddenTrailer says that a field has no business in trailers: it would change
// framing, routing, authentication or how the content is understood after these
// were decided (RFC 9110, section 6.5.1). Such fields are dropped.
func forbiddenTrailer(id message.ID, name string) bool {
	switch id {
	case message.IDGRPCMessage, message.IDGRPCStatus, message.IDServer, message.IDDate:
		return false
	case message.IDOther:
	default:
		return true
	}
	for _, other := range noTrailers {
		if message.EqualFold(name, other) || strings.HasSuffix(other, "-") && hasPrefixFold(name, other) {
			return true
		}
	}
	return false
}

//nolint:gochecknoglobals // a lookup table: names, and prefixes that end with a hyphen
var noTrailers = [...]string{
	"accept-encoding", "age", "cache-control", "content-", "expires", "if-", "max-forwards",
	"pragma", "range", "vary", "www-authenticate", "x-forwarded-",
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && message.EqualFold(s[:len(prefix)], prefix)
}
