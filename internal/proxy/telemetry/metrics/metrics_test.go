package metrics_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
)

var start = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

func always(string) bool { return true }

// scrape reads our text with Prometheus' own parser.
func scrape(t *testing.T, r *metrics.Registry, now time.Time) map[string]*dto.MetricFamily {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, metrics.FormatText, now); err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(&b)
	if err != nil {
		t.Fatalf("Prometheus' parser: %v", err)
	}
	return families
}

// find is the metric of a family that has all these labels.
func find(f *dto.MetricFamily, labels map[string]string) *dto.Metric {
	for _, m := range f.GetMetric() {
		have := map[string]string{}
		for _, l := range m.GetLabel() {
			have[l.GetName()] = l.GetValue()
		}
		matches := true
		for k, v := range labels {
			matches = matches && have[k] == v
		}
		if matches {
			return m
		}
	}
	return nil
}

func counter(t *testing.T, families map[string]*dto.MetricFamily, name string, labels map[string]string) float64 {
	t.Helper()
	m := find(families["tatami_proxy_"+name], labels)
	if m == nil {
		return 0
	}
	return m.GetCounter().GetValue()
}

func filled() (*metrics.Registry, *metrics.Shard, *metrics.Shard) {
	r := metrics.New(metrics.Options{Service: "shop/front", Zone: "a", Version: "v1", Start: start, Flags: []string{"no_route", "timeout"}})
	one, two := r.Shard(), r.Shard()
	http := metrics.Labels{DestinationService: "shop/cart", DestinationZone: "b", Protocol: metrics.ProtocolHTTP1}
	one.Route(http).Request(metrics.HTTP(200), 1_000_000, 10, 2000) // exactly at a bound
	two.Route(http).Request(metrics.HTTP(204), 3_000_000, 0, 0)
	two.Route(http).Request(metrics.HTTP(503), 90e9, 0, 5)
	two.Route(http).Retry()
	one.Route(metrics.Labels{DestinationService: "shop/pay", Protocol: metrics.ProtocolGRPC}).Request(metrics.GRPC(14), 1000, 0, 0)
	one.Cluster("shop/cart").Open()
	two.Cluster("shop/cart").Open()
	two.Cluster("shop/cart").Close()
	one.Cluster("shop/cart").Eject()
	one.Cluster("shop/cart").Reject()
	one.Cluster("shop/cart").ConnectFailure()
	one.Cluster("shop/cart").Wait()
	one.Cluster("shop/cart").Wait()
	two.Cluster("shop/cart").Resume()
	one.Listener("http").Open()
	two.Listener("http").Close()
	one.Listener("http").Open()
	one.Listener("http").Refuse()
	one.Listener("http").Handshake(true)
	one.Listener("http").Handshake(false)
	one.Lag(200_000)
	two.Shed()
	one.Flag(1)
	r.Applied(start.Add(time.Second), "v42")
	r.Rejected()
	r.Certificates(map[string]time.Time{"front": start.Add(time.Hour)})
	r.Add(metrics.Func{Name: "spans_dropped", Help: "Lost.", Value: func() float64 { return 3 }})
	return r, one, two
}

func TestValues(t *testing.T) {
	r, _, _ := filled()
	families := scrape(t, r, start)
	cart := map[string]string{"source_service": "shop/front", "source_zone": "a", "destination_service": "shop/cart", "destination_zone": "b", "protocol": "http1"}
	with := func(code string) map[string]string {
		m := maps.Clone(cart)
		m["code"] = code
		return m
	}
	for _, c := range []struct {
		name   string
		labels map[string]string
		want   float64
	}{
		{"requests_total", with("2xx"), 2},
		{"requests_total", with("5xx"), 1},
		{"requests_total", map[string]string{"destination_service": "shop/pay", "protocol": "grpc", "code": "UNAVAILABLE"}, 1},
		{"request_bytes_total", cart, 10},
		{"response_bytes_total", cart, 2005},
		{"retries_total", cart, 1},
		{"ejections_total", map[string]string{"destination_service": "shop/cart"}, 1},
		{"upstream_connections_opened_total", map[string]string{"destination_service": "shop/cart"}, 2},
		{"upstream_connect_failures_total", map[string]string{"destination_service": "shop/cart"}, 1},
		{"circuit_rejections_total", map[string]string{"destination_service": "shop/cart"}, 1},
		{"connections_opened_total", map[string]string{"listener": "http"}, 2},
		{"connections_refused_total", map[string]string{"listener": "http"}, 1},
		{"tls_handshakes_total", map[string]string{"listener": "http"}, 1},
		{"tls_handshake_failures_total", map[string]string{"listener": "http"}, 1},
		{"overload_shed_total", nil, 1},
		{"request_flags_total", map[string]string{"flag": "timeout"}, 1},
		{"config_applied_total", nil, 1},
		{"config_rejected_total", nil, 1},
		{"spans_dropped_total", nil, 3},
	} {
		if got := counter(t, families, c.name, c.labels); got != c.want {
			t.Errorf("%s%v = %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	for _, c := range []struct {
		name string
		want float64
	}{
		{"upstream_connections_active", 1},
		{"requests_pending", 1},
		{"connections_active", 1},
		{"config_applied_timestamp_seconds", float64(start.Unix() + 1)},
		{"certificate_expiry_timestamp_seconds", float64(start.Unix() + 3600)},
		{"config_info", 1},
	} {
		if got := find(families["tatami_proxy_"+c.name], nil).GetGauge().GetValue(); got != c.want {
			t.Errorf("%s = %v, want %v", c.name, got, c.want)
		}
	}
	h := find(families["tatami_proxy_request_duration_seconds"], cart).GetHistogram()
	if h.GetSampleCount() != 3 || h.GetSampleSum() < 90.0039 || h.GetSampleSum() > 90.0041 {
		t.Errorf("histogram: %d requests, %v s", h.GetSampleCount(), h.GetSampleSum())
	}
	for _, b := range h.GetBucket() {
		want := uint64(0)
		for _, latency := range []float64{0.001, 0.003, 90} {
			if latency <= b.GetUpperBound() {
				want++
			}
		}
		if b.GetCumulativeCount() != want {
			t.Errorf("bucket %v holds %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), want)
		}
	}
	sum := r.Summary()
	if sum.Requests != 4 || sum.ServerErrors != 2 || sum.Retries != 1 || sum.Connections != 1 || sum.Upstream != 1 || sum.Shed != 1 {
		t.Errorf("summary: %+v", sum)
	}
}

// TestOpenMetrics compares our OpenMetrics with what Prometheus' encoder makes of
// our text.
func TestOpenMetrics(t *testing.T) {
	r, _, _ := filled()
	var ours, theirs bytes.Buffer
	if err := r.Write(&ours, metrics.FormatOpenMetrics, start); err != nil {
		t.Fatal(err)
	}
	families := scrape(t, r, start)
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if _, err := expfmt.MetricFamilyToOpenMetrics(&theirs, families[name]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := expfmt.FinalizeOpenMetrics(&theirs); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(ours.String(), "\n# EOF\n") {
		t.Error("no # EOF at the end")
	}
	// What changes between two scrapes of a living process is left out.
	volatile := regexp.MustCompile(`^(# UNIT|process_|go_)`)
	lines := func(s string) map[string]bool {
		set := map[string]bool{}
		for l := range strings.Lines(s) {
			l = strings.TrimSpace(l)
			if volatile.MatchString(l) {
				continue
			}
			if i := strings.LastIndexByte(l, ' '); i > 0 && l[0] != '#' {
				v, err := strconv.ParseFloat(l[i+1:], 64)
				if err != nil {
					t.Errorf("value of %q: %v", l, err)
				}
				l = l[:i] + " " + strconv.FormatFloat(v, 'g', -1, 64)
			}
			set[l] = true
		}
		return set
	}
	a, b := lines(ours.String()), lines(theirs.String())
	for l := range a {
		if !b[l] && !emptyFamily(l, ours.String()) {
			t.Errorf("only ours:   %s", l)
		}
	}
	for l := range b {
		if !a[l] {
			t.Errorf("only theirs: %s", l)
		}
	}
}

// emptyFamily says that a comment is of a family without samples, which parsers
// drop.
func emptyFamily(line, all string) bool {
	fields := strings.Fields(line)
	return fields[0] == "#" && len(fields) > 2 && !strings.Contains(all, "\n"+fields[2]+"{") &&
		!strings.Contains(all, "\n"+fields[2]+"_total")
}

func TestLabelsAreBounded(t *testing.T) {
	r := metrics.New(metrics.Options{Service: "me", MaxSeries: 20, MaxPeers: 5, Start: start})
	s := r.Shard()
	for i := range 100 {
		s.Route(metrics.Labels{DestinationService: fmt.Sprint("d", i)}).Request(metrics.HTTP(200), 1, 0, 0)
		s.Route(metrics.Labels{SourceService: fmt.Sprint("peer", i), DestinationService: "me"}).Request(metrics.HTTP(200), 1, 0, 0)
	}
	families := scrape(t, r, start)
	sources, sets, requests := map[string]bool{}, map[string]bool{}, 0.0
	for _, m := range families["tatami_proxy_requests_total"].GetMetric() {
		sets[fmt.Sprint(m.GetLabel())] = true
		requests += m.GetCounter().GetValue()
		for _, l := range m.GetLabel() {
			if l.GetName() == "source_service" {
				sources[l.GetValue()] = true
			}
		}
	}
	if requests != 200 {
		t.Errorf("%v requests counted, want 200: those above the limit count as other", requests)
	}
	if len(sets) > 20+8 {
		t.Errorf("%d sets of labels, more than the limit", len(sets))
	}
	if len(sources) > 6 || !sources["other"] {
		t.Errorf("sources %v, want at most 5 and other", slices.Sorted(maps.Keys(sources)))
	}
	if counter(t, families, "requests_total", map[string]string{"source_service": "me", "destination_service": "other"}) == 0 {
		t.Error("nothing was counted as other")
	}
}

func TestSeriesOfClustersThatAreGone(t *testing.T) {
	r := metrics.New(metrics.Options{Service: "me", Start: start})
	s := r.Shard()
	for _, d := range []string{"kept", "gone", "back"} {
		s.Route(metrics.Labels{DestinationService: d}).Request(metrics.HTTP(200), 1, 0, 0)
		s.Cluster(d).Open()
		s.Listener(d).Open()
	}
	kept := func(d string) bool { return d == "kept" }
	r.Keep(start, kept, kept)
	r.Keep(start.Add(time.Minute), func(d string) bool { return d != "gone" }, kept)
	shows := func(now time.Time, d string) bool {
		families := scrape(t, r, now)
		series := counter(t, families, "requests_total", map[string]string{"destination_service": d}) > 0
		cluster := counter(t, families, "upstream_connections_opened_total", map[string]string{"destination_service": d}) > 0
		if series != cluster {
			t.Errorf("%s: series %v, cluster %v", d, series, cluster)
		}
		return series
	}
	for _, c := range []struct {
		name, destination string
		after             time.Duration
		want              bool
	}{
		{"just gone", "gone", 4 * time.Minute, true},
		{"kept", "kept", 6 * time.Minute, true},
		{"came back", "back", 6 * time.Minute, true},
		{"gone for long", "gone", 6 * time.Minute, false},
	} {
		if got := shows(start.Add(c.after), c.destination); got != c.want {
			t.Errorf("%s: shown %v, want %v", c.name, got, c.want)
		}
	}
	if scrape(t, r, start.Add(time.Hour)) == nil || find(scrape(t, r, start.Add(time.Hour))["tatami_proxy_connections_opened_total"], map[string]string{"listener": "gone"}) != nil {
		t.Error("a listener that is gone is still shown")
	}
	s.Route(metrics.Labels{DestinationService: "gone"}).Request(metrics.HTTP(200), 1, 0, 0)
	if !scrapeHas(t, r, "gone") {
		t.Error("a destination that came again is not counted")
	}
}

func scrapeHas(t *testing.T, r *metrics.Registry, d string) bool {
	t.Helper()
	return counter(t, scrape(t, r, start.Add(time.Hour)), "requests_total", map[string]string{"destination_service": d}) > 0
}

func TestHostileLabels(t *testing.T) {
	r := metrics.New(metrics.Options{Service: "me", Start: start})
	s := r.Shard()
	for _, v := range []string{"a\"} 1\nforged 1", `back\slash`, "\xff\xfe", strings.Repeat("é", 200), "\x00", ""} {
		s.Route(metrics.Labels{SourceService: v, DestinationService: v}).Request(metrics.HTTP(200), 1, 0, 0)
		s.Cluster(v).Open()
		s.Listener(v).Open()
	}
	families := scrape(t, r, start)
	if families["forged"] != nil {
		t.Error("a label forged a metric")
	}
	if n := len(families["tatami_proxy_connections_opened_total"].GetMetric()); n != 6 {
		t.Errorf("%d listeners, want 6", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	r := metrics.New(metrics.Options{Service: "me", MaxSeries: 50, Start: start})
	const goroutines, each = 4, 5000
	var wait sync.WaitGroup
	shared := r.Shard()
	for g := range goroutines {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(g)))
			own := r.Shard()
			for i := range each {
				s := own
				if i%2 == 0 {
					s = shared
				}
				s.Route(metrics.Labels{DestinationService: fmt.Sprint(random.IntN(100))}).Request(metrics.HTTP(100+random.IntN(500)), random.Int64N(1e9), 1, 1)
				if i%1000 == 0 {
					r.Keep(start, always, always)
					if err := r.Write(&bytes.Buffer{}, metrics.FormatText, start); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wait.Wait()
	if got := r.Summary(); got.Requests != goroutines*each || got.BytesIn != goroutines*each {
		t.Errorf("%+v, want %d requests", got, goroutines*each)
	}
}

func TestRequestDoesNotAllocate(t *testing.T) {
	r := metrics.New(metrics.Options{Service: "me", Start: start})
	s := r.Shard()
	series := s.Route(metrics.Labels{DestinationService: "d"})
	if n := testing.AllocsPerRun(1000, func() { series.Request(metrics.HTTP(200), 1e6, 10, 10); s.Lag(5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name string
		code metrics.Code
		want string
	}{
		{"ok", metrics.HTTP(200), "2xx"},
		{"early hints", metrics.HTTP(103), "1xx"},
		{"none", metrics.HTTP(0), "none"},
		{"absurd", metrics.HTTP(999), "none"},
		{"grpc ok", metrics.GRPC(0), "OK"},
		{"grpc last", metrics.GRPC(16), "UNAUTHENTICATED"},
		{"grpc undefined", metrics.GRPC(17), "UNKNOWN"},
		{"grpc negative", metrics.GRPC(-1), "UNKNOWN"},
		{"no code", metrics.Code(200), "none"},
	} {
		if got := c.code.String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for id, want := range map[string]string{
		"spiffe://cluster.local/ns/shop/sa/cart": "shop/cart",
		"spiffe://example.org/billing":           "example.org/billing",
		"spiffe://":                              "unknown",
		"":                                       "unknown",
		"https://evil/ns/shop/sa/cart":           "unknown",
	} {
		if got := metrics.PeerLabel(id); got != want {
			t.Errorf("PeerLabel(%q) = %q, want %q", id, got, want)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	r := metrics.New(metrics.Options{Service: "me", Start: start})
	series := r.Shard().Route(metrics.Labels{DestinationService: "d"})
	b.ReportAllocs()
	for b.Loop() {
		series.Request(metrics.HTTP(200), 900_000, 0, 612)
	}
}

func BenchmarkRequestParallel(b *testing.B) {
	r := metrics.New(metrics.Options{Service: "me", Start: start})
	b.RunParallel(func(pb *testing.PB) {
		series := r.Shard().Route(metrics.Labels{DestinationService: "d"})
		for pb.Next() {
			series.Request(metrics.HTTP(200), 900_000, 0, 612)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	r := metrics.New(metrics.Options{Service: "me", Start: start})
	s := r.Shard()
	for i := range 1000 {
		s.Route(metrics.Labels{DestinationService: fmt.Sprint("destination-", i)}).Request(metrics.HTTP(200), 1e6, 1, 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Write(io.Discard, metrics.FormatText, start); err != nil {
			b.Fatal(err)
		}
	}
}
