package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tatami-platform/tatami/internal/proxy/telemetry/chunks"
)

// Limits of the export. A batch is one chunk.
const (
	chunkSize   = 64 << 10
	chunkCount  = 4
	interval    = 2 * time.Second
	sendTimeout = 10 * time.Second
	attempts    = 4
	firstDelay  = 500 * time.Millisecond
	lastDelay   = 8 * time.Second
	maxAnswer   = 64 << 10
)

// schemaURL says which version of the semantic conventions the attributes follow.
const schemaURL = "https://opentelemetry.io/schemas/1.41.0"

// ErrEndpoint is wrapped by what New returns for an endpoint that is not one.
var ErrEndpoint = errors.New("not the URL of an OTLP/HTTP receiver")

// Resource says who sends the spans.
type Resource struct {
	// Service is the workload, Name this instance of the proxy, Zone where it is,
	// Version that of the program.
	Service, Name, Zone, Version string
}

// Exporter sends spans to an OTLP/HTTP receiver from one goroutine. Where it is too
// slow, spans are dropped and counted.
type Exporter struct {
	endpoint string
	client   *http.Client
	pump     *chunks.Pump
	// The encoded parts of a batch that never change.
	resource []byte
	scope    []byte

	exported, failed atomic.Uint64
	delay            time.Duration
}

// NewExporter starts an exporter for an endpoint such as
// http://127.0.0.1:4318/v1/traces. Its error wraps ErrEndpoint.
func NewExporter(endpoint string, r Resource) (*Exporter, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("tracing endpoint %q: %w; give one such as http://127.0.0.1:4318/v1/traces", endpoint, ErrEndpoint)
	}
	e := &Exporter{
		endpoint: endpoint, resource: encodeResource(r), scope: encodeScope(r.Version), delay: firstDelay,
		// No proxy from the environment, and one connection: batches go one by one.
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConns: 1, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	e.pump = chunks.Start(chunks.Options{Size: chunkSize, Count: chunkCount, Interval: interval, Write: e.write})
	return e, nil
}

// Queue makes the queue of one event loop, for spans as Span.End returns them.
func (e *Exporter) Queue() *chunks.Queue { return e.pump.Queue() }

// Counts are the spans that a receiver took, those that found no room in the queue,
// and those that could not be sent or were refused.
func (e *Exporter) Counts() (exported, dropped, failed uint64) {
	_, dropped = e.pump.Counts()
	return e.exported.Load(), dropped, e.failed.Load()
}

// Close sends what is queued and ends the goroutine, or gives up with ctx.
func (e *Exporter) Close(ctx context.Context) error {
	defer e.client.CloseIdleConnections()
	return e.pump.Close(ctx)
}

// write sends a batch, again where the receiver says that it may help.
func (e *Exporter) write(ctx context.Context, c chunks.Chunk) {
	batch := e.batch(c.Bytes)
	delay := e.delay
	for n := 1; ; n++ {
		rejected, wait, err := e.send(ctx, batch)
		if err == nil {
			rejected = min(rejected, uint64(c.Items))
			e.exported.Add(uint64(c.Items) - rejected)
			e.failed.Add(rejected)
			return
		}
		if wait < 0 || n == attempts || !pause(ctx, max(wait, delay)) {
			e.failed.Add(uint64(c.Items))
			return
		}
		delay = min(2*delay, lastDelay)
	}
}

// pause waits, or says that the context is over.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// batch wraps spans into a message: TracesData, which is the same on the wire as
// ExportTraceServiceRequest.
func (e *Exporter) batch(spans []byte) []byte {
	scopeSpans := len(e.scope) + len(spans)
	inner := len(e.resource) + protowire.SizeTag(resourceSpansScope) + protowire.SizeBytes(scopeSpans) +
		protowire.SizeTag(resourceSpansSchema) + protowire.SizeBytes(len(schemaURL))
	b := make([]byte, 0, inner+16)
	b = protowire.AppendTag(b, dataResourceSpans, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inner))
	b = append(b, e.resource...)
	b = protowire.AppendTag(b, resourceSpansScope, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(scopeSpans))
	b = append(b, e.scope...)
	b = append(b, spans...)
	return appendString(b, resourceSpansSchema, schemaURL)
}

var errRefused = errors.New("refused by the receiver")

// send posts a batch. With an error, wait says after how long it may be sent again
// at the earliest; negative: never. OTLP names the four statuses.
func (e *Exporter) send(ctx context.Context, batch []byte) (rejected uint64, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.endpoint, bytes.NewReader(batch))
	if err != nil {
		return 0, -1, err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "tatami-proxy")
	resp, err := e.client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		if err != nil {
			body = nil // it was taken, whatever else the receiver wanted to say
		}
		return rejectedSpans(body), 0, nil
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusBadGateway,
		resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusGatewayTimeout:
		return 0, retryAfter(resp.Header.Get("Retry-After")), errRefused
	default:
		return 0, -1, errRefused
	}
}

// retryAfter reads seconds, up to a minute; the other form, a date, is left to our own delays.
func retryAfter(v string) time.Duration {
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 60)) * time.Second
}

// rejectedSpans reads partial_success.rejected_spans.
func rejectedSpans(body []byte) uint64 {
	partial := field(body, responsePartial, protowire.BytesType)
	message, n := protowire.ConsumeBytes(partial)
	if n < 0 {
		return 0
	}
	rejected, n := protowire.ConsumeVarint(field(message, partialRejected, protowire.VarintType))
	if n < 0 || int64(rejected) < 0 {
		return 0
	}
	return rejected
}

// field is what follows the tag of a field; nil: it is not there.
func field(b []byte, number protowire.Number, kind protowire.Type) []byte {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil
		}
		b = b[n:]
		if num == number && typ == kind {
			return b
		}
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			return nil
		}
		b = b[n:]
	}
	return nil
}

// encodeResource is the field resource of ResourceSpans.
func encodeResource(r Resource) []byte {
	var list []byte
	for _, a := range [...][2]string{
		{"service.name", r.Service},
		{"service.instance.id", r.Name},
		{"cloud.availability_zone", r.Zone},
		{"telemetry.distro.name", "tatami-proxy"},
		{"telemetry.distro.version", r.Version},
	} {
		list = appendAttribute(list, resourceAttributes, a[0], a[1])
	}
	return appendBytes(nil, resourceSpansResource, list)
}

// encodeScope is the field scope of ScopeSpans.
func encodeScope(version string) []byte {
	b := appendString(nil, scopeName, "tatami-proxy")
	return appendBytes(nil, scopeSpansScope, appendString(b, scopeVersion, version))
}
