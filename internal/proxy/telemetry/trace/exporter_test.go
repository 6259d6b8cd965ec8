package trace_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/tatami-platform/tatami/internal/proxy/telemetry/trace"
)

// receiver is an OTLP/HTTP receiver that reads with OpenTelemetry's own types.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	data   []*tracepb.TracesData
	answer func(n int, w http.ResponseWriter)
	calls  atomic.Int64
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		var data tracepb.TracesData
		if err := proto.Unmarshal(body, &data); err != nil || req.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("batch: %v, %q", err, req.Header.Get("Content-Type"))
		}
		r.mu.Lock()
		r.data = append(r.data, &data)
		r.mu.Unlock()
		if n := r.calls.Add(1); r.answer != nil {
			r.answer(int(n), w)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func closeNow(t *testing.T, e *trace.Exporter) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		t.Error(err)
	}
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		m[a.GetKey()] = a.GetValue().GetStringValue()
		if v, ok := a.GetValue().GetValue().(*commonpb.AnyValue_IntValue); ok {
			m[a.GetKey()] = string(protowire.AppendVarint(nil, uint64(v.IntValue)))
		}
	}
	return m
}

func TestExport(t *testing.T) {
	r := receive(t, nil)
	e, err := trace.NewExporter(r.URL+"/v1/traces", trace.Resource{Service: "shop/cart", Name: "pod-1", Zone: "a", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := trace.Parse(valid)
	c.Parent, c.State = trace.SpanID{1}, "a=1"
	q := e.Queue()
	var s trace.Span
	s.Begin(q.Begin(), &c, trace.KindClient, 1_700_000_000_000_000_000, 1_700_000_000_000_000_123)
	s.Name("GET", "/a")
	s.String("text", strings.Repeat("x", 300))
	s.String("left.out", "")
	s.String("invalid", "a\xff"+strings.Repeat("é", 600))
	s.Int("number", 7)
	s.Error()
	q.End(s.End())
	s.Begin(q.Begin(), &c, trace.KindServer, 1, 2)
	s.Name("second", "")
	q.End(s.End())
	closeNow(t, e)
	if len(r.data) != 1 {
		t.Fatalf("%d batches, want 1", len(r.data))
	}
	resource := r.data[0].GetResourceSpans()[0]
	if got := attributes(resource.GetResource().GetAttributes()); got["service.name"] != "shop/cart" || got["service.instance.id"] != "pod-1" || got["cloud.availability_zone"] != "a" {
		t.Errorf("resource %v", got)
	}
	if !strings.HasPrefix(resource.GetSchemaUrl(), "https://opentelemetry.io/schemas/") {
		t.Errorf("schema %q", resource.GetSchemaUrl())
	}
	scope := resource.GetScopeSpans()[0]
	if scope.GetScope().GetName() != "tatami-proxy" || scope.GetScope().GetVersion() != "v1" || len(scope.GetSpans()) != 2 {
		t.Fatalf("scope %v with %d spans", scope.GetScope(), len(scope.GetSpans()))
	}
	span := scope.GetSpans()[0]
	if span.GetName() != "GET /a" || span.GetKind() != tracepb.Span_SPAN_KIND_CLIENT || span.GetTraceState() != "a=1" ||
		string(span.GetTraceId()) != string(c.Trace[:]) || string(span.GetSpanId()) != string(c.Span[:]) || string(span.GetParentSpanId()) != string(c.Parent[:]) ||
		span.GetStartTimeUnixNano() != 1_700_000_000_000_000_000 || span.GetEndTimeUnixNano() != 1_700_000_000_000_000_123 ||
		span.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || span.GetFlags() != 1 {
		t.Errorf("span %v", span)
	}
	got := attributes(span.GetAttributes())
	if got["text"] != strings.Repeat("x", 300) || got["number"] != "\x07" || !strings.HasPrefix(got["invalid"], "a\uFFFDé") || len(got) != 3 {
		t.Errorf("attributes %v", got)
	}
	if span := scope.GetSpans()[1]; span.GetName() != "second" || span.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_UNSET {
		t.Errorf("second span %v", span)
	}
}

func TestExportAnswers(t *testing.T) {
	status := func(codes ...int) func(int, http.ResponseWriter) {
		return func(n int, w http.ResponseWriter) { w.WriteHeader(codes[min(n, len(codes))-1]) }
	}
	partial := func(_ int, w http.ResponseWriter) {
		inner := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 2)
		_, _ = w.Write(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner))
	}
	for _, c := range []struct {
		name                    string
		answer                  func(int, http.ResponseWriter)
		calls                   int64
		wantExported, wantError uint64
	}{
		{"taken", status(200), 1, 3, 0},
		{"again after 503", status(503, 200), 2, 3, 0},
		{"again after 429", status(429, 502, 504, 202), 4, 3, 0},
		{"never taken", status(503), 4, 0, 3},
		{"refused for good", status(400, 200), 1, 0, 3},
		{"500 is not tried again", status(500, 200), 1, 0, 3},
		{"redirects are not followed", status(307, 200), 1, 0, 3},
		{"taken in part", partial, 1, 1, 2},
		{"garbage as answer", func(_ int, w http.ResponseWriter) { _, _ = io.WriteString(w, "\xff\xff\xff") }, 1, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := receive(t, c.answer)
			e, err := trace.NewExporter(r.URL, trace.Resource{})
			if err != nil {
				t.Fatal(err)
			}
			trace.SetDelay(e, time.Millisecond)
			q := e.Queue()
			sendSpans(q.Begin, q.End, 3)
			closeNow(t, e)
			exported, dropped, failed := e.Counts()
			if exported != c.wantExported || failed != c.wantError || dropped != 0 || r.calls.Load() != c.calls {
				t.Errorf("exported %d failed %d dropped %d in %d calls", exported, failed, dropped, r.calls.Load())
			}
		})
	}
}

func sendSpans(begin func() []byte, end func([]byte), n int) {
	c, _ := trace.Parse(valid)
	for range n {
		var s trace.Span
		s.Begin(begin(), &c, trace.KindServer, 1, 2)
		s.Name("GET", "")
		end(s.End())
	}
}

func TestReceiverThatHangs(t *testing.T) {
	release := make(chan struct{})
	r := receive(t, func(int, http.ResponseWriter) { <-release })
	defer close(release)
	e, err := trace.NewExporter(r.URL, trace.Resource{})
	if err != nil {
		t.Fatal(err)
	}
	q := e.Queue()
	begin := time.Now()
	const spans = 20_000
	sendSpans(q.Begin, q.End, spans)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("queueing took %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	if _, dropped, _ := e.Counts(); dropped < spans/2 {
		t.Errorf("%d dropped: the queue has no bound", dropped)
	}
}

func TestEndpoints(t *testing.T) {
	for _, bad := range []string{"", "collector:4318", "/v1/traces", "grpc://x", "http://", "http://a b/"} {
		if e, err := trace.NewExporter(bad, trace.Resource{}); !errors.Is(err, trace.ErrEndpoint) {
			t.Errorf("%q: %v", bad, err)
			closeNow(t, e)
		}
	}
}
