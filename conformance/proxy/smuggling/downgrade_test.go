package smuggling

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// downgrade is an HTTP/2 request that would be two, or another one, if it were
// written down as HTTP/1.1 without care.
type downgrade struct {
	name string
	// fields are names and values in turn; "." stands for the four of a GET.
	fields []string
	// body is what DATA frames carry; nil: END_STREAM with the head.
	body []string
	// trailers follow.
	trailers []string
	// sees is what origins see; nil: nothing, and the stream is reset or answered
	// with 400.
	sees []string
}

var pseudo = []string{":method", "GET", ":scheme", "http", ":authority", "a.example", ":path", "/"}

// with is a right head with further fields.
func with(fields ...string) []string { return append(slices.Clone(pseudo), fields...) }

// but is a right head with another value of a pseudo-header field.
func but(name, value string, more ...string) []string {
	fields := slices.Clone(pseudo)
	fields[slices.Index(fields, name)+1] = value
	return append(fields, more...)
}

// without is a head that lacks a field.
func without(name string) []string {
	i := slices.Index(pseudo, name)
	return slices.Delete(slices.Clone(pseudo), i, i+2)
}

const smuggled = "\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"

func downgrades() []downgrade {
	get, post := []string{"GET a.example /"}, []string{`POST a.example / "abc"`}
	return []downgrade{
		{name: "right", fields: with("x", "y"), sees: get},
		{name: "right with a body", fields: but(":method", "POST", "content-length", "3"), body: []string{"abc"}, sees: post},
		{name: "right without a length", fields: but(":method", "POST"), body: []string{"a", "", "bc"}, sees: post},
		{name: "right with trailers", fields: but(":method", "POST"), body: []string{"abc"}, trailers: []string{"x", "y"}, sees: post},
		{name: "a body that is a request", fields: but(":method", "POST"), body: []string{"0" + smuggled}, sees: []string{`POST a.example / "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"`}},
		{name: "a GET with a body", fields: with(), body: []string{"GET /smuggled HTTP/1.1\r\n\r\n"}, sees: []string{`GET a.example / "GET /smuggled HTTP/1.1\r\n\r\n"`}},
		{name: "empty value", fields: with("x", ""), sees: get},
		{name: "te trailers", fields: with("te", "trailers"), sees: get},
		{name: "host that agrees", fields: with("host", "a.example"), sees: get},
		{name: "host instead of authority", fields: append(without(":authority"), "host", "a.example"), sees: get},

		{name: "CRLF in a value", fields: with("x", "y\r\ntransfer-encoding: chunked")},
		{name: "a request in a value", fields: with("x", "y"+smuggled)},
		{name: "LF in a value", fields: with("x", "y\nz: 1")},
		{name: "CR in a value", fields: with("x", "y\rz: 1")},
		{name: "NUL in a value", fields: with("x", "y\x00z")},
		{name: "value that begins with a space", fields: with("x", " y")},
		{name: "value that ends with a tab", fields: with("x", "y\t")},
		{name: "CRLF in a name", fields: with("x: y\r\ntransfer-encoding", "chunked")},
		{name: "colon in a name", fields: with("transfer-encoding:", "chunked")},
		{name: "space in a name", fields: with("x y", "z")},
		{name: "space after a name", fields: with("content-length ", "3")},
		{name: "upper case in a name", fields: with("X", "y")},
		{name: "empty name", fields: with("", "y")},
		{name: "NUL in a name", fields: with("x\x00", "y")},
		{name: "DEL in a name", fields: with("x\x7f", "y")},
		{name: "not ASCII in a name", fields: with("x\xff", "y")},

		{name: "transfer-encoding", fields: but(":method", "POST", "transfer-encoding", "chunked"), body: []string{"0" + smuggled}},
		{name: "transfer-encoding on GET", fields: with("transfer-encoding", "chunked")},
		{name: "transfer-encoding identity", fields: with("transfer-encoding", "identity")},
		{name: "connection", fields: with("connection", "keep-alive")},
		{name: "connection that names a field", fields: with("connection", "x", "x", "y")},
		{name: "keep-alive", fields: with("keep-alive", "timeout=5")},
		{name: "proxy-connection", fields: with("proxy-connection", "keep-alive")},
		{name: "upgrade", fields: with("upgrade", "h2c")},
		{name: "te other than trailers", fields: with("te", "gzip")},
		{name: "te chunked", fields: with("te", "chunked")},
		{name: "te trailers and more", fields: with("te", "trailers, chunked")},

		{name: "length above the body", fields: but(":method", "POST", "content-length", "10"), body: []string{"abc"}},
		{name: "length below the body", fields: but(":method", "POST", "content-length", "1"), body: []string{"abcGET /smuggled HTTP/1.1\r\n\r\n"}},
		{name: "length zero with a body", fields: but(":method", "POST", "content-length", "0"), body: []string{"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"}},
		{name: "length without a body", fields: but(":method", "POST", "content-length", "3")},
		{name: "two lengths", fields: but(":method", "POST", "content-length", "3", "content-length", "4"), body: []string{"abc"}},
		{name: "lengths in one field", fields: but(":method", "POST", "content-length", "3, 4"), body: []string{"abc"}},
		{name: "length with a sign", fields: but(":method", "POST", "content-length", "+3"), body: []string{"abc"}},
		{name: "length in hexadecimal", fields: but(":method", "POST", "content-length", "0x3"), body: []string{"abc"}},
		{name: "empty length", fields: but(":method", "POST", "content-length", ""), body: []string{"abc"}},
		{name: "length that overflows", fields: but(":method", "POST", "content-length", "18446744073709551619"), body: []string{"abc"}},
		{name: "length with CRLF", fields: but(":method", "POST", "content-length", "3\r\nx: y"), body: []string{"abc"}},

		{name: "path with a space", fields: but(":path", "/ HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /smuggled")},
		{name: "path with one space", fields: but(":path", "/a b")},
		{name: "path with a tab", fields: but(":path", "/a\tb")},
		{name: "path with LF", fields: but(":path", "/a\nb")},
		{name: "path with NUL", fields: but(":path", "/a\x00b")},
		{name: "path with DEL", fields: but(":path", "/a\x7f")},
		{name: "path with a fragment", fields: but(":path", "/a#b")},
		{name: "empty path", fields: but(":path", "")},
		{name: "path without slash", fields: but(":path", "a")},
		{name: "absolute path", fields: but(":path", "http://evil.example/")},
		{name: "asterisk on GET", fields: but(":path", "*")},
		{name: "no path", fields: without(":path")},
		{name: "two paths", fields: with(":path", "/other")},

		{name: "method with a space", fields: but(":method", "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\nGET")},
		{name: "method with one space", fields: but(":method", "GET x")},
		{name: "empty method", fields: but(":method", "")},
		{name: "method with a colon", fields: but(":method", "GET:")},
		{name: "no method", fields: without(":method")},
		{name: "two methods", fields: with(":method", "POST")},
		{name: "CONNECT with a path", fields: but(":method", "CONNECT")},
		{name: "CONNECT", fields: []string{":method", "CONNECT", ":authority", "a.example:443"}},

		{name: "authority with CRLF", fields: but(":authority", "a.example"+smuggled)},
		{name: "authority with a space", fields: but(":authority", "a.example evil.example")},
		{name: "authority with a slash", fields: but(":authority", "a.example/evil")},
		{name: "authority with userinfo", fields: but(":authority", "evil.example@a.example")},
		{name: "authority with a comma", fields: but(":authority", "a.example,evil.example")},
		{name: "authority with a bad port", fields: but(":authority", "a.example:80x")},
		{name: "two authorities", fields: with(":authority", "evil.example")},
		{name: "empty authority", fields: but(":authority", "")},
		{name: "no authority and no host", fields: without(":authority")},
		{name: "host that differs", fields: with("host", "evil.example")},
		{name: "two hosts", fields: append(without(":authority"), "host", "a.example", "host", "evil.example")},
		{name: "host with CRLF", fields: append(without(":authority"), "host", "a.example\r\nx: y")},

		{name: "scheme with CRLF", fields: but(":scheme", "http\r\nx: y")},
		{name: "scheme with a space", fields: but(":scheme", "http ")},
		{name: "scheme that is a URL", fields: but(":scheme", "http://evil.example/?")},
		{name: "empty scheme", fields: but(":scheme", "")},
		{name: "no scheme", fields: without(":scheme")},
		{name: "two schemes", fields: with(":scheme", "https")},

		{name: "pseudo-header after a field", fields: append([]string{"x", "y"}, pseudo...)},
		{name: "unknown pseudo-header", fields: with(":x", "y")},
		{name: "pseudo-header of answers", fields: with(":status", "200")},
		{name: "protocol without CONNECT", fields: append([]string{":protocol", "websocket"}, pseudo...)},
		{name: "pseudo-header with CRLF", fields: append(slices.Clone(pseudo), ":method\r\nx", "y")},

		{name: "pseudo-header in trailers", fields: but(":method", "POST"), body: []string{"abc"}, trailers: []string{":path", "/smuggled"}},
		{name: "CRLF in trailers", fields: but(":method", "POST"), body: []string{"abc"}, trailers: []string{"x", "y" + smuggled}},
		{name: "upper case in trailers", fields: but(":method", "POST"), body: []string{"abc"}, trailers: []string{"X", "y"}},
		{name: "connection in trailers", fields: but(":method", "POST"), body: []string{"abc"}, trailers: []string{"connection", "close"}},
	}
}

// TestDowngrade sends HTTP/2 to the proxy, which passes HTTP/1.1 on to all
// origins.
func TestDowngrade(t *testing.T) {
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		s := newSite(t, kind)
		all := downgrades()
		for _, tt := range all {
			for _, c := range s.chains {
				status, how := ask(t, c.addr, &tt)
				saw := s.saw(t, c)
				if !slices.Equal(saw, tt.sees) {
					t.Errorf("%s, origin %s saw %q, want %q (status %s, %s)", tt.name, c.name, saw, tt.sees, status, how)
				}
				if len(tt.sees) > 0 && status != "200" {
					t.Errorf("%s, origin %s: status %s, %s", tt.name, c.name, status, how)
				}
				if len(tt.sees) == 0 && how == "nothing" && !strings.HasPrefix(status, "4") {
					t.Errorf("%s, origin %s: status %q and no reset", tt.name, c.name, status)
				}
			}
		}
		t.Logf("%d cases, %d origins", len(all), len(s.chains))
	})
}

// ask sends one request on a connection of its own. How it ended is "nothing", or
// what reset stream or connection.
func ask(t *testing.T, addr string, d *downgrade) (status, how string) {
	t.Helper()
	c, err := lab.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = c.Write([]byte(http2.ClientPreface))
	f := http2.NewFramer(c, c)
	f.AllowIllegalWrites = true
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = f.WriteSettings()
	block := func(fields []string) []byte {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for i := 0; i < len(fields); i += 2 {
			_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		return b.Bytes()
	}
	last := d.body == nil && d.trailers == nil
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(d.fields), EndHeaders: true, EndStream: last})
	for i, part := range d.body {
		_ = f.WriteData(1, i == len(d.body)-1 && d.trailers == nil, []byte(part))
	}
	if d.trailers != nil {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(d.trailers), EndHeaders: true, EndStream: true})
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return status, err.Error()
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			status = frame.PseudoValue("status")
			if frame.StreamEnded() {
				return status, "nothing"
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				return status, "nothing"
			}
		case *http2.RSTStreamFrame:
			return status, "RST_STREAM " + frame.ErrCode.String()
		case *http2.GoAwayFrame:
			return status, "GOAWAY " + frame.ErrCode.String()
		}
	}
}

// TestDowngradeBytes puts every byte at every place of a head: it is refused, or
// all origins see it where it was.
func TestDowngradeBytes(t *testing.T) {
	s := newSite(t, rig.Epoll)
	raw := s.chains[0]
	passed := 0
	for _, place := range []string{":method", ":path", ":authority", ":scheme", "name", "value", "cookie"} {
		for b := range 256 {
			if testing.Short() && b > 0x30 && b < 0xf0 {
				continue
			}
			odd := "/a" + string([]byte{byte(b)}) + "b"
			d := downgrade{name: place}
			switch place {
			case ":path":
				d.fields = but(place, odd)
			case "name":
				d.fields = with(odd[1:], "y")
			case "value", "cookie":
				d.fields = with(place, odd)
			default:
				d.fields = but(place, odd[1:])
			}
			status, how := ask(t, raw.addr, &d)
			saw := s.saw(t, raw)
			switch {
			case status == "200" && len(saw) == 1:
				passed++
			case len(saw) == 0 && (how != "nothing" || strings.HasPrefix(status, "4")):
			default:
				t.Errorf("byte %#x in %s: status %q, %s, seen %q", b, place, status, how, saw)
			}
		}
	}
	t.Logf("%d bytes were passed on", passed)
}
