package accesslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/accesslog"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/trace"
)

func full() record.Record {
	c, _ := trace.Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	return record.Record{
		Start: 1_795_772_068_123_456_789, Protocol: metrics.ProtocolHTTP2, Version: message.HTTP2,
		Method: "GET", Scheme: "https", Authority: "shop.example", Path: "/cart?token=secret", UserAgent: `curl/8 "x"`,
		Status: 503, BytesIn: 12, BytesOut: 3456, Flags: record.UpstreamReset | record.Retried,
		Upstream: "10.0.0.1:8080", Cluster: "cart", Attempts: 2, Route: "shop/cart", Listener: "https",
		Client: netip.MustParseAddrPort("192.0.2.7:5555"), Peer: "spiffe://x/ns/shop/sa/front", Trace: c,
	}
}

func write(t *testing.T, settings connect.AccessLog, records ...record.Record) string {
	t.Helper()
	var b bytes.Buffer
	l := accesslog.New(&b, settings)
	s := l.Shard()
	for i := range records {
		s.Log(&records[i], 1_234_567)
	}
	closeLog(t, l)
	return b.String()
}

func closeLog(t *testing.T, l *accesslog.Logger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestForms(t *testing.T) {
	grpc := full()
	grpc.Protocol, grpc.Status, grpc.GRPCStatus, grpc.Flags = metrics.ProtocolGRPC, 200, 14, 0
	tcp := record.Record{Start: 1_000_000, Protocol: metrics.ProtocolTCP, Listener: "db", BytesIn: 1, Client: netip.MustParseAddrPort("[fe80::1%eth0]:1")}
	for _, c := range []struct {
		name     string
		settings connect.AccessLog
		record   record.Record
		want     string
	}{
		{
			"JSON",
			connect.AccessLog{},
			full(),
			`{"time":"2026-11-27T09:34:28.123Z","method":"GET","authority":"shop.example","path":"/cart","version":"HTTP/2","status":503,"protocol":"http2","bytes_in":12,"bytes_out":3456,"duration_ms":1.234,"upstream":"10.0.0.1:8080","cluster":"cart","attempts":2,"route":"shop/cart","listener":"https","client":"192.0.2.7:5555","peer":"spiffe://x/ns/shop/sa/front","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","flags":"upstream_reset,retried","user_agent":"curl/8 \"x\""}`,
		},
		{
			"text",
			connect.AccessLog{Format: connect.LogText, Query: true},
			full(),
			`2026-11-27T09:34:28.123Z GET shop.example /cart?token=secret HTTP/2 http2 503 - 12 3456 1.234 10.0.0.1:8080 cart 2 shop/cart https 192.0.2.7:5555 spiffe://x/ns/shop/sa/front 4bf92f3577b34da6a3ce929d0e0e4736 upstream_reset,retried curl/8\x20\x22x\x22`,
		},
		{
			"gRPC",
			connect.AccessLog{},
			grpc,
			`{"time":"2026-11-27T09:34:28.123Z","method":"GET","authority":"shop.example","path":"/cart","version":"HTTP/2","status":200,"grpc_status":"UNAVAILABLE","protocol":"grpc","bytes_in":12,"bytes_out":3456,"duration_ms":1.234,"upstream":"10.0.0.1:8080","cluster":"cart","attempts":2,"route":"shop/cart","listener":"https","client":"192.0.2.7:5555","peer":"spiffe://x/ns/shop/sa/front","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","user_agent":"curl/8 \"x\""}`,
		},
		{
			"TCP",
			connect.AccessLog{Mode: connect.LogAll},
			tcp,
			`{"time":"1970-01-01T00:00:00.001Z","protocol":"tcp","bytes_in":1,"bytes_out":0,"duration_ms":1.234,"listener":"db","client":"[fe80::1]:1"}`,
		},
		{
			"TCP as text",
			connect.AccessLog{Mode: connect.LogAll, Format: connect.LogText},
			tcp,
			`1970-01-01T00:00:00.001Z - - - - tcp 0 - 1 0 1.234 - - 0 - db [fe80::1]:1 - - - -`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := write(t, c.settings, c.record); got != c.want+"\n" {
				t.Errorf("got  %swant %s", got, c.want)
			}
		})
	}
}

func TestModes(t *testing.T) {
	of := func(status int, f record.Flag) record.Record { return record.Record{Status: status, Flags: f} }
	grpc := func(status int) record.Record {
		return record.Record{Status: 200, Protocol: metrics.ProtocolGRPC, GRPCStatus: status}
	}
	for _, c := range []struct {
		name   string
		record record.Record
		failed bool
	}{
		{"200", of(200, 0), false},
		{"404", of(404, 0), false},
		{"404 of ours", of(404, record.NoRoute), true},
		{"500", of(500, 0), true},
		{"client closed", of(0, record.ClientClosed), true},
		{"retried with success", of(200, record.Retried), false},
		{"direct response", of(301, record.Direct), false},
		{"gRPC OK", grpc(0), false},
		{"gRPC NOT_FOUND", grpc(5), false},
		{"gRPC INTERNAL", grpc(13), true},
	} {
		for mode, want := range map[connect.LogMode]bool{connect.LogAll: true, connect.LogOff: false, connect.LogErrors: c.failed} {
			if got := write(t, connect.AccessLog{Mode: mode}, c.record) != ""; got != want {
				t.Errorf("%s in mode %d: logged %v", c.name, mode, got)
			}
		}
	}
}

func TestSettingsChange(t *testing.T) {
	var b bytes.Buffer
	l := accesslog.New(&b, connect.AccessLog{Mode: connect.LogOff})
	s := l.Shard()
	r := full()
	s.Log(&r, 1)
	l.Set(connect.AccessLog{Mode: connect.LogAll, Format: connect.LogText})
	s.Log(&r, 1)
	closeLog(t, l)
	if got := b.String(); strings.Count(got, "\n") != 1 || got[0] == '{' {
		t.Errorf("got %q, want one line of text", got)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

type hanging struct{ release chan struct{} }

func (h hanging) Write(p []byte) (int, error) { <-h.release; return len(p), nil }

func TestLosses(t *testing.T) {
	r := full()
	t.Run("writer that fails", func(t *testing.T) {
		l := accesslog.New(failing{}, connect.AccessLog{})
		l.Shard().Log(&r, 1)
		closeLog(t, l)
		if lines, dropped, failed := l.Counts(); lines != 1 || dropped != 0 || failed != 1 {
			t.Errorf("%d %d %d", lines, dropped, failed)
		}
	})
	t.Run("writer that hangs", func(t *testing.T) {
		h := hanging{make(chan struct{})}
		l := accesslog.New(h, connect.AccessLog{})
		s := l.Shard()
		begin := time.Now()
		for range 5000 {
			s.Log(&r, 1)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("5,000 lines took %v: the loop waits", took)
		}
		lines, dropped, _ := l.Counts()
		if lines+dropped != 5000 || dropped == 0 || lines > 4*64<<10/300 {
			t.Errorf("%d queued, %d dropped", lines, dropped)
		}
		close(h.release)
		closeLog(t, l)
	})
}

func TestNoAllocations(t *testing.T) {
	for _, format := range []connect.LogFormat{connect.LogJSON, connect.LogText} {
		l := accesslog.New(io.Discard, connect.AccessLog{Mode: connect.LogAll, Format: format})
		s := l.Shard()
		r := full()
		for range 2000 {
			s.Log(&r, 1)
		}
		if n := testing.AllocsPerRun(1000, func() { r.Start += 1e6; s.Log(&r, 5) }); n != 0 {
			t.Errorf("format %d: %v allocations", format, n)
		}
		closeLog(t, l)
	}
}

// FuzzLine gives clients all they can send and checks that a line stays one line.
func FuzzLine(f *testing.F) {
	f.Add("GET", "a.example", "/x", "curl", "spiffe://a")
	f.Add("G\nET", "\xff\xfe", "/\u2028\u202e\"\\", "\x1b[31m", "{\"a\":1}")
	f.Add("-", " ", "/a b\r\n2026-01-01T00:00:00.000Z GET", "\x00\x7f\u0085", strings.Repeat("é", 300))
	f.Fuzz(func(t *testing.T, method, authority, path, agent, peer string) {
		r := record.Record{Start: 1e18, Method: method, Authority: authority, Path: path, UserAgent: agent, Peer: peer, Status: 200}
		line := write(t, connect.AccessLog{Mode: connect.LogAll, Query: true}, r)
		if strings.Count(line, "\n") != 1 || !utf8.ValidString(line) {
			t.Fatalf("not one line: %q", line)
		}
		for _, c := range strings.TrimSuffix(line, "\n") {
			if unicode.IsControl(c) || unicode.Is(unicode.Zl, c) || unicode.Is(unicode.Zp, c) || unicode.Is(unicode.Bidi_Control, c) {
				t.Fatalf("%q holds %U", line, c)
			}
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for name, value := range map[string]string{"method": method, "authority": authority, "user_agent": agent, "peer": peer} {
			text, _ := got[name].(string)
			if len(value) <= 256 && utf8.ValidString(value) && text != value {
				t.Errorf("%s: %q became %q", name, value, text)
			}
		}
		words := strings.Split(strings.TrimSuffix(write(t, connect.AccessLog{Mode: connect.LogAll, Format: connect.LogText}, r), "\n"), " ")
		if len(words) != len(accesslog.Columns()) || slices.Contains(words, "") {
			t.Fatalf("%d words, want %d: %q", len(words), len(accesslog.Columns()), words)
		}
		for _, c := range strings.Join(words, "") {
			if c < 0x21 || c > 0x7e {
				t.Fatalf("%q holds %U", words, c)
			}
		}
	})
}

func BenchmarkLog(b *testing.B) {
	l := accesslog.New(io.Discard, connect.AccessLog{Mode: connect.LogAll})
	s := l.Shard()
	r := full()
	b.ReportAllocs()
	for b.Loop() {
		s.Log(&r, 1_234_567)
	}
	_ = l.Close(b.Context())
}
