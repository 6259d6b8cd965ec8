package wire_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
)

// describe says in one line what was read.
func describe(h *message.Head, f *wire.Framing) string {
	first := fmt.Sprintf("%s %s %s", h.Method, h.Authority, h.Path)
	if h.Status > 0 {
		first = fmt.Sprint(h.Status)
	}
	kind := [...]string{"none", "length", "chunked", "close", "tunnel"}[f.Kind]
	keep := "keep"
	if !f.KeepAlive {
		keep = "once"
	}
	s := fmt.Sprintf("%s | %s %d %s", first, kind, h.ContentLength, keep)
	if h.Protocol != "" {
		s += " to " + h.Protocol
	}
	for _, x := range h.Fields {
		s += " | " + x.Name + ": " + x.Value
	}
	return s
}

// TestRequestRules: each row is a rule of the RFCs and names its section. A want
// of three digits is the status of a refusal.
func TestRequestRules(t *testing.T) {
	const host = "Host: a\r\n"
	tests := []struct{ section, rule, raw, want string }{
		{"9112 2.2", "lines end with CRLF", "GET / HTTP/1.1\n" + host + "\n", "400"},
		{"9112 2.2", "a bare CR is refused", "GET / HTTP/1.1\r\nX: a\rb\r\n" + host + "\r\n", "400"},
		{"9112 2.2", "an empty line before is ignored", "\r\nGET / HTTP/1.1\r\n" + host + "\r\n", "GET a / | none 0 keep"},
		{"9112 2.2", "white space before the first field is refused", "GET / HTTP/1.1\r\n X: a\r\n" + host + "\r\n", "400"},
		{"9112 2.3", "HTTP-name has a case", "GET / http/1.1\r\n" + host + "\r\n", "400"},
		{"9110 2.5", "a higher minor version is 1.1", "GET / HTTP/1.9\r\n" + host + "\r\n", "GET a / | none 0 keep"},
		{"9110 15.6.6", "another major version is 505", "GET / HTTP/2.0\r\n" + host + "\r\n", "505"},
		{"9112 3", "one space between the parts", "GET  / HTTP/1.1\r\n" + host + "\r\n", "400"},
		{"9112 3", "too long a method is 501", strings.Repeat("M", 99) + " / HTTP/1.1\r\n" + host + "\r\n", "501"},
		{"9112 3", "too long a target is 414", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\n" + host + "\r\n", "414"},
		{"9110 9.1", "methods have a case", "get / HTTP/1.1\r\n" + host + "\r\n", "get a / | none 0 keep"},
		{"9112 3.2", "no white space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", "400"},
		{"9112 3.2", "Host is required", "GET / HTTP/1.1\r\n\r\n", "400"},
		{"9112 3.2", "one Host", "GET / HTTP/1.1\r\n" + host + host + "\r\n", "400"},
		{"9112 3.2", "a valid Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
		{"9112 3.2.1", "origin form", "GET /a?b=c HTTP/1.1\r\n" + host + "\r\n", "GET a /a?b=c | none 0 keep"},
		{"9112 3.2.2", "absolute form is accepted and wins", "GET http://b:8/c HTTP/1.1\r\n" + host + "\r\n", "GET b:8 /c | none 0 keep"},
		{"9112 3.2.3", "authority form for CONNECT", "CONNECT b:443 HTTP/1.1\r\n" + host + "\r\n", "CONNECT b:443  | tunnel -1 keep"},
		{"9112 3.2.3", "and for nothing else", "GET b:443 HTTP/1.1\r\n" + host + "\r\n", "400"},
		{"9112 3.2.4", "asterisk form for OPTIONS", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "OPTIONS a * | none 0 keep"},
		{"9110 4.2.4", "no user information", "GET http://u:p@b/ HTTP/1.1\r\n" + host + "\r\n", "400"},
		{"9112 5.1", "no space before the colon", "GET / HTTP/1.1\r\n" + host + "X : a\r\n\r\n", "400"},
		{"9112 5.1", "white space around the value is not part of it", "GET / HTTP/1.1\r\n" + host + "X: \t a b \t\r\n\r\n", "GET a / | none 0 keep | X: a b"},
		{"9112 5.2", "obs-fold is refused", "GET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n", "400"},
		{"9110 5.1", "a name is a token", "GET / HTTP/1.1\r\n" + host + "X@: a\r\n\r\n", "400"},
		{"9110 5.3", "order is kept", "GET / HTTP/1.1\r\nB: 1\r\n" + host + "A: 2\r\nB: 3\r\n\r\n", "GET a / | none 0 keep | B: 1 | A: 2 | B: 3"},
		{"9110 5.4", "too many fields are 431", "GET / HTTP/1.1\r\n" + host + strings.Repeat("X: a\r\n", 200) + "\r\n", "431"},
		{"9110 5.4", "too large a head is 431", "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("a", 70000) + "\r\n\r\n", "431"},
		{"9110 5.5", "no control characters in values", "GET / HTTP/1.1\r\n" + host + "X: a\x01\r\n\r\n", "400"},
		{"9110 5.5", "obs-text is opaque", "GET / HTTP/1.1\r\n" + host + "X: \xff\r\n\r\n", "GET a / | none 0 keep | X: \xff"},
		{"9112 6.1", "chunked", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: Chunked\r\n\r\n", "POST a / | chunked -1 keep"},
		{"9112 6.1", "an unknown coding is 501", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", "501"},
		{"9112 6.1", "no coding in 1.0", "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n", "400"},
		{"9112 6.3", "chunked is last", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, gzip\r\n\r\n", "400"},
		{"9112 6.3", "coding and length together", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "400"},
		{"9112 6.3", "an invalid length", "POST / HTTP/1.1\r\n" + host + "Content-Length: 1x\r\n\r\n", "400"},
		{"9112 6.3", "no length is no body", "POST / HTTP/1.1\r\n" + host + "\r\n", "POST a / | none 0 keep"},
		{"9110 8.6", "length", "POST / HTTP/1.1\r\n" + host + "Content-Length: 12\r\n\r\n", "POST a / | length 12 keep"},
		{"9110 7.6.1", "hop-by-hop fields go", "GET / HTTP/1.1\r\n" + host + "Connection: x-own, keep-alive\r\nX-Own: 1\r\nKeep-Alive: 5\r\nProxy-Connection: z\r\nY: 2\r\n\r\n", "GET a / | none 0 keep | Y: 2"},
		{"9110 7.6.1", "options have no case", "GET / HTTP/1.1\r\n" + host + "Connection: , CLOSE ,\r\n\r\n", "GET a / | none 0 once"},
		{"9110 7.6.1", "options for all recipients must not be", "GET / HTTP/1.1\r\n" + host + "Connection: Authorization\r\n\r\n", "400"},
		{"9110 7.8", "upgrade", "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET a / | tunnel 0 keep to websocket"},
		{"9110 7.8", "upgrade without Connection is none", "GET / HTTP/1.1\r\n" + host + "Upgrade: websocket\r\n\r\n", "GET a / | none 0 keep"},
		{"9110 7.8", "no upgrade in 1.0", "GET / HTTP/1.0\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET a / | none 0 once"},
		{"9110 10.1.1", "no expectation in 1.0", "POST / HTTP/1.0\r\n" + host + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n", "POST a / | length 1 once"},
		{"9110 10.1.4", "TE stays as trailers", "GET / HTTP/1.1\r\n" + host + "Connection: TE\r\nTE: deflate;q=0.5, trailers\r\n\r\n", "GET a / | none 0 keep | TE: trailers"},
		{"9110 10.1.4", "or not at all", "GET / HTTP/1.1\r\n" + host + "Connection: TE\r\nTE: deflate\r\n\r\n", "GET a / | none 0 keep"},
		{"9112 9.3", "1.0 ends unless asked", "GET / HTTP/1.0\r\n\r\n", "GET  / | none 0 once"},
		{"9112 9.3", "1.0 stays when asked", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET  / | none 0 keep"},
		{"9112 9.3", "close wins", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET  / | none 0 once"},
	}
	for _, tt := range tests {
		t.Run(tt.section+" "+tt.rule, func(t *testing.T) {
			for _, first := range []int{len(tt.raw), 1} {
				p := wire.Parser{Limits: limits()}
				var h message.Head
				var f wire.Framing
				n, fault := 0, wire.None
				for k := first; k <= len(tt.raw) && n == 0 && fault == wire.None; k++ {
					n, fault = p.Request([]byte(tt.raw[:k]), &h, &f)
				}
				got := describe(&h, &f)
				if fault != wire.None {
					got = fmt.Sprint(fault.Status())
				} else if n != len(tt.raw) {
					got = fmt.Sprintf("%d bytes of %d", n, len(tt.raw))
				}
				if got != tt.want {
					t.Errorf("from %d on: got %q (%s), want %q", first, got, fault, tt.want)
				}
			}
		})
	}
}

// TestResponseRules: as above; what is refused is "fault".
func TestResponseRules(t *testing.T) {
	const length = "Content-Length: 5\r\n"
	tests := []struct {
		section, rule, raw string
		asked              wire.Asked
		want               string
	}{
		{"9112 4", "three digits", "HTTP/1.1 20 OK\r\n\r\n", 0, "fault"},
		{"9112 4", "the reason may be missing", "HTTP/1.1 200 \r\n" + length + "\r\n", 0, "200 | length 5 keep"},
		{"9110 15", "unknown codes are passed on", "HTTP/1.1 799 Odd\r\n" + length + "\r\n", 0, "799 | length 5 keep"},
		{"9112 6.3.1", "HEAD has no body", "HTTP/1.1 200 OK\r\n" + length + "\r\n", wire.AskedHead, "200 | none 5 keep"},
		{"9112 6.3.1", "204 has none", "HTTP/1.1 204 OK\r\n\r\n", 0, "204 | none 0 keep"},
		{"9112 6.3.1", "304 has none", "HTTP/1.1 304 OK\r\n" + length + "\r\n", 0, "304 | none 5 keep"},
		{"9112 6.3.1", "1xx has none", "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", 0, "103 | none 0 keep | Link: x"},
		{"9112 6.3.2", "2xx to CONNECT is a tunnel", "HTTP/1.1 200 OK\r\n" + length + "\r\n", wire.AskedConnect, "200 | tunnel -1 keep"},
		{"9112 6.3.2", "others are not", "HTTP/1.1 403 No\r\n" + length + "\r\n", wire.AskedConnect, "403 | length 5 keep"},
		{"9112 6.3.3", "coding and length together", "HTTP/1.1 200 OK\r\n" + length + "Transfer-Encoding: chunked\r\n\r\n", 0, "fault"},
		{"9112 6.3.4", "chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, "200 | chunked -1 keep"},
		{"9112 6.3.4", "chunked is last", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 0, "fault"},
		{"9112 6.3.5", "equal lengths are one", "HTTP/1.1 200 OK\r\n" + length + length + "\r\n", 0, "200 | length 5 keep"},
		{"9112 6.3.5", "others are not", "HTTP/1.1 200 OK\r\n" + length + "Content-Length: 6\r\n\r\n", 0, "fault"},
		{"9112 6.3.8", "else until close", "HTTP/1.1 200 OK\r\n\r\n", 0, "200 | close -1 once"},
		{"9110 7.8", "101", "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", wire.AskedUpgrade, "101 | tunnel -1 keep to websocket"},
		{"9110 7.8", "101 names the protocol", "HTTP/1.1 101 Go\r\nConnection: upgrade\r\n\r\n", wire.AskedUpgrade, "fault"},
		{"9110 7.8", "101 only where asked for", "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 0, "fault"},
		{"9110 15.5.22", "426 says to what", "HTTP/1.1 426 No\r\nConnection: upgrade\r\nUpgrade: TLS/1.3\r\nContent-Length: 0\r\n\r\n", 0, "426 | none 0 keep to TLS/1.3"},
		{"9110 7.6.1", "hop-by-hop fields go", "HTTP/1.1 200 OK\r\nConnection: close, own\r\nOwn: 1\r\nKeep-Alive: 1\r\nY: 2\r\n" + length + "\r\n", 0, "200 | length 5 once | Y: 2"},
		{"9112 9.3", "1.0 ends unless it says otherwise", "HTTP/1.0 200 OK\r\n" + length + "\r\n", 0, "200 | length 5 once"},
		{"9112 2.3", "no other version", "HTTP/3.0 200 OK\r\n\r\n", 0, "fault"},
	}
	for _, tt := range tests {
		t.Run(tt.section+" "+tt.rule, func(t *testing.T) {
			for _, first := range []int{len(tt.raw), 1} {
				p := wire.Parser{Limits: limits()}
				var h message.Head
				var f wire.Framing
				n, fault := 0, wire.None
				for k := first; k <= len(tt.raw) && n == 0 && fault == wire.None; k++ {
					n, fault = p.Response([]byte(tt.raw[:k]), &h, &f, tt.asked)
				}
				got := describe(&h, &f)
				if fault != wire.None || n != len(tt.raw) {
					got = "fault"
				}
				if got != tt.want {
					t.Errorf("from %d on: got %q (%s), want %q", first, got, fault, tt.want)
				}
			}
		})
	}
}

// TestSearchIsLinear: a head that comes in single bytes is looked at a few times,
// not once per byte.
func TestSearchIsLinear(t *testing.T) {
	raw := []byte("GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 60000) + "\r\n\r\n")
	var h message.Head
	var f wire.Framing
	p := wire.Parser{Limits: limits()}
	began := time.Now()
	for k := range raw {
		p.Request(raw[:k+1], &h, &f)
	}
	// 60,000 calls of a few nanoseconds are below a millisecond; a parse from the
	// start each time would take a second and more.
	if took := time.Since(began); took > 400*time.Millisecond {
		t.Errorf("%v for a head in single bytes", took)
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	p := wire.Parser{Limits: limits()}
	var h message.Head
	var f wire.Framing
	var body wire.Body
	request, answer := []byte(browserHead), []byte(smallAnswer)
	chunks := []byte("3;x=y\r\nabc\r\n0\r\nSum: 1\r\n\r\n")
	dst := make([]byte, 0, 8<<10)
	allocs := testing.AllocsPerRun(100, func() {
		p.Reset()
		if n, _ := p.Request(request, &h, &f); n == 0 {
			t.Fatal("not parsed")
		}
		dst = wire.AppendRequest(dst[:0], &h, wire.Outgoing{Length: -1})
		p.Reset()
		if n, _ := p.Response(answer, &h, &f, 0); n == 0 {
			t.Fatal("not parsed")
		}
		dst = wire.AppendResponse(dst[:0], &h, wire.Outgoing{Length: 2})
		f.Kind = wire.Chunked
		body.Start(&f, limits())
		for at := 0; !body.Ended(); {
			_, n, fault := body.Next(chunks[at:])
			if at += n; n == 0 || fault != wire.None {
				t.Fatal(at, fault)
			}
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}
