package http2

import (
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
)

// blockKind is what a header block is.
type blockKind uint8

const (
	requestBlock blockKind = iota
	responseBlock
	trailerBlock
)

// Pseudo-header fields that were seen, as bits.
const (
	sawMethod uint8 = 1 << iota
	sawScheme
	sawAuthority
	sawPath
	sawProtocol
	sawStatus
)

// block collects a header block into a head and judges it (RFC 9113 section 8).
// The strings are the decoder's own and live as long as they are held.
type block struct {
	head    *message.Head
	kind    blockKind
	pseudo  uint8
	regular bool
	cookies int
	host    string
	hasHost bool
	size    int
	limit   int
	// tooLarge: the list is larger than limit, and the rest is only counted.
	tooLarge bool
	// bad is the first thing that is wrong; empty: nothing.
	bad string
}

// start makes the block ready for a head, which is emptied.
func (b *block) start(head *message.Head, kind blockKind) {
	head.Reset()
	head.Version = message.HTTP2
	*b = block{head: head, kind: kind, limit: b.limit}
}

// emit takes a field from the decoder.
func (b *block) emit(f hpack.HeaderField) {
	b.size += len(f.Name) + len(f.Value) + entryCost
	if b.size > b.limit {
		b.tooLarge = true
		return
	}
	if b.bad != "" {
		return
	}
	if f.Name != "" && f.Name[0] == ':' {
		b.takePseudo(f.Name, f.Value)
		return
	}
	b.regular = true
	if !validName(f.Name) {
		b.bad = "field name is not a lower-case token"
		return
	}
	if !validValue(f.Value) {
		b.bad = "field value with forbidden characters"
		return
	}
	b.takeField(f.Name, f.Value)
}

func (b *block) takePseudo(name, value string) {
	if b.regular {
		b.bad = "pseudo-header field after a regular one"
		return
	}
	bit, to := b.place(name)
	if bit == 0 || b.kind == trailerBlock || (bit == sawStatus) != (b.kind == responseBlock) {
		b.bad = "pseudo-header field that does not belong here"
		return
	}
	if b.pseudo&bit != 0 {
		b.bad = "pseudo-header field twice"
		return
	}
	b.pseudo |= bit
	if bit == sawStatus {
		b.head.Status = parseStatus(value)
		return
	}
	*to = value
}

// place is where a pseudo-header field goes; 0: there is no such field.
func (b *block) place(name string) (bit uint8, to *string) {
	switch name {
	case ":method":
		return sawMethod, &b.head.Method
	case ":scheme":
		return sawScheme, &b.head.Scheme
	case ":authority":
		return sawAuthority, &b.head.Authority
	case ":path":
		return sawPath, &b.head.Path
	case ":protocol":
		return sawProtocol, &b.head.Protocol
	case ":status":
		return sawStatus, nil
	default:
		return 0, nil
	}
}

func (b *block) takeField(name, value string) {
	id := message.Lookup(name)
	switch id {
	case message.IDConnection, message.IDKeepAlive, message.IDProxyConnection, message.IDTransferEncoding, message.IDUpgrade:
		b.bad = "connection-specific field"
		return
	case message.IDTE:
		if b.kind != requestBlock || !message.EqualFold(value, "trailers") {
			b.bad = "TE other than trailers"
			return
		}
	case message.IDHTTP2Settings:
		return
	case message.IDHost:
		b.takeHost(value)
		return
	case message.IDContentLength:
		b.takeLength(value)
		return
	case message.IDCookie:
		b.cookies++
	default:
	}
	b.head.Fields = append(b.head.Fields, message.Field{Name: name, Value: value, ID: id})
}

func (b *block) takeHost(value string) {
	switch {
	case b.kind == trailerBlock:
		b.bad = "host in trailers"
	case b.hasHost:
		b.bad = "host twice"
	default:
		b.host, b.hasHost = value, true
	}
}

func (b *block) takeLength(value string) {
	n := parseLength(value)
	switch {
	case b.kind == trailerBlock:
		b.bad = "content-length in trailers"
	case n < 0:
		b.bad = "content-length is not a number"
	case b.head.ContentLength >= 0 && b.head.ContentLength != n:
		b.bad = "content-lengths that differ"
	default:
		b.head.ContentLength = n
	}
}

// finishRequest judges the whole and completes the head; it returns what is
// wrong with it.
func (b *block) finishRequest(end bool) string {
	if b.bad != "" {
		return b.bad
	}
	h := b.head
	if b.pseudo&sawMethod == 0 || !validToken(h.Method) {
		return ":method missing or not a token"
	}
	if why := b.authority(); why != "" {
		return why
	}
	if why := b.target(); why != "" {
		return why
	}
	// Told now, it is the client's fault; found out by whoever writes HTTP/1.1, it
	// would look like the backend's, and clients could have backends ejected.
	if !wire.ValidRequest(h) {
		return ":authority or :path that no backend would take"
	}
	if b.cookies > 1 {
		b.joinCookies()
	}
	if h.ContentLength > 0 && end {
		return "content-length without a body"
	}
	if end && h.ContentLength < 0 {
		h.ContentLength = 0
	}
	return ""
}

// target checks what a request of its method is aimed at (RFC 9113 section
// 8.3.1 and 8.5, RFC 8441 section 4).
func (b *block) target() string {
	h := b.head
	const sawTarget = sawScheme | sawPath
	if h.Method == "CONNECT" && b.pseudo&sawProtocol == 0 {
		if b.pseudo&sawTarget != 0 {
			return "CONNECT with :scheme or :path"
		}
		return ""
	}
	if b.pseudo&sawTarget != sawTarget {
		return ":scheme or :path missing"
	}
	if !validScheme(h.Scheme) {
		return ":scheme is not one"
	}
	if !validPath(h.Path) && (h.Path != "*" || h.Method != "OPTIONS") {
		return ":path is not in origin form"
	}
	if b.pseudo&sawProtocol == 0 {
		return ""
	}
	if h.Method != "CONNECT" || !validToken(h.Protocol) {
		return ":protocol without CONNECT or not a token"
	}
	// An upgrade is a GET everywhere else in the proxy.
	h.Method = "GET"
	return ""
}

// authority merges :authority and Host: who routes by one and passes on the
// other can be made to do what he did not check.
func (b *block) authority() string {
	h := b.head
	if b.hasHost {
		if b.pseudo&sawAuthority != 0 && !message.EqualFold(b.host, h.Authority) {
			return ":authority and host differ"
		}
		h.Authority = b.host
	}
	if !validAuthority(h.Authority) {
		return ":authority missing or malformed"
	}
	return ""
}

// finishResponse judges a response's head.
func (b *block) finishResponse(end bool) string {
	if b.bad != "" {
		return b.bad
	}
	status := b.head.Status
	switch {
	case b.pseudo&sawStatus == 0 || status < 100:
		return ":status missing or malformed"
	case status == 101:
		return "101 does not exist in HTTP/2"
	case status < 200 && end:
		return "1xx that ends the stream"
	}
	return ""
}

// joinCookies makes one field of the crumbs (RFC 9113 section 8.2.3), as
// HTTP/1.1 and applications need it.
func (b *block) joinCookies() {
	var all strings.Builder
	kept := b.head.Fields[:0]
	at := -1
	for _, f := range b.head.Fields {
		if f.ID != message.IDCookie {
			kept = append(kept, f)
			continue
		}
		if at < 0 {
			at = len(kept)
			kept = append(kept, f)
		} else {
			all.WriteString("; ")
		}
		all.WriteString(f.Value)
	}
	kept[at].Value = all.String()
	b.head.Fields = kept
}
