package http2

import (
	"io"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// rule is a must of RFC 9113 or another as the server's peer sees it.
type rule struct {
	section string
	name    string
	send    func(r *raw)
	want    string
}

// head sends a GET with these fields and nothing else.
func head(pairs ...string) func(*raw) {
	return func(r *raw) { r.headers(1, true, r.block(pairs...)) }
}

// with sends a good GET with more fields.
func with(more ...string) func(*raw) {
	return func(r *raw) { r.headers(1, true, r.get("/", more...)) }
}

func frame(typ xhttp2.FrameType, flags xhttp2.Flags, id uint32, payload string) func(*raw) {
	return func(r *raw) { _ = r.WriteRawFrame(typ, flags, id, []byte(payload)) }
}

func then(all ...func(*raw)) func(*raw) {
	return func(r *raw) {
		for _, f := range all {
			f(r)
		}
	}
}

func hang(id uint32, end bool) func(*raw) {
	return func(r *raw) { r.headers(id, end, r.post("/hang")) }
}

func data(id uint32, end bool, p string) func(*raw) {
	return func(r *raw) { _ = r.WriteData(id, end, []byte(p)) }
}

func settings(s ...xhttp2.Setting) func(*raw) {
	return func(r *raw) { _ = r.WriteSettings(s...) }
}

var rules = []rule{
	{"4.1", "unknown frame types are ignored", frame(0x42, 0xff, 0, "x"), "pong"},
	{"4.1", "unknown flags are ignored", frame(xhttp2.FramePing, 0xfe, 0, "12345678"), "pong"},
	{"4.1", "the reserved bit is ignored", func(r *raw) {
		_, _ = r.nc.Write([]byte("\x00\x00\x08\x06\x00\x80\x00\x00\x0012345678"))
	}, "pong"},
	{"4.2", "frame over the limit", frame(xhttp2.FrameData, 0, 1, strings.Repeat("x", maxFrame+1)), "goaway FRAME_SIZE_ERROR"},
	{"4.3", "broken header block", func(r *raw) { r.headers(1, true, []byte{0xff, 0xff, 0xff}) }, "goaway COMPRESSION_ERROR"},
	{"4.3", "frame inside a header block", func(r *raw) {
		_ = r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.get("/")})
	}, "goaway PROTOCOL_ERROR"},
	{"4.3", "header block in parts", func(r *raw) {
		b := r.get("/hang")
		_ = r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:3], EndStream: true})
		_ = r.WriteContinuation(1, false, b[3:5])
		_ = r.WriteContinuation(1, true, b[5:])
	}, "pong"},
	{"5.1", "DATA on an idle stream", data(1, false, "x"), "goaway PROTOCOL_ERROR"},
	{"5.1", "RST_STREAM on an idle stream", func(r *raw) { _ = r.WriteRSTStream(1, 0) }, "goaway PROTOCOL_ERROR"},
	{"5.1", "WINDOW_UPDATE on an idle stream", func(r *raw) { _ = r.WriteWindowUpdate(1, 1) }, "goaway PROTOCOL_ERROR"},
	{"5.1", "PRIORITY on an idle stream", frame(xhttp2.FramePriority, 0, 9, "\x00\x00\x00\x01\x01"), "pong"},
	{"5.1", "DATA after END_STREAM", then(hang(1, true), data(1, false, "x")), "rst 1 STREAM_CLOSED"},
	{"5.1", "HEADERS after END_STREAM", then(hang(1, true), hang(1, true)), "rst 1 STREAM_CLOSED"},
	{"5.1", "HEADERS after the client's RST_STREAM", then(hang(1, true), func(r *raw) { _ = r.WriteRSTStream(1, 8) }, hang(1, true)), "goaway STREAM_CLOSED"},
	{"5.1", "HEADERS on a stream that was closed before the last", then(hang(1, true), func(r *raw) { _ = r.WriteRSTStream(1, 8) },
		hang(3, true), func(r *raw) { _ = r.WriteRSTStream(3, 8) }, hang(1, true)), "goaway STREAM_CLOSED"},
	{"5.1", "WINDOW_UPDATE on a closed stream is ignored", then(hang(1, true), func(r *raw) { _ = r.WriteRSTStream(1, 8); _ = r.WriteWindowUpdate(1, 1) }), "pong"},
	{"5.1.1", "even identifier", hang(2, true), "goaway PROTOCOL_ERROR"},
	{"5.1.1", "identifier that goes down", then(hang(5, true), hang(3, true)), "goaway PROTOCOL_ERROR"},
	{"5.1.2", "too many streams", func(r *raw) {
		for i := range uint32(5) {
			hang(2*i+1, true)(r)
		}
	}, "rst 9 REFUSED_STREAM"},
	{"5.3.1", "stream that depends on itself", func(r *raw) {
		_ = r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.get("/"), EndHeaders: true, EndStream: true, Priority: xhttp2.PriorityParam{StreamDep: 1}})
	}, "goaway PROTOCOL_ERROR"},
	{"5.4.1", "GOAWAY of the client is answered by the end", func(r *raw) { _ = r.WriteGoAway(0, 0, nil) }, "goaway NO_ERROR"},
	{"6.1", "DATA on stream 0", data(0, false, "x"), "goaway PROTOCOL_ERROR"},
	{"6.1", "padding too long", then(hang(1, false), frame(xhttp2.FrameData, xhttp2.FlagDataPadded, 1, "\x05abcd")), "goaway PROTOCOL_ERROR"},
	{"6.1", "padding alone", then(hang(1, false), frame(xhttp2.FrameData, xhttp2.FlagDataPadded, 1, "\x04abcd")), "pong"},
	{"6.1", "padded without a length", then(hang(1, false), frame(xhttp2.FrameData, xhttp2.FlagDataPadded, 1, "")), "goaway FRAME_SIZE_ERROR"},
	{"6.2", "HEADERS on stream 0", hang(0, true), "goaway PROTOCOL_ERROR"},
	{"6.2", "padding of HEADERS too long", frame(xhttp2.FrameHeaders, xhttp2.FlagHeadersPadded|xhttp2.FlagHeadersEndHeaders, 1, "\x09\x82"), "goaway PROTOCOL_ERROR"},
	{"6.3", "PRIORITY on stream 0", frame(xhttp2.FramePriority, 0, 0, "\x00\x00\x00\x01\x01"), "goaway PROTOCOL_ERROR"},
	{"6.3", "PRIORITY of 4 bytes", then(hang(1, true), frame(xhttp2.FramePriority, 0, 1, "\x00\x00\x00\x01")), "rst 1 FRAME_SIZE_ERROR"},
	{"6.4", "RST_STREAM on stream 0", func(r *raw) { _ = r.WriteRSTStream(0, 0) }, "goaway PROTOCOL_ERROR"},
	{"6.4", "RST_STREAM of 3 bytes", then(hang(1, true), frame(xhttp2.FrameRSTStream, 0, 1, "abc")), "goaway FRAME_SIZE_ERROR"},
	{"6.5", "SETTINGS ACK with a payload", frame(xhttp2.FrameSettings, xhttp2.FlagSettingsAck, 0, "123456"), "goaway FRAME_SIZE_ERROR"},
	{"6.5", "SETTINGS on a stream", frame(xhttp2.FrameSettings, 0, 1, ""), "goaway PROTOCOL_ERROR"},
	{"6.5", "SETTINGS of 5 bytes", frame(xhttp2.FrameSettings, 0, 0, "12345"), "goaway FRAME_SIZE_ERROR"},
	{"6.5.2", "ENABLE_PUSH of 2", settings(xhttp2.Setting{ID: xhttp2.SettingEnablePush, Val: 2}), "goaway PROTOCOL_ERROR"},
	{"6.5.2", "INITIAL_WINDOW_SIZE over 2^31-1", settings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 31}), "goaway FLOW_CONTROL_ERROR"},
	{"6.5.2", "MAX_FRAME_SIZE too small", settings(xhttp2.Setting{ID: xhttp2.SettingMaxFrameSize, Val: 16383}), "goaway PROTOCOL_ERROR"},
	{"6.5.2", "MAX_FRAME_SIZE too large", settings(xhttp2.Setting{ID: xhttp2.SettingMaxFrameSize, Val: 1 << 24}), "goaway PROTOCOL_ERROR"},
	{"6.5.2", "unknown settings are ignored", settings(xhttp2.Setting{ID: 0x99, Val: 7}), "pong"},
	{"6.6", "PUSH_PROMISE from a client", frame(xhttp2.FramePushPromise, xhttp2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02"), "goaway PROTOCOL_ERROR"},
	{"6.7", "PING on a stream", frame(xhttp2.FramePing, 0, 1, "12345678"), "goaway PROTOCOL_ERROR"},
	{"6.7", "PING of 7 bytes", frame(xhttp2.FramePing, 0, 0, "1234567"), "goaway FRAME_SIZE_ERROR"},
	{"6.8", "GOAWAY on a stream", frame(xhttp2.FrameGoAway, 0, 1, "12345678"), "goaway PROTOCOL_ERROR"},
	{"6.8", "GOAWAY of 7 bytes", frame(xhttp2.FrameGoAway, 0, 0, "1234567"), "goaway FRAME_SIZE_ERROR"},
	{"6.9", "WINDOW_UPDATE of 0 on the connection", func(r *raw) { _ = r.WriteWindowUpdate(0, 0) }, "goaway PROTOCOL_ERROR"},
	{"6.9", "WINDOW_UPDATE of 0 on a stream", then(hang(1, true), func(r *raw) { _ = r.WriteWindowUpdate(1, 0) }), "rst 1 PROTOCOL_ERROR"},
	{"6.9", "WINDOW_UPDATE of 3 bytes", frame(xhttp2.FrameWindowUpdate, 0, 0, "abc"), "goaway FRAME_SIZE_ERROR"},
	{"6.9.1", "window of the connection overflows", func(r *raw) { _ = r.WriteWindowUpdate(0, maxWindow) }, "goaway FLOW_CONTROL_ERROR"},
	{"6.9.1", "window of a stream overflows", then(hang(1, true), func(r *raw) { _ = r.WriteWindowUpdate(1, maxWindow) }), "rst 1 FLOW_CONTROL_ERROR"},
	{"6.9.2", "SETTINGS make a stream's window overflow", then(hang(1, true), func(r *raw) {
		_ = r.WriteWindowUpdate(1, maxWindow-defaultWindow)
	}, settings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: defaultWindow + 1})), "goaway FLOW_CONTROL_ERROR"},
	{"6.9.1", "more than a stream's window", then(func(r *raw) { r.headers(1, false, r.post("/paused")) }, func(r *raw) {
		for range 5 {
			_ = r.WriteData(1, false, make([]byte, maxFrame))
		}
	}), "rst 1 FLOW_CONTROL_ERROR"},
	{"6.10", "CONTINUATION alone", func(r *raw) { _ = r.WriteContinuation(1, true, nil) }, "goaway PROTOCOL_ERROR"},
	{"8.1", "second HEADERS without END_STREAM", then(hang(1, false), hang(1, false)), "rst 1 PROTOCOL_ERROR"},
	{"8.1", "trailers with a pseudo-header field", then(hang(1, false), hang(1, true)), "rst 1 PROTOCOL_ERROR"},
	{"8.1", "trailers", then(hang(1, false), func(r *raw) { r.headers(1, true, r.block("x-sum", "1")) }), "pong"},
	{"8.1.1", "content-length larger than the body", func(r *raw) {
		r.headers(1, false, r.post("/hang", "content-length", "2"))
		data(1, true, "x")(r)
	}, "rst 1 PROTOCOL_ERROR"},
	{"8.1.1", "content-length smaller than the body", func(r *raw) {
		r.headers(1, false, r.post("/hang", "content-length", "2"))
		data(1, false, "xxx")(r)
	}, "rst 1 PROTOCOL_ERROR"},
	{"8.1.1", "content-length without a body", with("content-length", "1"), "rst 1 PROTOCOL_ERROR"},
	{"8.1.1", "content-length and trailers too early", func(r *raw) {
		r.headers(1, false, r.post("/hang", "content-length", "2"))
		r.headers(1, true, r.block("x-sum", "1"))
	}, "rst 1 PROTOCOL_ERROR"},
	{"8.1.1", "content-lengths that differ", with("content-length", "0", "content-length", "00", "content-length", "1"), "rst 1 PROTOCOL_ERROR"},
	{"8.1.1", "content-length with a sign", with("content-length", "+0"), "rst 1 PROTOCOL_ERROR"},
	{"8.2", "upper-case name", with("X-A", "1"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.1", "empty name", with("", "1"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.1", "colon in a name", with("a:b", "1"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.1", "blank in a name", with("a b", "1"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.1", "CRLF in a name", with("a\r\nb", "1"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.1", "CR in a value", with("a", "1\r"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.1", "LF in a value", with("a", "1\nx: 2"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.1", "NUL in a value", with("a", "1\x00"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.1", "blank before a value", with("a", " 1"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.1", "tab after a value", with("a", "1\t"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.2", "connection", with("connection", "close"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.2", "keep-alive", with("keep-alive", "5"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.2", "proxy-connection", with("proxy-connection", "close"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.2", "transfer-encoding", with("transfer-encoding", "chunked"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.2", "upgrade", with("upgrade", "h2c"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.2", "te: gzip", with("te", "gzip"), "rst 1 PROTOCOL_ERROR"},
	{"8.2.2", "te: trailers", with("te", "trailers"), "pong"},
	{"8.3", "unknown pseudo-header field", head(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", ":x", "1"), "rst 1 PROTOCOL_ERROR"},
	{"8.3", "pseudo-header field of responses", head(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", ":status", "200"), "rst 1 PROTOCOL_ERROR"},
	{"8.3", "pseudo-header field after a regular one", head(":method", "GET", ":scheme", "http", ":path", "/", "a", "1", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3", "pseudo-header field twice", head(":method", "GET", ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", "no :method", head(":scheme", "http", ":path", "/", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", ":method with a blank", head(":method", "GET /x", ":scheme", "http", ":path", "/", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", "no :scheme", head(":method", "GET", ":path", "/", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", "no :path", head(":method", "GET", ":scheme", "http", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", "empty :path", head(":method", "GET", ":scheme", "http", ":path", "", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", ":path in absolute form", head(":method", "GET", ":scheme", "http", ":path", "http://b/", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", ":path with a blank", head(":method", "GET", ":scheme", "http", ":path", "/ HTTP/1.1", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", ":path with CRLF", head(":method", "GET", ":scheme", "http", ":path", "/\r\nx: 1", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", "* only for OPTIONS", head(":method", "GET", ":scheme", "http", ":path", "*", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", "OPTIONS *", head(":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a"), "pong"},
	{"8.3.1", "no authority at all", head(":method", "GET", ":scheme", "http", ":path", "/"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", "host instead of :authority", head(":method", "GET", ":scheme", "http", ":path", "/", "host", "a"), "pong"},
	{"8.3.1", "host that differs", with("host", "b.test"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", "host that agrees", with("host", "a.test"), "pong"},
	{"8.3.1", "host twice", with("host", "a.test", "host", "a.test"), "rst 1 PROTOCOL_ERROR"},
	{"8.3.1", "user information in :authority", head(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "me@a"), "rst 1 PROTOCOL_ERROR"},
	{"8.5", "CONNECT", head(":method", "CONNECT", ":authority", "a:443"), "pong"},
	{"8.5", "CONNECT with :path", head(":method", "CONNECT", ":authority", "a:443", ":path", "/", ":scheme", "http"), "rst 1 PROTOCOL_ERROR"},
	{"8441-4", "extended CONNECT", head(":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/hang", ":authority", "a"), "pong"},
	{"8441-4", "extended CONNECT without :path", head(":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
	{"8441-4", ":protocol with GET", with(), "pong"},
	{"8441-4", ":protocol without CONNECT", head(":method", "GET", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a"), "rst 1 PROTOCOL_ERROR"},
}

func TestRFC9113Server(t *testing.T) {
	kinds(t, func(t *testing.T, kind evloop.Kind) {
		t.Helper()
		l := newLoop(t, kind)
		addr, _ := serve(t, l, ServerOptions{MaxStreams: 4, StreamWindow: 1}, func() stream.Server { return &app{} })
		for _, rule := range rules {
			t.Run(rule.section+" "+rule.name, func(t *testing.T) {
				r := dialRaw(t, addr)
				rule.send(r)
				if got := r.verdict(nil); got != rule.want {
					t.Errorf("got %q, want %q", got, rule.want)
				}
			})
		}
	})
}

func TestFirstFrames(t *testing.T) {
	l := newLoop(t, evloop.Native)
	addr, _ := serve(t, l, ServerOptions{}, func() stream.Server { return &app{} })
	for name, c := range map[string]struct{ send, want string }{
		"HTTP/1.1":             {"GET / HTTP/1.1\r\n\r\n", "goaway PROTOCOL_ERROR"},
		"no SETTINGS":          {preface + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678", "goaway PROTOCOL_ERROR"},
		"SETTINGS ACK":         {preface + "\x00\x00\x00\x04\x01\x00\x00\x00\x00", "goaway PROTOCOL_ERROR"},
		"SETTINGS, then quiet": {preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "pong"},
	} {
		t.Run(name, func(t *testing.T) {
			r := dialSilent(t, addr)
			_, _ = io.WriteString(r.nc, c.send)
			if got := r.verdict(nil); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestByteAtATime splits everything everywhere.
func TestByteAtATime(t *testing.T) {
	l := newLoop(t, evloop.Native)
	addr, _ := serve(t, l, ServerOptions{}, func() stream.Server { return &app{} })
	r := dialSilent(t, addr)
	var wire strings.Builder
	wire.WriteString(preface)
	fr := xhttp2.NewFramer(&wire, nil)
	_ = fr.WriteSettings()
	_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.post("/echo"), EndHeaders: true, PadLength: 3})
	_ = fr.WriteDataPadded(1, false, []byte("hel"), make([]byte, 7))
	_ = fr.WriteDataPadded(1, true, []byte("lo"), nil)
	for i := range wire.Len() {
		if _, err := io.WriteString(r.nc, wire.String()[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	var got strings.Builder
	ended := false
	for !ended {
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.(*xhttp2.DataFrame); ok {
			got.Write(d.Data())
			ended = d.StreamEnded()
		}
	}
	if got.String() != "hello" {
		t.Errorf("got %q", got.String())
	}
}
