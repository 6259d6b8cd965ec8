package wire

import (
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// special notes a field that concerns the connection or the framing.
func (b *block) special(id message.ID, value string) Fault {
	again := b.seen&bit(id) != 0
	b.seen |= bit(id)
	switch id {
	case message.IDHost:
		if again {
			return FaultHostMany
		}
		b.host = value
	case message.IDContentLength:
		return b.contentLength(value, again)
	case message.IDTransferEncoding:
		if again {
			return FaultCoding
		}
		b.coding = value
	case message.IDConnection:
		return b.options(value)
	case message.IDUpgrade:
		b.upgrade = value
		if again {
			b.upgrade = "" // not worth to be understood
		}
	case message.IDTE:
		b.te = b.te || hasOption(value, "trailers")
	default:
		// Keep-Alive and its like end here.
	}
	return None
}

// contentLength takes digits only. Several fields are refused in requests even
// when they agree; in responses RFC 9112, section 6.3 lets a recipient take equal
// ones for one, which misconfigured servers need. A list in one field is refused.
func (b *block) contentLength(value string, again bool) Fault {
	n, ok := decimal(value)
	if !ok {
		return FaultLength
	}
	if again && (b.request || n != b.length) {
		return FaultLengthMany
	}
	b.length = n
	return None
}

// decimal parses 1 to 18 digits: less than a quintillion bytes is enough.
func decimal(s string) (n int64, ok bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	return n, true
}

// options reads a Connection field.
func (b *block) options(value string) Fault {
	if message.EqualFold(value, "keep-alive") {
		b.keepAlive = true
		return None
	}
	for rest := value; rest != ""; {
		var option string
		option, rest = cut(rest)
		switch {
		case option == "":
		case message.EqualFold(option, "close"):
			b.close = true
		case message.EqualFold(option, "keep-alive"):
			b.keepAlive = true
		case message.EqualFold(option, "upgrade"):
			b.upgrading = true
		default:
			if fault := b.name(option); fault != None {
				return fault
			}
		}
	}
	if b.connections == maxConnection {
		return FaultConnection
	}
	b.connection[b.connections] = value
	b.connections++
	return None
}

// name judges a field that Connection names. Those that are for all recipients
// must not be named (RFC 9110, section 7.6.1); who does wants to take away what a
// proxy before us has added.
func (b *block) name(option string) Fault {
	if !all(option, inToken) {
		return FaultConnection
	}
	id := message.Lookup(option)
	switch {
	case id == message.IDOther || id == message.IDTrailer:
		b.named = true
	case id.HopByHop():
	default:
		return FaultConnection
	}
	return None
}

// cut takes the first element of a list.
func cut(list string) (element, rest string) {
	element, rest, _ = strings.Cut(list, ",")
	return trim(element), rest
}

func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// hasOption says that a list has an element, parameters aside.
func hasOption(list, option string) bool {
	for list != "" {
		var element string
		element, list = cut(list)
		if i := strings.IndexByte(element, ';'); i >= 0 {
			element = trim(element[:i])
		}
		if message.EqualFold(element, option) {
			return true
		}
	}
	return false
}

// dropNamed removes the fields that Connection names.
func (b *block) dropNamed() {
	for _, list := range b.connection[:b.connections] {
		for list != "" {
			var option string
			option, list = cut(list)
			if id := message.Lookup(option); id == message.IDOther || id == message.IDTrailer {
				b.h.Remove(id, option)
			}
		}
	}
}

func (b *block) has(id message.ID) bool { return b.seen&bit(id) != 0 }

// persists says whether the connection can be used again.
func (b *block) persists() bool {
	if b.h.Version == message.HTTP10 {
		return b.keepAlive && !b.close
	}
	return !b.close
}

// finishRequest draws the conclusions from a request's fields.
func (b *block) finishRequest(f *Framing) Fault {
	h := b.h
	*f = Framing{KeepAlive: b.persists()}
	if fault := b.authority(); fault != None {
		return fault
	}
	if fault := b.requestBody(f); fault != None {
		return fault
	}
	if h.Method == "CONNECT" {
		if f.Kind == Chunked || f.Length > 0 {
			return FaultConnectBody
		}
		f.Kind = Tunnel
		h.ContentLength = message.LengthUnknown
	} else if b.upgrading && b.mayUpgrade(f) {
		f.Kind = Tunnel
		h.Protocol = b.upgrade
	}
	if b.named {
		b.dropNamed()
	}
	if b.te {
		h.Add(message.IDTE, "TE", "trailers")
	}
	b.expect(f)
	return None
}

// authority finds out whom the request is for.
func (b *block) authority() Fault {
	h := b.h
	if !b.has(message.IDHost) {
		if h.Version != message.HTTP10 {
			return FaultHostMissing
		}
		return None
	}
	if !validAuthority(b.host) {
		return FaultHost
	}
	if h.Authority == "" {
		h.Authority = b.host
	}
	return None
}

func (b *block) requestBody(f *Framing) Fault {
	h := b.h
	h.ContentLength = 0
	if b.has(message.IDTransferEncoding) {
		f.Kind = Chunked
		h.ContentLength = message.LengthUnknown
		return b.checkCoding()
	}
	if b.length > 0 {
		f.Kind = ByLength
		f.Length = b.length
		h.ContentLength = b.length
	}
	return None
}

// checkCoding takes nothing but chunked alone, RFC 9112, section 6.1.
func (b *block) checkCoding() Fault {
	switch {
	case b.has(message.IDContentLength):
		return FaultLengthAndCoding
	case b.h.Version == message.HTTP10:
		return FaultCodingVersion
	case message.EqualFold(b.coding, "chunked"):
		return None
	default:
		return codingFault(b.coding)
	}
}

// codingFault tells codings that we do not know, before chunked, from lists that
// do not frame the body.
func codingFault(list string) Fault {
	if first, _ := cut(list); message.EqualFold(first, "chunked") {
		return FaultCoding
	}
	last := ""
	for list != "" {
		if message.EqualFold(last, "chunked") {
			return FaultCoding
		}
		last, list = cut(list)
		if !all(last, inToken) {
			return FaultCoding
		}
	}
	if message.EqualFold(last, "chunked") {
		return FaultCodingUnknown
	}
	return FaultCoding
}

// mayUpgrade says that an upgrade is passed on. Not from HTTP/1.0 and not to h2c,
// whose requests would go past all that is decided here. With a body it would be
// unclear where the new protocol begins.
func (b *block) mayUpgrade(f *Framing) bool {
	return b.h.Version == message.HTTP11 && f.Kind == NoBody && protocol(b.upgrade) && !message.EqualFold(b.upgrade, "h2c")
}

// protocol says that s names one protocol: a token with perhaps a version.
func protocol(s string) bool {
	name, ver, ok := strings.Cut(s, "/")
	return all(name, inToken) && (!ok || all(ver, inToken))
}

// expect notes whether the client waits. HTTP/1.0 knows nothing of it: RFC 9110,
// section 10.1.1.
func (b *block) expect(f *Framing) {
	h := b.h
	for i := range h.Fields {
		if h.Fields[i].ID != message.IDExpect {
			continue
		}
		if h.Version == message.HTTP10 {
			h.Remove(message.IDExpect, "")
			return
		}
		f.Expect = f.Expect || message.EqualFold(h.Fields[i].Value, "100-continue")
	}
	f.Expect = f.Expect && (f.Kind == Chunked || f.Kind == ByLength)
}

// finishResponse draws the conclusions from a response's fields.
func (b *block) finishResponse(f *Framing, asked Asked) Fault {
	h := b.h
	*f = Framing{KeepAlive: b.persists()}
	if b.has(message.IDTransferEncoding) {
		if fault := b.checkCoding(); fault != None {
			return fault
		}
	}
	if b.named {
		b.dropNamed()
	}
	if (h.Status == 101 || h.Status == 426) && b.upgrading && protocol(b.upgrade) {
		h.Protocol = b.upgrade
	}
	if h.Status == 101 && (asked != AskedUpgrade || h.Protocol == "") {
		return FaultUpgrade
	}
	h.ContentLength = message.LengthUnknown
	if b.has(message.IDContentLength) {
		h.ContentLength = b.length
	}
	b.responseBody(f, asked)
	return None
}

// responseBody follows the order of RFC 9112, section 6.3.
func (b *block) responseBody(f *Framing, asked Asked) {
	h := b.h
	switch {
	case h.Status == 101, asked == AskedConnect && h.Status/100 == 2:
		f.Kind = Tunnel
		h.ContentLength = message.LengthUnknown
	case h.Status < 200 || h.Status == 204:
		h.ContentLength = 0
	case asked == AskedHead || h.Status == 304:
	case b.has(message.IDTransferEncoding):
		f.Kind = Chunked
		h.ContentLength = message.LengthUnknown
	case b.length > 0:
		f.Kind, f.Length = ByLength, b.length
	case !b.has(message.IDContentLength):
		f.Kind, f.KeepAlive = UntilClose, false
	}
}
