package http2

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// TestFloodsAreCut: every attack ends in a GOAWAY, and is counted.
func TestFloodsAreCut(t *testing.T) {
	const many = 20000
	attacks := []struct {
		name  string
		begin func(r *raw)
		frame func(r *raw, i uint32)
		count func(s *Stats) *atomic.Uint64
	}{
		{"rapid reset (CVE-2023-44487)", nil, func(r *raw, i uint32) {
			r.headers(2*i+1, true, r.get("/hang"))
			_ = r.WriteRSTStream(2*i+1, xhttp2.ErrCodeCancel)
		}, func(s *Stats) *atomic.Uint64 { return &s.Resets }},
		{"reset by us for WINDOW_UPDATE of 0 (CVE-2025-8671)", nil, func(r *raw, i uint32) {
			r.headers(2*i+1, true, r.get("/hang"))
			_ = r.WriteWindowUpdate(2*i+1, 0)
		}, func(s *Stats) *atomic.Uint64 { return &s.Resets }},
		{"reset by us for DATA after the end (CVE-2025-8671)", nil, func(r *raw, i uint32) {
			r.headers(2*i+1, true, r.get("/hang"))
			_ = r.WriteData(2*i+1, true, []byte("x"))
		}, func(s *Stats) *atomic.Uint64 { return &s.Resets }},
		{"malformed requests", nil, func(r *raw, i uint32) {
			r.headers(2*i+1, true, r.get("/hang", "connection", "x"))
		}, func(s *Stats) *atomic.Uint64 { return &s.Resets }},
		{
			"CONTINUATION without bytes (CVE-2024-27316)", func(r *raw) {
				_ = r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.get("/")})
			}, func(r *raw, _ uint32) { _ = r.WriteContinuation(1, false, nil) },
			func(s *Stats) *atomic.Uint64 { return &s.HeaderFloods },
		},
		{
			"CONTINUATION with bytes (CVE-2024-27316)", func(r *raw) {
				_ = r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.get("/")})
			}, func(r *raw, _ uint32) { _ = r.WriteContinuation(1, false, make([]byte, maxFrame)) },
			func(s *Stats) *atomic.Uint64 { return &s.HeaderFloods },
		},
		{"SETTINGS", nil, func(r *raw, _ uint32) { _ = r.WriteSettings() }, floods},
		{"PING", nil, func(r *raw, _ uint32) { _ = r.WritePing(false, [8]byte{}) }, floods},
		{"PING ACK", nil, func(r *raw, _ uint32) { _ = r.WritePing(true, [8]byte{}) }, floods},
		{"PRIORITY", nil, func(r *raw, _ uint32) { frame(xhttp2.FramePriority, 0, 7, "\x00\x00\x00\x01\x01")(r) }, floods},
		{"WINDOW_UPDATE", nil, func(r *raw, _ uint32) { _ = r.WriteWindowUpdate(0, 1) }, floods},
		{
			"empty DATA", func(r *raw) { r.headers(1, false, r.post("/hang")) },
			func(r *raw, _ uint32) { _ = r.WriteData(1, false, nil) }, floods,
		},
		{"unknown frames", nil, func(r *raw, _ uint32) { frame(0x77, 0, 0, "")(r) }, floods},
		{
			"RST_STREAM again", func(r *raw) { r.headers(1, true, r.get("/hang")) },
			func(r *raw, _ uint32) { _ = r.WriteRSTStream(1, 8) }, floods,
		},
		{"streams over the limit", func(r *raw) {
			for i := range uint32(128) {
				r.headers(2*i+1, true, r.get("/hang"))
			}
		}, func(r *raw, i uint32) { r.headers(1001+2*i, true, r.get("/hang")) }, floods},
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			l := newLoop(t, evloop.Native)
			stats := &Stats{}
			addr, _ := serve(t, l, ServerOptions{Stats: stats}, func() stream.Server { return &app{} })
			r := dialRaw(t, addr)
			go func() {
				if a.begin != nil {
					a.begin(r)
				}
				n := uint32(many)
				if strings.Contains(a.name, "with bytes") {
					n = 40 // more than the linger takes would be answered by a reset
				}
				for i := range n {
					a.frame(r, i)
				}
			}()
			r2 := &raw{t: t, nc: r.nc, Framer: xhttp2.NewFramer(io.Discard, r.nc)}
			for {
				f, err := r2.ReadFrame()
				if err != nil {
					t.Fatalf("closed without a GOAWAY: %v", err)
				}
				if g, ok := f.(*xhttp2.GoAwayFrame); ok {
					if g.ErrCode != xhttp2.ErrCodeEnhanceYourCalm {
						t.Errorf("GOAWAY %v %s", g.ErrCode, g.DebugData())
					}
					break
				}
			}
			if a.count(stats).Load() != 1 {
				t.Error("not counted")
			}
		})
	}
}

func floods(s *Stats) *atomic.Uint64 { return &s.Floods }

// TestHonestChatterIsNotCut: frames that belong to work are no flood.
func TestHonestChatterIsNotCut(t *testing.T) {
	l := newLoop(t, evloop.Native)
	addr, _ := serve(t, l, ServerOptions{}, func() stream.Server { return &app{} })
	r := dialRaw(t, addr)
	for i := range uint32(5000) {
		id := 2*i + 1
		r.headers(id, true, r.get("/"))
		_ = r.WriteWindowUpdate(0, 5)
		_ = r.WriteWindowUpdate(id, 5)
		_ = r.WritePing(false, [8]byte{'b'})
		for done := false; !done; {
			f, err := r.ReadFrame()
			if err != nil {
				t.Fatal(i, err)
			}
			switch f := f.(type) {
			case *xhttp2.GoAwayFrame:
				t.Fatalf("request %d: %v %s", i, f.ErrCode, f.DebugData())
			case *xhttp2.DataFrame:
				done = f.StreamEnded()
			}
		}
	}
}

func TestHeaderListTooLarge(t *testing.T) {
	big := strings.Repeat("x", 4000-entryCost-1)
	for name, send := range map[string]func(r *raw){
		"HPACK bomb": func(r *raw) {
			r.headers(1, true, r.get("/", "b", big))
			block := r.get("/")
			block = append(block, strings.Repeat("\xbe", 16000)...) // the newest entry again and again
			r.headers(3, true, block)
		},
		"long value": func(r *raw) {
			r.headers(1, true, r.get("/"))
			b := r.block(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "b", strings.Repeat("~", 70000))
			first := true
			for len(b) > 0 {
				n := min(len(b), maxFrame)
				if first {
					_ = r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 3, BlockFragment: b[:n], EndStream: true})
				} else {
					_ = r.WriteContinuation(3, n == len(b), b[:n])
				}
				first = false
				b = b[n:]
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoop(t, evloop.Native)
			stats := &Stats{}
			a := &app{}
			addr, _ := serve(t, l, ServerOptions{Stats: stats}, func() stream.Server { return a })
			r := dialRaw(t, addr)
			send(r)
			var heads []string
			got := r.verdict(func(f xhttp2.Frame) {
				if h, ok := f.(*xhttp2.HeadersFrame); ok {
					heads = append(heads, r.fields(h)[0])
				}
			})
			if got != "pong" || fmt.Sprint(heads) != "[:status: 200 :status: 431]" {
				t.Errorf("got %q, heads %q", got, heads)
			}
			if stats.TooLarge.Load() != 1 {
				t.Error("not counted")
			}
			l.Call(func() {
				if len(a.refused) != 1 {
					t.Errorf("refused %q", a.refused)
				}
			})
		})
	}
}

// TestDecoderIsShared: a stream that is refused still changes the table.
func TestDecoderIsShared(t *testing.T) {
	l := newLoop(t, evloop.Native)
	addr, _ := serve(t, l, ServerOptions{MaxStreams: 1}, func() stream.Server { return &app{} })
	r := dialRaw(t, addr)
	r.headers(1, true, r.get("/hang"))
	// Refused, but its block changes the table for those that follow.
	r.headers(3, true, r.get("/", "x-new", "1"))
	_ = r.WriteRSTStream(1, 8)
	r.headers(5, true, r.get("/", "x-new", "1"))
	var heads []string
	for len(heads) == 0 {
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case *xhttp2.HeadersFrame:
			heads = append(heads, r.fields(f)...)
			if f.StreamID != 5 {
				t.Errorf("answer on stream %d", f.StreamID)
			}
		case *xhttp2.GoAwayFrame:
			t.Fatal(f.ErrCode)
		}
	}
}

func TestTimeouts(t *testing.T) {
	fast := 150 * time.Millisecond
	tests := []struct {
		name string
		opts ServerOptions
		do   func(r *raw)
		want string // what the peer reads last
		stat func(s *Stats) *atomic.Uint64
	}{
		{"no preface", ServerOptions{SettingsTimeout: fast}, func(*raw) {}, "goaway SETTINGS_TIMEOUT", nil},
		{"no acknowledgement", ServerOptions{SettingsTimeout: fast}, func(r *raw) {
			_, _ = io.WriteString(r.nc, preface)
			_ = r.WriteSettings()
		}, "goaway SETTINGS_TIMEOUT", nil},
		{"idle", ServerOptions{IdleTimeout: fast}, begin, "goaway NO_ERROR", nil},
		{"no answer to PING", ServerOptions{KeepAlive: fast, KeepAliveTimeout: fast}, func(r *raw) {
			begin(r)
			r.headers(1, true, r.get("/hang"))
		}, "closed", func(s *Stats) *atomic.Uint64 { return &s.Stalled }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLoop(t, evloop.Native)
			stats := &Stats{}
			test.opts.Stats = stats
			addr, _ := serve(t, l, test.opts, func() stream.Server { return &app{} })
			start := time.Now()
			r := dialSilent(t, addr)
			test.do(r)
			got := ""
			for got == "" {
				f, err := r.ReadFrame()
				if g, ok := f.(*xhttp2.GoAwayFrame); ok {
					got = "goaway " + g.ErrCode.String()
				} else if err != nil {
					got = "closed"
				}
			}
			if took := time.Since(start); got != test.want || took < fast*2/3 || took > 3*time.Second {
				t.Errorf("%q after %v", got, took)
			}
			if test.stat != nil && test.stat(stats).Load() == 0 {
				t.Error("not counted")
			}
		})
	}
}

func begin(r *raw) {
	_, _ = io.WriteString(r.nc, preface)
	_ = r.WriteSettings()
	_ = r.WriteSettingsAck()
}

// TestSlowReaders: a client that takes nothing costs bounded memory, and is
// closed when it stalls the connection.
func TestSlowReaders(t *testing.T) {
	kinds(t, func(t *testing.T, kind evloop.Kind) {
		t.Helper()
		l := newLoop(t, kind)
		stats := &Stats{}
		addr, conns := serve(t, l, ServerOptions{Stats: stats, WriteTimeout: 300 * time.Millisecond, Floods: Budget{Burst: 1e9}}, func() stream.Server { return &app{} })
		r := dialRaw(t, addr, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: maxWindow})
		_ = r.WriteWindowUpdate(0, maxWindow-defaultWindow)
		for i := range uint32(50) {
			r.headers(2*i+1, true, r.get("/big/100000000"))
		}
		go func() {
			for r.WritePing(false, [8]byte{}) == nil {
			}
		}()
		most := 0
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			for _, c := range conns() {
				l.Call(func() {
					size := c.pending()
					for s := c.first; s != nil; s = s.next {
						size += s.sendQ.size
					}
					most = max(most, size)
				})
			}
		}
		if limit := 50*(roomHigh+8000) + outHigh + 128<<10; most > limit || most == 0 {
			t.Errorf("%d bytes lie in queues, limit %d", most, limit)
		}
		if stats.Stalled.Load() != 1 {
			t.Error("the stalled connection was not closed")
		}
	})
}

// TestZeroWindow: without a window bodies wait, bounded, and heads go out.
func TestZeroWindow(t *testing.T) {
	l := newLoop(t, evloop.Native)
	addr, conns := serve(t, l, ServerOptions{}, func() stream.Server { return &app{} })
	r := dialRaw(t, addr, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 0})
	r.headers(1, true, r.get("/big/1000000"))
	heads := 0
	if got := r.verdict(func(f xhttp2.Frame) {
		switch f.(type) {
		case *xhttp2.HeadersFrame:
			heads++
		case *xhttp2.DataFrame:
			t.Error("DATA without a window")
		}
	}); got != "pong" || heads != 1 {
		t.Errorf("got %q, %d heads", got, heads)
	}
	c := conns()[0]
	l.Call(func() {
		if n := c.first.sendQ.size; n < roomHigh || n > roomHigh+8000 {
			t.Errorf("%d bytes wait", n)
		}
	})
	// SETTINGS open it by 10, and close it again below zero.
	_ = r.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 10})
	_ = r.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 3})
	_ = r.WriteWindowUpdate(1, 8)
	got := 0
	// Twice: data is written at the end of a turn, after the answer to a PING.
	for range 2 {
		r.verdict(func(f xhttp2.Frame) {
			if d, ok := f.(*xhttp2.DataFrame); ok {
				got += len(d.Data())
			}
		})
	}
	// 3+8 when all came in one turn; else 10 first and 1 after.
	if got != 11 {
		t.Errorf("%d bytes came, want 11", got)
	}
}
