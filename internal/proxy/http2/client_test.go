package http2

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// clientTest is a ClientConn and the raw backend that it speaks to.
type clientTest struct {
	*raw
	l     *evloop.Loop
	c     *ClientConn
	gone  int
	rooms int
}

func (ct *clientTest) ClientRoom(stream.Client) { ct.rooms++ }
func (ct *clientTest) ClientGone(stream.Client) { ct.gone++ }

func newClientTest(t *testing.T, opts ClientOptions, settings ...xhttp2.Setting) *clientTest {
	t.Helper()
	ct := &clientTest{l: newLoop(t, evloop.Native)}
	ln := listen(t)
	ct.l.Call(func() {
		nc, err := ct.l.Dial(addrPort(ln.Addr().String()), "")
		if err != nil {
			t.Error(err)
			return
		}
		ct.c = NewClientConn(ct.l, nc, opts, ct)
	})
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ct.l.Call(ct.c.Close) })
	ct.raw = newRaw(t, nc)
	buf := make([]byte, len(preface))
	if _, err := io.ReadFull(nc, buf); err != nil || string(buf) != preface {
		t.Fatalf("%q %v", buf, err)
	}
	_ = ct.WriteSettings(settings...)
	_ = ct.WriteSettingsAck()
	ct.verdict(nil) // both have read the other's
	return ct
}

// record is a Handler that writes down what it hears.
type record struct{ log []string }

func (r *record) OnHead(h *message.Head, end bool) {
	r.log = append(r.log, fmt.Sprintf("head %d len %d proto %q fields %v end %v", h.Status, h.ContentLength, h.Protocol, h.Fields, end))
}

func (r *record) OnData(p []byte, end bool) {
	r.log = append(r.log, fmt.Sprintf("data %q end %v", p, end))
}

func (r *record) OnTrailers(f []message.Field) { r.log = append(r.log, fmt.Sprintf("trailers %v", f)) }
func (r *record) OnReset(why stream.Reason)    { r.log = append(r.log, "reset "+why.String()) }
func (r *record) OnRoom()                      { r.log = append(r.log, "room") }

func request(method, path string) *message.Head {
	return &message.Head{Method: method, Scheme: "http", Authority: "b.test", Path: path, ContentLength: message.LengthUnknown}
}

// open begins an exchange and sends its head.
func (ct *clientTest) open(h *message.Head, end bool) (*record, stream.Stream) {
	rec := &record{}
	var s stream.Stream
	ct.l.Call(func() {
		s = ct.c.Open(rec)
		s.SendHead(h, end)
	})
	return rec, s
}

// logOf waits until n things were written down.
func (ct *clientTest) logOf(rec *record, n int) []string {
	for range 200 {
		var got []string
		ct.l.Call(func() { got = slices.Clone(rec.log) })
		if len(got) >= n {
			return got
		}
		time.Sleep(5 * time.Millisecond)
	}
	return append(slices.Clone(rec.log), "(nothing more)")
}

func TestResponses(t *testing.T) {
	tests := []struct {
		name   string
		method string
		send   func(ct *clientTest)
		want   []string
	}{
		{"trailers-only", "POST", func(ct *clientTest) {
			ct.headers(1, true, ct.block(":status", "200", "grpc-status", "5", "grpc-message", "no", "x-bin", "AAEC/w==", "x-bin", "AA"))
		}, []string{`head 200 len 0 proto "" fields [{grpc-status 5 10} {grpc-message no 9} {x-bin AAEC/w== 0} {x-bin AA 0}] end true`}},
		{"1xx, body, trailers", "POST", func(ct *clientTest) {
			ct.headers(1, false, ct.block(":status", "100"))
			ct.headers(1, false, ct.block(":status", "103", "link", "x"))
			ct.headers(1, false, ct.block(":status", "200", "content-length", "3"))
			_ = ct.WriteData(1, false, []byte("abc"))
			ct.headers(1, true, ct.block("b", "2", "a", "1", "b", "3"))
		}, []string{
			`head 100 len -1 proto "" fields [] end false`, `head 103 len -1 proto "" fields [{link x 0}] end false`,
			`head 200 len 3 proto "" fields [] end false`, `data "abc" end false`, `trailers [{b 2 0} {a 1 0} {b 3 0}]`,
		}},
		{
			"HEAD", "HEAD", func(ct *clientTest) { ct.headers(1, true, ct.block(":status", "200", "content-length", "3")) },
			[]string{`head 200 len 3 proto "" fields [] end true`},
		},
		{
			"304", "GET", func(ct *clientTest) { ct.headers(1, true, ct.block(":status", "304", "content-length", "3")) },
			[]string{`head 304 len 3 proto "" fields [] end true`},
		},
		{"body after HEAD", "HEAD", func(ct *clientTest) {
			ct.headers(1, false, ct.block(":status", "200"))
			_ = ct.WriteData(1, true, []byte("abc"))
		}, []string{`head 200 len -1 proto "" fields [] end false`, "reset protocol"}},
		{
			"content-length without a body", "GET", func(ct *clientTest) { ct.headers(1, true, ct.block(":status", "200", "content-length", "3")) },
			[]string{"reset protocol"},
		},
		{"body too short", "GET", func(ct *clientTest) {
			ct.headers(1, false, ct.block(":status", "200", "content-length", "3"))
			_ = ct.WriteData(1, true, []byte("ab"))
		}, []string{`head 200 len 3 proto "" fields [] end false`, "reset protocol"}},
		{"no status", "GET", func(ct *clientTest) { ct.headers(1, true, ct.block("a", "b")) }, []string{"reset protocol"}},
		{"101", "GET", func(ct *clientTest) { ct.headers(1, false, ct.block(":status", "101")) }, []string{"reset protocol"}},
		{"1xx that ends", "GET", func(ct *clientTest) { ct.headers(1, true, ct.block(":status", "100")) }, []string{"reset protocol"}},
		{"DATA before the head", "GET", func(ct *clientTest) { _ = ct.WriteData(1, true, []byte("ab")) }, []string{"reset protocol"}},
		{"connection field", "GET", func(ct *clientTest) { ct.headers(1, true, ct.block(":status", "200", "connection", "x")) }, []string{"reset protocol"}},
		{"LF in a value", "GET", func(ct *clientTest) { ct.headers(1, true, ct.block(":status", "200", "a", "b\nc: d")) }, []string{"reset protocol"}},
		{"head too large", "GET", func(ct *clientTest) {
			for i := range 8 {
				b := ct.block(":status", "200", "a", strings.Repeat("~", 9000))
				if i > 0 {
					b = ct.block(fmt.Sprint("a", i), strings.Repeat("~", 9000))
					_ = ct.WriteContinuation(1, i == 7, b)
				} else {
					_ = ct.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: b})
				}
			}
		}, []string{"reset too_large"}},
		{"REFUSED_STREAM", "GET", func(ct *clientTest) { _ = ct.WriteRSTStream(1, xhttp2.ErrCodeRefusedStream) }, []string{"reset refused"}},
		{"CANCEL", "GET", func(ct *clientTest) { _ = ct.WriteRSTStream(1, xhttp2.ErrCodeCancel) }, []string{"reset cancel"}},
		{"PROTOCOL_ERROR", "GET", func(ct *clientTest) { _ = ct.WriteRSTStream(1, xhttp2.ErrCodeProtocol) }, []string{"reset protocol"}},
		{"NO_ERROR after the answer", "POST", func(ct *clientTest) {
			ct.headers(1, true, ct.block(":status", "200"))
			_ = ct.WriteRSTStream(1, xhttp2.ErrCodeNo)
		}, []string{`head 200 len 0 proto "" fields [] end true`, "reset none"}},
		{"GOAWAY below", "GET", func(ct *clientTest) { _ = ct.WriteGoAway(0, 0, nil) }, []string{"reset refused"}},
		{"GOAWAY above, then the answer", "GET", func(ct *clientTest) {
			_ = ct.WriteGoAway(1, 0, nil)
			ct.headers(1, true, ct.block(":status", "200"))
		}, []string{`head 200 len 0 proto "" fields [] end true`}},
		{"closed in the middle", "GET", func(ct *clientTest) { ct.nc.Close() }, []string{"reset closed"}},
		{"PUSH_PROMISE", "GET", func(ct *clientTest) {
			frame(xhttp2.FramePushPromise, xhttp2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02")(ct.raw)
		}, []string{"reset protocol"}},
		{"stream of the server's", "GET", func(ct *clientTest) { ct.headers(2, true, ct.block(":status", "200")) }, []string{"reset protocol"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ct := newClientTest(t, ClientOptions{})
			rec, _ := ct.open(request(test.method, "/x?y=1"), test.method != "POST")
			for {
				f, err := ct.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				if h, ok := f.(*xhttp2.HeadersFrame); ok {
					if got, want := fmt.Sprint(ct.fields(h)), fmt.Sprintf("[:method: %s :scheme: http :path: /x?y=1 :authority: b.test]", test.method); got != want {
						t.Errorf("request %s, want %s", got, want)
					}
					break
				}
			}
			test.send(ct)
			if got := ct.logOf(rec, len(test.want)); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestClientLimits(t *testing.T) {
	ct := newClientTest(t, ClientOptions{MaxStreams: 10}, xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 2})
	rec, _ := ct.open(request("GET", "/1"), true)
	ct.open(request("GET", "/2"), true)
	now := func() (room, active, rooms, gone int) {
		ct.l.Call(func() { room, active, rooms, gone = ct.c.Room(), ct.c.Active(), ct.rooms, ct.gone })
		return room, active, rooms, gone
	}
	if room, active, _, _ := now(); room != 0 || active != 2 || ct.c.Fresh() {
		t.Errorf("room %d, active %d", room, active)
	}
	ct.headers(1, true, ct.block(":status", "200"))
	ct.logOf(rec, 1)
	room, _, before, _ := now()
	if room != 1 || before == 0 {
		t.Errorf("room %d, told %d times", room, before)
	}
	_ = ct.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 100})
	ct.verdict(nil)
	if room, _, rooms, _ := now(); room != 9 || rooms == before {
		t.Errorf("room %d after more was allowed, told %d times", room, rooms)
	}
	_ = ct.WriteGoAway(3, 0, nil)
	ct.verdict(nil)
	if room, _, _, gone := now(); room != 0 || gone != 1 {
		t.Errorf("room %d after GOAWAY, gone %d", room, gone)
	}
	ct.headers(3, true, ct.block(":status", "200"))
	got := ct.verdict(nil)
	if got == "pong" { // written before the end of the turn
		got = ct.verdict(nil)
	}
	if got != "goaway NO_ERROR" && got != "closed" {
		t.Errorf("after the last stream: %q", got)
	}
	ct.l.Call(ct.c.Close)
	if _, _, _, gone := now(); gone != 1 {
		t.Errorf("told %d times that it is gone", gone)
	}
}

// TestResetAndUnsent: what was reset is told to the backend; what was never sent
// is told to the caller.
func TestResetAndUnsent(t *testing.T) {
	ct := newClientTest(t, ClientOptions{})
	rec, s := ct.open(request("POST", "/"), false)
	ct.l.Call(func() { s.Reset(stream.ReasonTimeout) })
	if got := ct.verdict(nil); got != "rst 1 CANCEL" {
		t.Errorf("got %q", got)
	}
	var unsent record
	ct.l.Call(func() {
		s := ct.c.Open(&unsent)
		s.SendHead(request("GET", "/"), true)
		ct.c.nc.Close() // as if it had broken in this turn
		ct.c.lost(stream.ReasonClosed)
	})
	if fmt.Sprint(unsent.log) != "[reset unsent]" || len(rec.log) != 0 {
		t.Errorf("got %q and %q", unsent.log, rec.log)
	}
}

func TestDialFails(t *testing.T) {
	kinds(t, func(t *testing.T, kind evloop.Kind) {
		t.Helper()
		l := newLoop(t, kind)
		ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		ln.Close()
		ct := &clientTest{l: l}
		rec := &record{}
		l.Call(func() {
			nc, err := l.Dial(addrPort(addr), "")
			if err != nil {
				t.Error(err)
				return
			}
			ct.c = NewClientConn(l, nc, ClientOptions{}, ct)
			ct.c.Open(rec).SendHead(request("GET", "/"), true)
		})
		if got := ct.logOf(rec, 1); fmt.Sprint(got) != "[reset unsent]" {
			t.Errorf("got %q", got)
		}
		l.Call(func() {
			if ct.gone != 1 {
				t.Errorf("gone %d", ct.gone)
			}
		})
	})
}

// TestWebSocket: an Upgrade becomes an extended CONNECT, and its 2xx a 101.
func TestWebSocket(t *testing.T) {
	h := request("GET", "/chat")
	h.Protocol = "websocket"
	t.Run("known", func(t *testing.T) {
		ct := newClientTest(t, ClientOptions{}, xhttp2.Setting{ID: xhttp2.SettingEnableConnectProtocol, Val: 1})
		rec, s := ct.open(h, false)
		ct.l.Call(func() { s.SendData([]byte("ping"), false) })
		var got []string
		for len(got) < 2 {
			f, err := ct.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch f := f.(type) {
			case *xhttp2.HeadersFrame:
				got = append(got, fmt.Sprint(ct.fields(f)))
			case *xhttp2.DataFrame:
				got = append(got, string(f.Data()))
			}
		}
		if fmt.Sprint(got) != "[[:method: CONNECT :protocol: websocket :scheme: http :path: /chat :authority: b.test] ping]" {
			t.Errorf("got %q", got)
		}
		ct.headers(1, false, ct.block(":status", "200"))
		_ = ct.WriteData(1, true, []byte("pong"))
		if got := ct.logOf(rec, 2); !slices.Equal(got, []string{`head 101 len -1 proto "websocket" fields [] end false`, `data "pong" end true`}) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		ct := newClientTest(t, ClientOptions{})
		rec, _ := ct.open(h, false)
		if got := ct.logOf(rec, 1); fmt.Sprint(got) != "[reset protocol]" {
			t.Errorf("got %q", got)
		}
	})
}

func TestClientKeepAlive(t *testing.T) {
	ct := newClientTest(t, ClientOptions{KeepAlive: 100 * time.Millisecond, KeepAliveTimeout: 100 * time.Millisecond})
	rec, _ := ct.open(request("GET", "/"), true)
	if got := ct.logOf(rec, 1); fmt.Sprint(got) != "[reset timeout]" {
		t.Errorf("got %q", got)
	}
	ct.l.Call(func() {
		if ct.gone != 1 {
			t.Errorf("gone %d", ct.gone)
		}
	})
}
