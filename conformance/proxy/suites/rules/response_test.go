package rules

import (
	"testing"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

const closeAfter = rig.CloseAfter

// TestResponses are rules about what becomes of an answer of HTTP/1.
func TestResponses(t *testing.T) {
	get := request("GET /")
	const get10 = "GET / HTTP/1.0\r\nHost: a\r\n\r\n"
	runRows(t, []row{
		// Connection-specific fields.
		{
			section: "RFC 9110, 7.6.1", name: "fields that Connection names are removed", send: get,
			answer: response("200 OK", "ok", "Connection: X-Hop", "X-Hop: 1", "X-End: 2", "Keep-Alive: timeout=9", "Proxy-Connection: x"),
			gets:   []string{"x-end: 2"}, lacks: []string{"x-hop", "keep-alive", "proxy-connection", "connection:"},
		},
		{
			section: "RFC 9110, 7.6.1", name: "the backend's close is its own", send: get + get, responses: 2,
			answer: response("200 OK", "ok", "Connection: close") + closeAfter, lacks: []string{"close\r\n"},
		},
		{section: "RFC 9110, 7.8", name: "Upgrade in an answer is hop by hop", send: get, answer: response("200 OK", "ok", "Connection: Upgrade", "Upgrade: h2"), lacks: []string{"upgrade"}},
		// What is not ours to change.
		{section: "RFC 9110, 6.6.1", name: "Date is not changed", send: get, answer: response("200 OK", "ok", "Date: Sat, 29 Oct 1994 19:43:31 GMT"), gets: []string{"date: Sat, 29 Oct 1994 19:43:31 GMT"}},
		{section: "RFC 9110, 10.2.4", name: "Server is the origin's", send: get, answer: response("200 OK", "ok", "Server: x/1"), gets: []string{"server: x/1"}},
		{section: "RFC 9110, 5.3", name: "Set-Cookie is never joined", send: get, answer: response("200 OK", "ok", "Set-Cookie: a=1", "Set-Cookie: b=2"), gets: []string{"set-cookie: a=1\r\nset-cookie: b=2\r\n"}},
		{section: "RFC 9110, 5.3", name: "fields keep their order", send: get, answer: response("200 OK", "ok", "B: 1", "A: 2", "B: 3"), gets: []string{"b: 1\r\na: 2\r\nb: 3\r\n"}},
		{section: "RFC 9110, 15", name: "an unknown status of a known class", send: get, answer: response("299 Odd", "ok"), gets: []string{"HTTP/1.1 299 \r\n", "\r\n\r\nok"}},
		{section: "RFC 9110, 15", name: "599", send: get, answer: response("599 Odd", "ok"), gets: []string{"HTTP/1.1 599 \r\n", "\r\n\r\nok"}},
		{section: "RFC 9110, 15", name: "a class that is not known", send: get, answer: response("600 Odd", "ok"), gets: []string{"HTTP/1.1 600 \r\n", "\r\n\r\nok"}},
		{section: "RFC 9112, 4", name: "no reason", send: get, answer: "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", gets: []string{"HTTP/1.1 404 Not Found"}},
		{section: "RFC 9110, 15.3.7", name: "206 and Content-Range", send: get, answer: response("206 Partial Content", "bc", "Content-Range: bytes 1-2/4"), gets: []string{"content-range: bytes 1-2/4", "\r\n\r\nbc"}},
		{section: "RFC 9110, 15.4", name: "redirects are not followed nor changed", send: get, answer: response("302 Found", "", "Location: http://else/where"), gets: []string{"HTTP/1.1 302 Found", "location: http://else/where"}},
		{section: "RFC 9110, 11.6.1", name: "challenges are forwarded", send: get, answer: response("401 Unauthorized", "", `WWW-Authenticate: Basic realm="a", Digest x=y`), gets: []string{`www-authenticate: Basic realm="a", Digest x=y`}},
		{section: "RFC 9110, 8.4", name: "content codings are not touched", send: get, answer: response("200 OK", "\x1f\x8b", "Content-Encoding: gzip"), gets: []string{"content-encoding: gzip", "\r\n\r\n\x1f\x8b"}},
		// Without a body.
		{section: "RFC 9110, 9.3.2", name: "HEAD", send: request("HEAD /"), answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", sees: []string{"HEAD / HTTP/1.1"}, gets: []string{"content-length: 5"}},
		{section: "RFC 9110, 9.3.2", name: "HEAD with chunked", send: request("HEAD /"), answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", gets: []string{"HTTP/1.1 200 OK"}, lacks: []string{"\r\n\r\n0"}},
		{section: "RFC 9110, 15.3.5", name: "204 has neither length nor coding", send: get, answer: "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n", gets: []string{"HTTP/1.1 204 No Content", "x: 1"}, lacks: []string{"content-length", "transfer-encoding"}},
		{section: "RFC 9112, 6.3", name: "204 with Content-Length has no body all the same", send: get + get, responses: 2, answer: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", lacks: []string{"content-length", "transfer-encoding"}},
		{section: "RFC 9110, 15.4.5", name: "304 has no body", send: get, answer: "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", gets: []string{`etag: "x"`}, lacks: []string{"transfer-encoding"}},
		{section: "RFC 9112, 6.3", name: "304 that tells the length of what it stands for", send: get + get, responses: 2, answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", gets: []string{"HTTP/1.1 304 Not Modified"}},
		{section: "RFC 9110, 15.3.6", name: "205", send: get, answer: "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", gets: []string{"HTTP/1.1 205 Reset Content", "content-length: 0"}},
		// Interim answers.
		{section: "RFC 9110, 15.2", name: "1xx is forwarded", send: get, answer: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okAnswer, gets: []string{"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"}},
		{section: "RFC 9110, 15.2", name: "each of several", send: get, answer: "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Odd\r\n\r\n" + okAnswer, gets: []string{"HTTP/1.1 102 Processing", "HTTP/1.1 199 ", "HTTP/1.1 200 OK"}},
		{section: "RFC 9110, 15.2", name: "not to HTTP/1.0", send: get10, answer: "HTTP/1.1 103 Early Hints\r\n\r\n" + okAnswer, lacks: []string{"103"}, gets: []string{"HTTP/1.1 200 OK"}, closed: true},
		{section: "RFC 9110, 15.2.2", name: "101 that nobody asked for", send: get, answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", gets: []string{"HTTP/1.1 502 Bad Gateway"}, lacks: []string{" 101 "}},
		{
			section: "RFC 9110, 15.2.2", name: "101", send: request("GET /", "Connection: Upgrade", "Upgrade: websocket"),
			answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw" + closeAfter, gets: []string{"HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: Upgrade"},
		},
		// Framing.
		{section: "RFC 9112, 6.3", name: "Content-Length stays", send: get, answer: okAnswer, gets: []string{"content-length: 2", "\r\n\r\nok"}, lacks: []string{"transfer-encoding"}},
		{section: "RFC 9112, 6.3", name: "chunked stays", send: get, answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", gets: []string{"transfer-encoding: chunked", "\r\n2\r\nok\r\n0\r\n\r\n"}, lacks: []string{"content-length"}},
		{section: "RFC 9112, 6.1", name: "chunked is not sent to HTTP/1.0", send: get10, answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", gets: []string{"\r\n\r\nok"}, lacks: []string{"transfer-encoding", "\r\n0\r\n"}, closed: true},
		{section: "RFC 9112, 7.1.1", name: "chunk extensions are dropped", send: get, answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n", lacks: []string{"a=b"}, gets: []string{"\r\n2\r\nok\r\n"}},
		{
			section: "RFC 9110, 6.5", name: "trailers are forwarded", send: get,
			answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 9\r\n\r\n", gets: []string{"trailer: X-Sum", "\r\n0\r\nx-sum: 9\r\n\r\n"},
		},
		{section: "RFC 9110, 6.5.1", name: "trailers that must not be merged are dropped", send: get, answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\n\r\n", lacks: []string{"set-cookie", "content-length"}},
		{section: "RFC 9112, 6.3", name: "a body that ends with the connection", send: get, answer: "HTTP/1.1 200 OK\r\n\r\nall of it" + closeAfter, gets: []string{"transfer-encoding: chunked", "\r\n9\r\nall of it\r\n0\r\n\r\n"}},
		{section: "RFC 9112, 6.3", name: "to HTTP/1.0", send: get10, answer: "HTTP/1.1 200 OK\r\n\r\nall of it" + closeAfter, gets: []string{"\r\n\r\nall of it"}, lacks: []string{"transfer-encoding"}, closed: true},
		{section: "RFC 9112, 2.3", name: "an answer of HTTP/1.0", send: get, answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok" + closeAfter, gets: []string{"HTTP/1.1 200 OK", "\r\n\r\nok"}},
		{section: "RFC 9112, 8", name: "less than Content-Length is not passed as whole", send: get, answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nless" + closeAfter, cut: true},
		{section: "RFC 9112, 8", name: "chunks without the last are not passed as whole", send: get, answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" + closeAfter, cut: true},
		{section: "RFC 9112, 6.3", name: "bytes behind the answer are nobody's answer", send: get + get, responses: 2, answer: okAnswer + "HTTP/1.1 200 OK\r\nEvil: 1\r\nContent-Length: 0\r\n\r\n", lacks: []string{"evil"}},
		{section: "RFC 9112, 6.3", name: "an invalid Content-Length is a bad gateway", send: get, answer: "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok" + closeAfter, gets: []string{"HTTP/1.1 502 Bad Gateway"}, lacks: []string{"2x"}},
		{section: "RFC 9112, 6.3", name: "different Content-Lengths are", send: get, answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok" + closeAfter, gets: []string{"HTTP/1.1 502 Bad Gateway"}},
		{section: "RFC 9112, 6.3", name: "equal ones become one", send: get, answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", gets: []string{"content-length: 2\r\n"}, lacks: []string{"content-length: 2\r\ncontent-length"}},
		{section: "RFC 9112, 6.1", name: "an unknown coding is a bad gateway", send: get, answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\nok" + closeAfter, gets: []string{"HTTP/1.1 502 Bad Gateway"}},
		{section: "RFC 9112, 6.1", name: "chunked in HTTP/1.0 is", send: get, answer: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + closeAfter, gets: []string{"HTTP/1.1 502 Bad Gateway"}},
		{section: "RFC 9112, 5.1", name: "space before the colon is not forwarded", send: get, answer: "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\nok" + closeAfter, lacks: []string{"a :", "A :"}},
		{section: "RFC 9112, 5.2", name: "obsolete folding is not forwarded", send: get, answer: "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok" + closeAfter, lacks: []string{"\r\n c"}},
		{section: "RFC 9112, 4", name: "what is no answer is a bad gateway", send: get, answer: "SSH-2.0-x\r\n" + closeAfter, gets: []string{"HTTP/1.1 502 Bad Gateway"}},
		{section: "RFC 9110, 15.6.3", name: "no answer at all is a bad gateway", send: request("POST /", "Content-Length: 0"), answer: closeAfter, gets: []string{"HTTP/1.1 502 Bad Gateway"}},
	})
}
