package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/trace"
)

var start = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

// collector keeps the spans that it gets.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
}

func collect(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var data tracepb.TracesData
		if err := proto.Unmarshal(body, &data); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range data.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func config(endpoint string, mode connect.LogMode) *connect.Config {
	c := &connect.Config{Version: "v1", Node: connect.Node{AccessLog: connect.AccessLog{Mode: mode}}, Clusters: []*connect.Cluster{{Name: "c", Service: "shop/cart"}}}
	if endpoint != "" {
		c.Node.Tracing = &connect.Tracing{Endpoint: endpoint, Sample: 1e6}
	}
	return c
}

func closeNow(t *testing.T, x *telemetry.Telemetry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := x.Close(ctx); err != nil {
		t.Error(err)
	}
}

func sample(s *telemetry.Shard) record.Record {
	return record.Record{
		Start: start.UnixNano(), Began: 1000, Series: s.Route(metrics.Labels{DestinationService: "shop/cart"}),
		Version: message.HTTP11, Method: "GET", Scheme: "http", Authority: "shop.example:8080", Path: "/a?secret=1",
		UserAgent: "curl", Status: 200, BytesOut: 5, Upstream: "10.0.0.1:80", Cluster: "c", Attempts: 1, Route: "r", Listener: "l",
		Client: netip.MustParseAddrPort("192.0.2.1:4000"),
	}
}

func TestDone(t *testing.T) {
	c := collect(t)
	var log bytes.Buffer
	x := telemetry.New(telemetry.Options{Service: "shop/front", Start: start, Log: &log})
	if err := x.Apply(start, config(c.URL, connect.LogAll)); err != nil {
		t.Fatal(err)
	}
	s := x.Shard()
	ok := sample(s)
	ok.Trace = s.Trace(trace.Context{}, false)
	s.Done(2_001_000, &ok)
	failed := sample(s)
	failed.Series, failed.Method, failed.Status, failed.Flags, failed.Egress = nil, "BREW", 404, record.NoRoute, true
	failed.Trace = s.Trace(ok.Trace, true)
	s.Done(3_001_000, &failed)
	rpc := sample(s)
	rpc.Protocol, rpc.Path, rpc.GRPCStatus = metrics.ProtocolGRPC, "/shop.Cart/Get", 14
	rpc.Trace = s.Trace(trace.Context{}, false)
	s.Done(4_001_000, &rpc)
	closeNow(t, x)

	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || len(lines) != 3 || line["duration_ms"] != 2.0 || line["path"] != "/a" {
		t.Errorf("log %q: %v", log.String(), err)
	}
	sum := x.Metrics().Summary()
	if sum.Requests != 3 || sum.ServerErrors != 1 || sum.BytesOut != 15 {
		t.Errorf("summary %+v", sum)
	}
	var text bytes.Buffer
	if err := x.Metrics().Write(&text, metrics.FormatText, start); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`destination_service="none",destination_zone="",protocol="http1",code="4xx"} 1`,
		`tatami_proxy_request_flags_total{flag="no_route"} 1`,
		"tatami_proxy_spans_exported_total 3\n", "tatami_proxy_access_log_lines_total 3\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if len(c.spans) != 3 {
		t.Fatalf("%d spans, want 3", len(c.spans))
	}
	checkSpan(t, c.spans[0], "GET", tracepb.Span_SPAN_KIND_SERVER, false, map[string]string{
		"http.request.method": "GET", "url.path": "/a", "url.scheme": "http", "server.address": "shop.example",
		"client.address": "192.0.2.1", "network.protocol.version": "1.1", "network.peer.address": "10.0.0.1", "user_agent.original": "curl",
	})
	checkSpan(t, c.spans[1], "HTTP", tracepb.Span_SPAN_KIND_CLIENT, true, map[string]string{
		"http.request.method": "_OTHER", "http.request.method_original": "BREW", "error.type": "no_route",
	})
	checkSpan(t, c.spans[2], "shop.Cart/Get", tracepb.Span_SPAN_KIND_SERVER, true, map[string]string{
		"rpc.system.name": "grpc", "rpc.method": "shop.Cart/Get", "rpc.response.status_code": "UNAVAILABLE", "error.type": "UNAVAILABLE",
	})
	if a, b := c.spans[0], c.spans[1]; string(a.GetTraceId()) != string(b.GetTraceId()) || string(a.GetSpanId()) != string(b.GetParentSpanId()) {
		t.Error("the second span is no child of the first")
	}
}

func checkSpan(t *testing.T, s *tracepb.Span, name string, kind tracepb.Span_SpanKind, failed bool, want map[string]string) {
	t.Helper()
	if s.GetName() != name || s.GetKind() != kind || (s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR) != failed {
		t.Errorf("span %q %v %v", s.GetName(), s.GetKind(), s.GetStatus())
	}
	got := map[string]string{}
	for _, a := range s.GetAttributes() {
		if got[a.GetKey()] != "" {
			t.Errorf("%s twice", a.GetKey())
		}
		got[a.GetKey()] = a.GetValue().GetStringValue()
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: %s = %q, want %q", name, k, got[k], v)
		}
	}
	if strings.Contains(s.String(), "secret") {
		t.Error("the query is in the span")
	}
}

func TestTracingChanges(t *testing.T) {
	one, two := collect(t), collect(t)
	x := telemetry.New(telemetry.Options{Start: start})
	s := x.Shard()
	done := func() {
		r := sample(s)
		r.Trace = s.Trace(trace.Context{}, false)
		s.Done(1, &r)
	}
	done()
	// It begins before there is a receiver, with the caller's context passed on.
	parent, _ := trace.Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	early := sample(s)
	early.Trace = s.Trace(parent, true)
	unsampled := parent
	unsampled.Flags = 0
	for _, endpoint := range []string{one.URL, one.URL, two.URL, ""} {
		if err := x.Apply(start, config(endpoint, connect.LogOff)); err != nil {
			t.Fatal(err)
		}
		done()
		s.Done(1, &early)
		r := sample(s)
		r.Trace = s.Trace(unsampled, true)
		s.Done(1, &r)
	}
	if err := x.Apply(start, config("nonsense", connect.LogOff)); !errors.Is(err, trace.ErrEndpoint) {
		t.Errorf("nonsense: %v", err)
	}
	closeNow(t, x)
	if len(one.spans) != 2 || len(two.spans) != 1 {
		t.Errorf("%d and %d spans, want 2 and 1", len(one.spans), len(two.spans))
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	c := collect(t)
	for range 20 {
		x := telemetry.New(telemetry.Options{Start: start, Log: io.Discard})
		if err := x.Apply(start, config(c.URL, connect.LogAll)); err != nil {
			t.Fatal(err)
		}
		s := x.Shard()
		r := sample(s)
		r.Trace = s.Trace(trace.Context{}, false)
		s.Done(1, &r)
		closeNow(t, x)
	}
	c.Close()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestDoneDoesNotAllocate(t *testing.T) {
	c := collect(t)
	x := telemetry.New(telemetry.Options{Start: start, Log: io.Discard})
	defer closeNow(t, x)
	if err := x.Apply(start, config("", connect.LogAll)); err != nil {
		t.Fatal(err)
	}
	s := x.Shard()
	r := sample(s)
	r.Flags = record.Retried
	for range 2000 {
		s.Done(1e6, &r)
	}
	if n := testing.AllocsPerRun(1000, func() { s.Done(1e6, &r) }); n != 0 {
		t.Errorf("metrics and log: %v allocations", n)
	}
	if err := x.Apply(start, config(c.URL, connect.LogAll)); err != nil {
		t.Fatal(err)
	}
	r.Trace = s.Trace(trace.Context{}, false)
	// Fewer than fill a chunk: sending one allocates, in the background.
	for range 10 {
		s.Done(1e6, &r)
	}
	if n := testing.AllocsPerRun(50, func() { s.Done(1e6, &r) }); n != 0 {
		t.Errorf("with a span: %v allocations", n)
	}
}

func BenchmarkDone(b *testing.B) {
	for _, c := range []struct {
		name string
		mode connect.LogMode
	}{{"metrics", connect.LogErrors}, {"metrics and log", connect.LogAll}} {
		b.Run(c.name, func(b *testing.B) {
			x := telemetry.New(telemetry.Options{Start: start, Log: io.Discard})
			if err := x.Apply(start, config("", c.mode)); err != nil {
				b.Fatal(err)
			}
			s := x.Shard()
			r := sample(s)
			b.ReportAllocs()
			for b.Loop() {
				s.Done(1_000_000, &r)
			}
			_ = x.Close(b.Context())
		})
	}
}
