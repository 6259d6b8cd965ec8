package telemetry

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/accesslog"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/chunks"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/trace"
)

// closeTimeout is how long the exporter of an old endpoint may still send.
const closeTimeout = 5 * time.Second

// Options are what does not change while the proxy runs. Zero means the default.
type Options struct {
	// Service, Zone and Name are those of this proxy.
	Service, Zone, Name string
	// Version is that of the program, Start when it began.
	Version string
	Start   time.Time
	// Log gets the lines of the access log, many per Write; nil: no log.
	Log io.Writer
	// Metrics bounds series; its Service, Zone, Flags, Version and Start are set
	// from the above.
	Metrics metrics.Options
}

// Telemetry is what all event loops share.
type Telemetry struct {
	options Options
	metrics *metrics.Registry
	log     *accesslog.Logger // nil: none

	mu       sync.Mutex
	tracing  connect.Tracing
	exporter *trace.Exporter
	retiring []*trace.Exporter // still sending
	closing  sync.WaitGroup
	past     spanCounts // of exporters that are gone
	shards   []*Shard
}

type spanCounts struct{ exported, dropped, failed uint64 }

// New starts telemetry: logging errors as JSON, and no tracing, until Apply says
// otherwise.
func New(o Options) *Telemetry {
	flags := make([]string, record.FlagCount)
	for i := range flags {
		flags[i] = record.Name(i)
	}
	m := o.Metrics
	m.Service, m.Zone, m.Flags, m.Version, m.Start = o.Service, o.Zone, flags, o.Version, o.Start
	t := &Telemetry{options: o, metrics: metrics.New(m)}
	if o.Log != nil {
		t.log = accesslog.New(o.Log, connect.AccessLog{})
	}
	t.addCounts()
	return t
}

// addCounts shows what was lost on the way to logs and collectors.
func (t *Telemetry) addCounts() {
	lines := func(pick func(lines, dropped, failed uint64) uint64) func() float64 {
		return func() float64 {
			if t.log == nil {
				return 0
			}
			return float64(pick(t.log.Counts()))
		}
	}
	spans := func(pick func(spanCounts) uint64) func() float64 {
		return func() float64 { return float64(pick(t.spanCounts())) }
	}
	for _, f := range []metrics.Func{
		{Name: "access_log_lines", Help: "Lines of the access log.", Value: lines(func(n, _, _ uint64) uint64 { return n })},
		{Name: "access_log_dropped", Help: "Lines that found no room.", Value: lines(func(_, n, _ uint64) uint64 { return n })},
		{Name: "access_log_failed", Help: "Lines that could not be written.", Value: lines(func(_, _, n uint64) uint64 { return n })},
		{Name: "spans_exported", Help: "Spans that the receiver took.", Value: spans(func(c spanCounts) uint64 { return c.exported })},
		{Name: "spans_dropped", Help: "Spans that found no room.", Value: spans(func(c spanCounts) uint64 { return c.dropped })},
		{Name: "spans_failed", Help: "Spans that could not be sent or were refused.", Value: spans(func(c spanCounts) uint64 { return c.failed })},
	} {
		t.metrics.Add(f)
	}
}

// Metrics is the registry of all metrics.
func (t *Telemetry) Metrics() *metrics.Registry { return t.metrics }

// Apply takes over what a configuration says about logs and traces, and marks the
// series of clusters and listeners that it lacks as gone. Its error wraps
// trace.ErrEndpoint; then nothing was changed.
func (t *Telemetry) Apply(now time.Time, c *connect.Config) error {
	if err := t.setTracing(c.Node); err != nil {
		return err
	}
	if t.log != nil {
		t.log.Set(c.Node.AccessLog)
	}
	services, listeners := map[string]bool{}, map[string]bool{}
	for _, cluster := range c.Clusters {
		services[Service(cluster)] = true
	}
	for _, l := range c.Listeners {
		listeners[l.Name] = true
	}
	t.metrics.Keep(now, func(s string) bool { return services[s] }, func(l string) bool { return listeners[l] })
	t.metrics.Applied(now, c.Version)
	return nil
}

// Service is the label of a cluster.
func Service(c *connect.Cluster) string {
	if c.Service != "" {
		return c.Service
	}
	return c.Name
}

// setTracing replaces the exporter when its endpoint is another.
func (t *Telemetry) setTracing(n connect.Node) error {
	var want connect.Tracing
	if n.Tracing != nil {
		want = *n.Tracing
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if want.Endpoint != t.tracing.Endpoint {
		var exporter *trace.Exporter
		if want.Endpoint != "" {
			var err error
			exporter, err = trace.NewExporter(want.Endpoint, t.resource())
			if err != nil {
				return err
			}
		}
		t.retire(t.exporter)
		t.exporter = exporter
		for _, s := range t.shards {
			s.spans.Store(spanQueue(exporter))
		}
	}
	t.tracing = want
	for _, s := range t.shards {
		s.sample.Store(want.Sample)
	}
	return nil
}

func (t *Telemetry) resource() trace.Resource {
	service := t.options.Service
	if service == "" {
		service = "unknown_service:tatami-proxy"
	}
	return trace.Resource{Service: service, Name: t.options.Name, Zone: t.options.Zone, Version: t.options.Version}
}

// retire lets an exporter send what it has, in the background. The caller holds
// the lock.
func (t *Telemetry) retire(e *trace.Exporter) {
	if e == nil {
		return
	}
	t.retiring = append(t.retiring, e)
	t.closing.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = e.Close(ctx) // what is lost is in the counts
		t.mu.Lock()
		defer t.mu.Unlock()
		t.retiring = slices.DeleteFunc(t.retiring, func(other *trace.Exporter) bool { return other == e })
		t.past.add(e)
	})
}

func (c *spanCounts) add(e *trace.Exporter) {
	if e == nil {
		return
	}
	exported, dropped, failed := e.Counts()
	c.exported += exported
	c.dropped += dropped
	c.failed += failed
}

// spanCounts never go down: they are counters.
func (t *Telemetry) spanCounts() spanCounts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.past
	c.add(t.exporter)
	for _, e := range t.retiring {
		c.add(e)
	}
	return c
}

// Close writes and sends what is queued and ends all goroutines, or gives up with
// ctx. Event loops should have ended before: what they still report is lost.
func (t *Telemetry) Close(ctx context.Context) error {
	var errs []error
	if t.log != nil {
		errs = append(errs, t.log.Close(ctx))
	}
	t.mu.Lock()
	last := append(slices.Clone(t.retiring), t.exporter)
	t.mu.Unlock()
	for _, e := range last {
		if e != nil {
			errs = append(errs, e.Close(ctx))
		}
	}
	return errors.Join(errs...)
}

func spanQueue(e *trace.Exporter) *chunks.Queue {
	if e == nil {
		return nil
	}
	return e.Queue()
}

// Shard makes the telemetry of one more event loop.
func (t *Telemetry) Shard() *Shard {
	s := &Shard{Shard: t.metrics.Shard(), random: newRandom()}
	if t.log != nil {
		s.log = t.log.Shard()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.spans.Store(spanQueue(t.exporter))
	s.sample.Store(t.tracing.Sample)
	t.shards = append(t.shards, s)
	return s
}

// Shard is one event loop's telemetry. Done may be called by any goroutine; Trace
// only by the one that owns the loop, since it draws random numbers.
type Shard struct {
	*metrics.Shard
	log    *accesslog.Shard // nil: none
	spans  atomic.Pointer[chunks.Queue]
	sample atomic.Uint32
	random func() uint64
}

// Trace makes the context that a request is forwarded with, from what
// trace.Extract found. It is not Valid when there is nothing to forward.
func (s *Shard) Trace(parent trace.Context, ok bool) trace.Context {
	sampler := trace.Sampler{Enabled: s.spans.Load() != nil, PerMillion: s.sample.Load()}
	return sampler.Start(parent, ok, s.random)
}

// Done reports an exchange that is over: it counts it, logs it and records its
// span, as far as each is asked for. now is on the clock of Record.Began. Nothing
// of the record is kept.
func (s *Shard) Done(now int64, r *record.Record) {
	took := max(now-r.Began, 0)
	series := r.Series
	if series == nil {
		series = s.Unrouted(r.Protocol)
	}
	series.Request(r.Code(), took, r.BytesIn, r.BytesOut)
	for index, rest, ok := r.Flags.Next(); ok; index, rest, ok = rest.Next() {
		s.Flag(index)
	}
	if s.log != nil {
		s.log.Log(r, took)
	}
	if r.Trace.Recorded() {
		if queue := s.spans.Load(); queue != nil {
			queue.End(appendSpan(queue.Begin(), r, took))
		}
	}
}

// host splits an authority into name and port; the port is empty without one.
func host(authority string) (name, port string) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.IndexByte(authority[i:], ']') >= 0 {
		return strings.Trim(authority, "[]"), ""
	}
	return strings.Trim(authority[:i], "[]"), authority[i+1:]
}
