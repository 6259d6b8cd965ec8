package wire

import (
	"bytes"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// Limits bound a head. All must be above 0.
type Limits struct {
	// Head and Target are in bytes, Fields is a count.
	Head   int
	Target int
	Fields int
}

// Kind is how a body is framed.
type Kind uint8

// The framings. Tunnel is what follows CONNECT or an upgrade, if it is granted.
const (
	NoBody Kind = iota
	ByLength
	Chunked
	UntilClose
	Tunnel
)

// Framing is what a head says about what follows it.
type Framing struct {
	Kind   Kind
	Length int64
	// KeepAlive: the connection can be used again.
	KeepAlive bool
	// Expect: the client waits for 100 (Continue) before it sends the body.
	Expect bool
}

// Asked is what a response answers: it decides whether a body follows.
type Asked uint8

// The kinds of requests whose responses are framed differently.
const (
	AskedOther Asked = iota
	AskedHead
	AskedConnect
	AskedUpgrade
)

// Parser finds heads in a buffer that grows. It tries to parse when the first
// bytes are there, when the first line is, and when all is; between, it only looks
// for the end, from where it stopped. So a head that comes in single bytes costs
// no more than three times one that comes whole.
type Parser struct {
	Limits  Limits
	scanned int
	line    bool
}

// Reset makes the parser ready for the next head.
func (p *Parser) Reset() { p.scanned, p.line = 0, false }

// Request parses the head of a request at the begin of buf. n is its length, 0
// when more bytes are needed: then call again with the same bytes and more. With
// a fault h holds what was understood.
func (p *Parser) Request(buf []byte, h *message.Head, f *Framing) (n int, fault Fault) {
	if p.scanned > 0 && !p.ripe(buf) {
		return 0, p.tooLong(buf)
	}
	b := block{buf: buf, h: h, max: p.Limits.Fields, request: true}
	h.Reset()
	i, fault := requestLine(buf, h, p.Limits.Target)
	if i > 0 && fault == None {
		n, fault = b.fields(i)
	}
	if fault != None {
		return 0, fault
	}
	if n == 0 {
		return 0, p.more(buf)
	}
	if n > p.Limits.Head {
		return 0, FaultHeadLong
	}
	return n, b.finishRequest(f)
}

// Response is as Request, for what a backend sends.
func (p *Parser) Response(buf []byte, h *message.Head, f *Framing, asked Asked) (n int, fault Fault) {
	if p.scanned > 0 && !p.ripe(buf) {
		return 0, p.tooLong(buf)
	}
	b := block{buf: buf, h: h, max: p.Limits.Fields}
	h.Reset()
	i, fault := statusLine(buf, h)
	if i > 0 {
		n, fault = b.fields(i)
	}
	if fault != None {
		return 0, fault
	}
	if n == 0 {
		return 0, p.more(buf)
	}
	if n > p.Limits.Head {
		return 0, FaultHeadLong
	}
	return n, b.finishResponse(f, asked)
}

// trailers parses a trailer section into h, whose other fields it leaves alone.
func (p *Parser) trailers(buf []byte, h *message.Head) (n int, fault Fault) {
	// An empty section has no line before its end that ripe could find.
	if p.scanned > 0 && buf[0] != '\r' && !p.ripe(buf) {
		return 0, p.tooLong(buf)
	}
	b := block{buf: buf, h: h, max: p.Limits.Fields, trailer: true}
	h.Fields = h.Fields[:0]
	n, fault = b.fields(0)
	if n == 0 && fault == None {
		p.line = true
		fault = p.more(buf)
	}
	if n > p.Limits.Head {
		return 0, FaultTrailersLong
	}
	return n, fault
}

// more notes how far the search got in an incomplete head.
func (p *Parser) more(buf []byte) Fault {
	if len(buf) > 0 {
		p.ripe(buf)
		p.scanned = max(p.scanned, 1)
	}
	return p.tooLong(buf)
}

func (p *Parser) tooLong(buf []byte) Fault {
	switch {
	case len(buf) < p.Limits.Head:
		return None
	case !p.line:
		return FaultTargetLong
	default:
		return FaultHeadLong
	}
}

// ripe says that it is worth to parse again: the first line is complete now, or
// the head.
func (p *Parser) ripe(buf []byte) bool {
	i := p.scanned
	for {
		k := bytes.IndexByte(buf[i:], '\n')
		if k < 0 {
			p.scanned = len(buf)
			return false
		}
		lf := i + k
		i = lf + 1
		if !p.line && lf > 1 {
			p.line, p.scanned = true, lf
			return true
		}
		switch {
		case i < len(buf) && buf[i] == '\n', i+1 < len(buf) && buf[i] == '\r':
			if lf > 1 || p.line {
				return true
			}
		case i == len(buf), buf[i] == '\r':
			p.scanned = lf
			return false
		}
	}
}
