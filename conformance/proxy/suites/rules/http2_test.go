package rules

import (
	"testing"

	"golang.org/x/net/http2"
)

// TestHTTP2ToHTTP1 are rules about requests of HTTP/2 to backends of HTTP/1.1.
func TestHTTP2ToHTTP1(t *testing.T) {
	const malformed = "[RST_STREAM PROTOCOL_ERROR]"
	runRows(t, []row{
		{
			section: "RFC 9113, 8.3.1", name: "pseudo-fields become the request line and Host", send2: get2("accept: x"),
			sees: []string{"GET / HTTP/1.1\r\nhost: example.com\r\n", "accept: x", "via: 2.0 tatami"}, hides: []string{":authority", ":path", ":scheme", ":method"},
			gets: []string{":status: 200", "content-length: 2", "\r\n\r\nok"},
		},
		{section: "RFC 9113, 8.2.3", name: "cookie crumbs are joined", send2: get2("cookie: a=b", "x: y", "cookie: c=d", "cookie: e=f"), sees: []string{"cookie: a=b; c=d; e=f"}},
		{section: "RFC 9113, 8.1", name: "a body of known length", send2: post2("abc", "content-length: 3"), sees: []string{"content-length: 3", "\r\n\r\nabc"}, hides: []string{"transfer-encoding"}},
		{section: "RFC 9113, 8.1", name: "a body of unknown length", send2: post2("abc"), sees: []string{"transfer-encoding: chunked", "\r\n3\r\nabc\r\n0\r\n\r\n"}, hides: []string{"content-length"}},
		{
			section: "RFC 9113, 8.1", name: "trailers", send2: &message2{head: post2("").head, body: "abc", trailers: []string{"x-sum: 9"}},
			sees: []string{"\r\n3\r\nabc\r\n0\r\nx-sum: 9\r\n\r\n"},
		},
		{section: "RFC 9113, 8.2.2", name: "te: trailers is allowed", send2: get2("te: trailers"), sees: []string{"te: trailers"}},
		{section: "RFC 9113, 8.2.2", name: "another te is malformed", send2: get2("te: gzip"), unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.2.2", name: "connection is malformed", send2: get2("connection: close"), unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.2.2", name: "transfer-encoding is malformed", send2: post2("x", "transfer-encoding: chunked"), unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.2.2", name: "upgrade is malformed", send2: get2("upgrade: websocket"), unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.2.2", name: "keep-alive is malformed", send2: get2("keep-alive: 1"), unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.2.2", name: "proxy-connection is malformed", send2: get2("proxy-connection: keep-alive"), unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.1.1", name: "less than content-length", send2: post2("abc", "content-length: 4"), maybe: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.1.1", name: "more than content-length", send2: post2("abc", "content-length: 2"), maybe: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.3.1", name: "no :path", send2: &message2{head: []string{":method: GET", ":scheme: http", ":authority: a"}}, unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.3.1", name: "an empty :path", send2: &message2{head: []string{":method: GET", ":scheme: http", ":authority: a", ":path: "}}, unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.3", name: "a pseudo-field behind others", send2: &message2{head: []string{":method: GET", ":scheme: http", "a: b", ":authority: a", ":path: /"}}, unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.3", name: "an unknown pseudo-field", send2: get2(":odd: x"), unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.3.1", name: "host that contradicts :authority", send2: get2("host: other.example"), unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.3.1", name: "host alone", send2: &message2{head: []string{":method: GET", ":scheme: http", ":path: /", "host: h.example"}}, sees: []string{"host: h.example"}},
		{section: "RFC 9113, 8.2.1", name: "line breaks in a value", send2: get2("a: b\r\nc: d"), unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.2.1", name: "upper case in a name", send2: get2("Aa: b"), unseen: true, gets: []string{malformed}},
		{section: "RFC 9113, 8.3.1", name: "OPTIONS of a server", send2: &message2{head: []string{":method: OPTIONS", ":scheme: http", ":authority: a", ":path: *"}}, sees: []string{"OPTIONS * HTTP/1.1", "host: a"}},
		{section: "RFC 9113, 8.5", name: "CONNECT is refused where it is not allowed", send2: &message2{head: []string{":method: CONNECT", ":authority: a:1"}, body: "x"}, unseen: true, gets: []string{":status: 405"}},
		{section: "RFC 9110, 7.6.2", name: "Max-Forwards counts in HTTP/2 too", send2: &message2{head: []string{":method: TRACE", ":scheme: http", ":authority: a", ":path: /", "max-forwards: 2"}}, sees: []string{"max-forwards: 1"}},
		// Answers.
		{
			section: "RFC 9113, 8.2.2", name: "connection-specific fields of an answer are removed", send2: get2(),
			answer: response("200 OK", "ok", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: x", "Proxy-Connection: x"), gets: []string{":status: 200"}, lacks: []string{"x-hop", "keep-alive", "connection"},
		},
		{section: "RFC 9113, 8.2", name: "names in lower case", send2: get2(), answer: response("200 OK", "ok", "X-UPPER: 1"), gets: []string{"x-upper: 1\r\n"}},
		{section: "RFC 9113, 8.2", name: "chunked is not forwarded", send2: get2(), answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 9\r\n\r\n", gets: []string{"\r\n\r\nok", "x-sum: 9"}, lacks: []string{"transfer-encoding"}},
		{section: "RFC 9113, 8.1", name: "1xx", send2: get2(), answer: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okAnswer, gets: []string{":status: 103\r\nlink: </a>\r\n\r\n:status: 200\r\n"}},
		{section: "RFC 9113, 8.6", name: "no 101", send2: get2(), answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", gets: []string{":status: 502"}, lacks: []string{":status: 101"}},
		{section: "RFC 9110, 5.3", name: "Set-Cookie is never joined", send2: get2(), answer: response("200 OK", "ok", "Set-Cookie: a=1", "Set-Cookie: b=2"), gets: []string{"set-cookie: a=1\r\nset-cookie: b=2\r\n"}},
		{section: "RFC 9110, 9.3.2", name: "HEAD", send2: &message2{head: []string{":method: HEAD", ":scheme: http", ":authority: a", ":path: /"}}, answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", gets: []string{"content-length: 5"}},
		{section: "RFC 9110, 15.3.5", name: "204", send2: get2(), answer: "HTTP/1.1 204 No Content\r\n\r\n", gets: []string{":status: 204"}, lacks: []string{"content-length"}},
		{section: "RFC 9112, 8", name: "less than Content-Length is not passed as whole", send2: get2(), answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nless" + closeAfter, gets: []string{"[RST_STREAM INTERNAL_ERROR]"}},
		{section: "RFC 9112, 8", name: "chunks without the last are not passed as whole", send2: get2(), answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" + closeAfter, gets: []string{"[RST_STREAM INTERNAL_ERROR]"}},
	})
}

// TestHTTP1ToHTTP2 are rules about requests of HTTP/1 to backends of HTTP/2.
func TestHTTP1ToHTTP2(t *testing.T) {
	get := request("GET /a?b")
	runRows(t, []row{
		{
			section: "RFC 9113, 8.3.1", name: "request line and Host become pseudo-fields", to: "h2", send: request("GET /a?b", "X-Upper: 1"),
			sees: []string{":method: GET", ":path: /a?b", ":authority: example.com", ":scheme: http", "x-upper: 1", "via: 1.1 tatami"}, hides: []string{"host:"},
			gets: []string{"HTTP/1.1 200 OK", "ok"},
		},
		{
			section: "RFC 9113, 8.2.2", name: "connection-specific fields are removed", to: "h2",
			send: request("GET /", "Connection: x-hop, TE", "X-Hop: 1", "TE: trailers", "Keep-Alive: x"), sees: []string{"te: trailers"}, hides: []string{"x-hop", "connection", "keep-alive"},
		},
		{section: "RFC 9113, 8.1", name: "a chunked body with trailers", to: "h2", send: request("POST /", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n", sees: []string{"\r\n\r\nabc\r\nx-sum: 9"}, hides: []string{"transfer-encoding", "content-length"}},
		{section: "RFC 9113, 8.1.1", name: "a body of known length", to: "h2", send: request("POST /", "Content-Length: 3") + "abc", sees: []string{"content-length: 3", "\r\n\r\nabc"}},
		{section: "RFC 9113, 8.3.1", name: "OPTIONS of a server", to: "h2", send: request("OPTIONS *"), sees: []string{":path: *", ":method: OPTIONS"}},
		{section: "RFC 9113, 8.3.1", name: "absolute-form", to: "h2", send: "GET http://real.example/x HTTP/1.1\r\nHost: a\r\n\r\n", sees: []string{":authority: real.example", ":path: /x"}},
		// Answers.
		{section: "RFC 9113, 8.3.2", name: "the status", to: "h2", send: get, answer2: &message2{head: []string{":status: 299", "a: b"}, body: "ok"}, gets: []string{"HTTP/1.1 299 \r\n", "a: b", "transfer-encoding: chunked"}},
		{section: "RFC 9113, 8.1", name: "trailers", to: "h2", send: get, answer2: &message2{head: []string{":status: 200"}, body: "ok", trailers: []string{"x-sum: 9"}}, gets: []string{"\r\n0\r\nx-sum: 9\r\n\r\n"}},
		{section: "RFC 9113, 8.1", name: "1xx", to: "h2", send: get, answer2: &message2{informational: [][]string{{":status: 103", "link: </a>"}}, head: []string{":status: 200"}, body: "ok"}, gets: []string{"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK"}},
		{section: "RFC 9113, 8.1.1", name: "content-length stays", to: "h2", send: get, answer2: ok2("content-length: 2"), gets: []string{"content-length: 2", "\r\n\r\nok"}, lacks: []string{"transfer-encoding"}},
		{section: "RFC 9113, 8.1.1", name: "less than content-length is not passed as whole", to: "h2", send: get, answer2: ok2("content-length: 3"), cut: true},
		{section: "RFC 9113, 8.1", name: "a reset in the middle is not passed as whole", to: "h2", send: get, answer2: &message2{head: []string{":status: 200"}, body: "o", reset: http2.ErrCodeInternal}, cut: true},
		{section: "RFC 9113, 8.6", name: "101 is malformed", to: "h2", send: get, answer2: &message2{head: []string{":status: 101"}}, gets: []string{"HTTP/1.1 502 Bad Gateway"}},
		{section: "RFC 9113, 8.2.1", name: "line breaks in a value are malformed", to: "h2", send: get, answer2: ok2("a: b\r\nevil: 1"), gets: []string{"HTTP/1.1 502 Bad Gateway"}, lacks: []string{"evil"}},
		{section: "RFC 9113, 8.2.2", name: "connection-specific fields are malformed", to: "h2", send: get, answer2: ok2("connection: close"), gets: []string{"HTTP/1.1 502 Bad Gateway"}},
		{section: "RFC 9113, 8.3.2", name: "no status is malformed", to: "h2", send: get, answer2: &message2{head: []string{"a: b"}, body: "x"}, gets: []string{"HTTP/1.1 502 Bad Gateway"}},
		{section: "RFC 9110, 9.3.2", name: "HEAD", to: "h2", send: request("HEAD /"), answer2: &message2{head: []string{":status: 200", "content-length: 5"}}, gets: []string{"content-length: 5"}},
		{section: "RFC 9113, 8.2.3", name: "Set-Cookie is never joined", to: "h2", send: get, answer2: ok2("set-cookie: a=1", "set-cookie: b=2"), gets: []string{"set-cookie: a=1\r\nset-cookie: b=2\r\n"}},
	})
}

// TestHTTP2ToHTTP2 are rules where both sides speak HTTP/2.
func TestHTTP2ToHTTP2(t *testing.T) {
	runRows(t, []row{
		{section: "RFC 9113, 8.1", name: "trailers both ways", to: "h2", send2: &message2{head: post2("").head, body: "abc", trailers: []string{"up: 1"}}, answer2: &message2{head: []string{":status: 200"}, body: "ok", trailers: []string{"down: 2"}}, sees: []string{"up: 1"}, gets: []string{"down: 2"}},
		{section: "RFC 9113, 8.1", name: "an answer of trailers only", to: "h2", send2: get2("te: trailers"), answer2: &message2{head: []string{":status: 200", "grpc-status: 5"}}, sees: []string{"te: trailers"}, gets: []string{"grpc-status: 5"}},
		{section: "RFC 9113, 8.2.3", name: "cookie crumbs", to: "h2", send2: get2("cookie: a=b", "cookie: c=d"), sees: []string{"cookie: a=b; c=d"}},
		{section: "RFC 9110, 5.3", name: "fields keep their order", to: "h2", send2: get2("b: 1", "a: 2", "b: 3"), sees: []string{"b: 1\r\na: 2\r\nb: 3\r\n"}},
	})
}
