package rules

import (
	"strings"
	"testing"
)

// TestRequests are rules about what becomes of a request of HTTP/1.
func TestRequests(t *testing.T) {
	runRows(t, []row{
		// Connection-specific fields.
		{
			section: "RFC 9110, 7.6.1", name: "fields that Connection names are removed",
			send: request("GET /", "Connection: X-Hop , keep-alive", "X-Hop: 1", "X-End: 2"),
			sees: []string{"x-end: 2"}, hides: []string{"x-hop", "connection:", "keep-alive"},
		},
		{
			section: "RFC 9110, 7.6.1", name: "in several Connection fields, in any case",
			send: request("GET /", "connection: x-one", "X-One: 1", "CONNECTION: X-TWO", "x-two: 2"), hides: []string{"x-one", "x-two"},
		},
		{
			section: "RFC 9110, 7.6.1", name: "known hop-by-hop fields are removed though nothing names them",
			send:  request("GET /", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: gzip", "Upgrade: websocket"),
			hides: []string{"keep-alive", "proxy-connection", "te:", "upgrade"},
		},
		{
			section: "RFC 9110, 7.6.1", name: "close ends the client's connection, not the backend's",
			send: request("GET /", "Connection: close"), hides: []string{"close"}, gets: []string{"connection: close"}, closed: true,
		},
		// Via.
		{section: "RFC 9110, 7.6.3", name: "Via is added", send: request("GET /"), sees: []string{"via: 1.1 tatami"}},
		{
			section: "RFC 9110, 7.6.3", name: "behind those of others",
			send: request("GET /", "Via: 1.1 first"), sees: []string{"via: 1.1 first\r\n"}, hides: []string{"tatami\r\nvia: 1.1 first"},
		},
		{section: "RFC 9110, 7.6.3", name: "with the version received", send: "GET / HTTP/1.0\r\nHost: a\r\n\r\n", sees: []string{"via: 1.0 tatami", "GET / HTTP/1.1"}, closed: true},
		// Max-Forwards.
		{
			section: "RFC 9110, 7.6.2", name: "OPTIONS with Max-Forwards 0 is not forwarded", unseen: true,
			send: request("OPTIONS /", "Max-Forwards: 0"), gets: []string{"HTTP/1.1 200 OK"},
		},
		{
			section: "RFC 9110, 7.6.2", name: "TRACE with Max-Forwards 0 is not forwarded", unseen: true,
			send: request("TRACE /", "Max-Forwards: 0"), gets: []string{"HTTP/1.1 405 Method Not Allowed"},
		},
		{section: "RFC 9110, 7.6.2", name: "OPTIONS counts down", send: request("OPTIONS *", "Max-Forwards: 7"), sees: []string{"max-forwards: 6", "OPTIONS * HTTP/1.1"}},
		{section: "RFC 9110, 7.6.2", name: "TRACE counts down", send: request("TRACE /", "Max-Forwards: 10"), sees: []string{"max-forwards: 9"}},
		{section: "RFC 9110, 7.6.2", name: "other methods may ignore it", send: request("GET /", "Max-Forwards: 0"), sees: []string{"max-forwards: 0"}},
		{section: "RFC 9110, 7.6.2", name: "what is no number is left alone", send: request("OPTIONS /", "Max-Forwards: many"), sees: []string{"max-forwards: many"}},
		// Host and target.
		{
			section: "RFC 9112, 3.2.2", name: "absolute-form goes before Host",
			send: "GET http://real.example:81/a?b HTTP/1.1\r\nHost: other.example\r\n\r\n",
			sees: []string{"GET /a?b HTTP/1.1", "host: real.example:81"}, hides: []string{"other.example", "http://"},
		},
		{section: "RFC 9112, 3.2.2", name: "absolute-form without a path", send: "GET http://real.example HTTP/1.1\r\nHost: a\r\n\r\n", sees: []string{"GET / HTTP/1.1", "host: real.example"}},
		{section: "RFC 9112, 3.2.4", name: "OPTIONS of a whole server becomes an asterisk", send: "OPTIONS http://real.example HTTP/1.1\r\nHost: a\r\n\r\n", sees: []string{"OPTIONS * HTTP/1.1", "host: real.example"}},
		{section: "RFC 9112, 3.2.4", name: "asterisk-form", send: request("OPTIONS *"), sees: []string{"OPTIONS * HTTP/1.1", "host: example.com"}},
		{section: "RFC 9112, 3.2.4", name: "asterisk is for OPTIONS only", send: request("GET *"), unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 3.2", name: "no Host", send: "GET / HTTP/1.1\r\n\r\n", unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 3.2", name: "two Hosts", send: request("GET /", "Host: example.com"), unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 3.2", name: "a Host that is none", send: "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 3.2.3", name: "authority-form is for CONNECT only", send: request("GET example.com:80"), unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 3.2", name: "Host is the first field", send: "GET / HTTP/1.1\r\nA: 1\r\nHost: h\r\n\r\n", sees: []string{"GET / HTTP/1.1\r\nhost: h\r\n", "a: 1"}},
		{section: "RFC 9110, 4.2.4", name: "user information in the target", send: "GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n", unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9110, 9.3.6", name: "CONNECT is refused where it is not allowed", send: "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", unseen: true, gets: []string{"HTTP/1.1 405 Method Not Allowed"}},
		{section: "RFC 9110, 15.5.6", name: "405 says what is allowed", send: "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", unseen: true, gets: []string{"allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}},
		{
			section: "RFC 9110, 9.3.6", name: "CONNECT in authority-form", to: "connect",
			send: "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", answer: "HTTP/1.1 200 OK\r\n\r\n" + closeAfter,
			sees: []string{"CONNECT a.example:443 HTTP/1.1", "host: a.example:443"}, gets: []string{"HTTP/1.1 200 OK"}, lacks: []string{"content-length", "transfer-encoding"},
		},
		{
			section: "RFC 9110, 9.3.6", name: "CONNECT that the backend refuses", to: "connect",
			send: "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", answer: response("403 Forbidden", "no"), gets: []string{"HTTP/1.1 403 Forbidden", "\r\n\r\nno"},
		},
		// What is not ours to change.
		{section: "RFC 9110, 9.1", name: "unknown methods are relayed", send: request("BREW /pot"), sees: []string{"BREW /pot HTTP/1.1"}},
		{section: "RFC 9110, 9.1", name: "methods know case", send: request("get /"), sees: []string{"get / HTTP/1.1"}},
		{
			section: "RFC 9110, 5.3", name: "fields of a name keep their order",
			send: request("GET /", "A: 1", "B: x", "A: 2", "a: 3"), sees: []string{"a: 1\r\nb: x\r\na: 2\r\na: 3\r\n"},
		},
		{
			section: "RFC 9110, 5.5", name: "values keep their inner and lose their outer space",
			send: request("GET /", "A:   x \t y  "), sees: []string{"a: x \t y\r\n"},
		},
		{section: "RFC 9110, 5.5", name: "octets above 0x7f are opaque", send: request("GET /", "A: \xe9\xff"), sees: []string{"a: \xe9\xff"}},
		{section: "RFC 9110, 5.1", name: "unknown fields are forwarded, empty ones too", send: request("GET /", "X-Nobody-Knows:", "Empty: "), sees: []string{"x-nobody-knows: ", "empty: "}},
		{
			section: "RFC 9110, 13.1 and 14.2", name: "conditions and ranges are the origin's",
			send: request("GET /", `If-Match: "a"`, "If-Range: x", "Range: bytes=0-1", "If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT"),
			sees: []string{`if-match: "a"`, "if-range: x", "range: bytes=0-1", "if-modified-since: Sat, 29 Oct 1994 19:43:31 GMT"},
		},
		{
			// A gateway may bring a path into normal form (RFC 3986, 6.2.2), which
			// changes no meaning.
			section: "RFC 9110, 7.7", name: "the path keeps its meaning, the query its bytes",
			send: request("GET /a%20b//%2F;p?q=%zz&r=%41+b/../c"), sees: []string{"GET /a%20b//%2F;p?q=%zz&r=%41+b/../c HTTP/1.1"},
		},
		{section: "RFC 9110, 11.6.2", name: "Authorization is forwarded", send: request("GET /", "Authorization: Basic eDp5"), sees: []string{"authorization: Basic eDp5"}},
		{section: "RFC 9110, 7.6.1", name: "Cookie fields of HTTP/1.1 stay as they are", send: request("GET /", "Cookie: a=b; c=d"), sees: []string{"cookie: a=b; c=d"}},
		{section: "RFC 9110, 12.5.3", name: "Accept-Encoding is end to end", send: request("GET /", "Accept-Encoding: gzip;q=0.5"), sees: []string{"accept-encoding: gzip;q=0.5"}},
		// TE and trailers.
		{section: "RFC 9110, 10.1.4", name: "TE trailers is our own promise", send: request("GET /", "Connection: TE", "TE: trailers, gzip;q=0.5"), sees: []string{"te: trailers", "connection: TE"}, hides: []string{"gzip"}},
		{
			section: "RFC 9110, 6.5", name: "trailers are forwarded",
			send: request("POST /", "Transfer-Encoding: chunked", "Trailer: X-Sum") + "3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n",
			sees: []string{"transfer-encoding: chunked", "trailer: X-Sum", "\r\n0\r\nx-sum: 9\r\n\r\n"},
		},
		{
			section: "RFC 9110, 6.5.1", name: "trailers that must not be merged are dropped",
			send:  request("POST /", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nContent-Length: 9\r\nHost: evil\r\nAuthorization: x\r\nX-Sum: 9\r\n\r\n",
			sees:  []string{"x-sum: 9"},
			hides: []string{"evil", "authorization", "content-length"},
		},
		// Bodies.
		{section: "RFC 9112, 6.2", name: "Content-Length stays", send: request("POST /", "Content-Length: 3") + "abc", sees: []string{"content-length: 3", "\r\n\r\nabc"}, hides: []string{"transfer-encoding"}},
		{section: "RFC 9110, 8.6", name: "an empty body is told for methods that expect one", send: request("POST /", "Content-Length: 0"), sees: []string{"content-length: 0"}},
		{section: "RFC 9110, 8.6", name: "no body, no Content-Length", send: request("GET /"), hides: []string{"content-length", "transfer-encoding"}},
		{section: "RFC 9110, 9.3.1", name: "GET with a body is relayed whole", send: request("GET /", "Content-Length: 2") + "xy", sees: []string{"content-length: 2", "\r\n\r\nxy"}},
		{
			section: "RFC 9112, 7.1.1", name: "chunk extensions are dropped",
			send: request("POST /", "Transfer-Encoding: chunked") + "3;a=b;c=\"d\"\r\nabc\r\n0;last\r\n\r\n", sees: []string{"\r\n3\r\nabc\r\n"}, hides: []string{"a=b", "last"},
		},
		{section: "RFC 9112, 6.1", name: "chunked in any case", send: request("POST /", "Transfer-Encoding: CHUNKED") + "1\r\nx\r\n0\r\n\r\n", sees: []string{"transfer-encoding: chunked"}},
		{section: "RFC 9112, 6.1", name: "an unknown coding", send: request("POST /", "Transfer-Encoding: foo, chunked") + "0\r\n\r\n", unseen: true, gets: []string{"HTTP/1.1 501 Not Implemented"}, closed: true},
		{section: "RFC 9112, 6.3", name: "chunked is not the last coding", send: request("POST /", "Transfer-Encoding: chunked, gzip"), unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 6.1", name: "Transfer-Encoding with Content-Length", send: request("POST /", "Transfer-Encoding: chunked", "Content-Length: 3") + "0\r\n\r\n", unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 6.1", name: "Transfer-Encoding in HTTP/1.0", send: "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 6.3", name: "an invalid Content-Length", send: request("POST /", "Content-Length: +3") + "abc", unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 6.3", name: "different Content-Lengths", send: request("POST /", "Content-Length: 3", "Content-Length: 4") + "abcd", unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 7.1", name: "a chunk size that overflows", send: request("POST /", "Transfer-Encoding: chunked") + "fffffffffffffffff\r\n", maybe: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		// Syntax.
		{section: "RFC 9112, 2.2", name: "an empty line before the request line", send: "\r\n" + request("GET /"), sees: []string{"GET / HTTP/1.1"}},
		{section: "RFC 9112, 2.2", name: "a bare CR", send: request("GET /", "A: x\ry"), unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 2.2", name: "space before the first field", send: "GET / HTTP/1.1\r\n Host: a\r\n\r\n", unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 3", name: "space in the target", send: request("GET /a b"), unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 5.1", name: "space before the colon", send: request("GET /", "A : b"), unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9112, 5.2", name: "obsolete folding", send: request("GET /", "A: b", " c"), unseen: true, gets: []string{"HTTP/1.1 400 Bad Request"}, closed: true},
		{section: "RFC 9110, 15.5.15", name: "a target that is too long", send: request("GET /" + strings.Repeat("a", 9000)), unseen: true, gets: []string{"HTTP/1.1 414 URI Too Long"}, closed: true},
		{section: "RFC 6585, 5", name: "fields that are too many", send: request("GET /", strings.Split(strings.Repeat("A: b,", 200)+"A: b", ",")...), unseen: true, gets: []string{"HTTP/1.1 431 Request Header Fields Too Large"}, closed: true},
		{section: "RFC 9110, 15.6.6", name: "a major version that is not known", send: "GET / HTTP/3.0\r\nHost: a\r\n\r\n", unseen: true, gets: []string{"HTTP/1.1 505 HTTP Version Not Supported"}, closed: true},
		{section: "RFC 9110, 2.5", name: "a higher minor version is read as ours", send: "GET / HTTP/1.9\r\nHost: a\r\n\r\n", sees: []string{"GET / HTTP/1.1", "via: 1.1 tatami"}},
		// Connections.
		{section: "RFC 9112, 9.3", name: "HTTP/1.0 ends the connection", send: "GET / HTTP/1.0\r\n\r\n", closed: true},
		{
			section: "RFC 9112, 9.3", name: "unless it asks to keep it",
			send: "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\nHost: a\r\n\r\n", responses: 2, gets: []string{"connection: keep-alive"},
		},
		{
			section: "RFC 9112, 9.3.2", name: "pipelined requests are answered in order, each once", responses: 3,
			send: request("GET /1") + request("POST /2", "Content-Length: 2") + "xx" + request("GET /3"), sees: []string{"GET /1 HTTP/1.1", "POST /2 HTTP/1.1", "GET /3 HTTP/1.1"},
		},
		{section: "RFC 9110, 10.1.1", name: "Expect is forwarded", send: request("POST /", "Expect: 100-continue", "Content-Length: 2") + "xy", sees: []string{"expect: 100-continue"}, gets: []string{"HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"}},
		{section: "RFC 9110, 10.1.1", name: "Expect of HTTP/1.0 is not", send: "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nxy", hides: []string{"expect"}, lacks: []string{"100 Continue"}, closed: true},
		{section: "RFC 9110, 7.8", name: "Upgrade needs Connection", send: request("GET /", "Upgrade: websocket"), hides: []string{"upgrade"}},
		{section: "RFC 9110, 7.8", name: "an Upgrade that is asked for is forwarded", send: request("GET /", "Connection: Upgrade", "Upgrade: websocket"), sees: []string{"upgrade: websocket"}},
		{section: "RFC 9110, 7.8", name: "not from HTTP/1.0", send: "GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", hides: []string{"upgrade"}, closed: true},
		{section: "RFC 9113, 3.1", name: "an upgrade to h2c is ignored", send: request("GET /", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"), hides: []string{"h2c", "http2-settings"}, gets: []string{"HTTP/1.1 200 OK"}},
	})
}
