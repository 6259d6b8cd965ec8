package telemetry

import (
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// NewLogger writes one JSON object per line, each with the role's name.
func NewLogger(out io.Writer, level slog.Level, role string) *slog.Logger {
	handler := slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level})
	return slog.New(handler).With("role", role)
}

// NewRegistry has the metrics of the Go runtime and of the process.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// Requests counts and times what a server answered.
type Requests struct {
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// NewRequests registers shop_<protocol>_requests_total{route,code} and
// shop_<protocol>_request_seconds{route}.
func NewRequests(registry prometheus.Registerer, protocol string) *Requests {
	factory := promauto.With(registry)
	return &Requests{
		total: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "shop_" + protocol + "_requests_total",
			Help: "Requests answered, by route and status code.",
		}, []string{"route", "code"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "shop_" + protocol + "_request_seconds",
			Help:    "Time from reading a request to the end of its answer.",
			Buckets: latencyBuckets(),
		}, []string{"route"}),
	}
}

// Observe notes one answer.
func (r *Requests) Observe(route, code string, took time.Duration) {
	r.total.WithLabelValues(route, code).Inc()
	r.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// Worker counts what became of orders taken from the queue.
type Worker struct {
	Processed  prometheus.Counter
	Duplicates prometheus.Counter
	Failed     prometheus.Counter
	// Seconds is the time from checkout to fulfilment.
	Seconds prometheus.Histogram
}

// NewWorker registers the worker's metrics.
func NewWorker(registry prometheus.Registerer) *Worker {
	factory := promauto.With(registry)
	return &Worker{
		Processed: factory.NewCounter(prometheus.CounterOpts{
			Name: "shop_orders_processed_total", Help: "Orders fulfilled, each counted once.",
		}),
		Duplicates: factory.NewCounter(prometheus.CounterOpts{
			Name: "shop_orders_duplicates_total", Help: "Deliveries of orders that were fulfilled before.",
		}),
		Failed: factory.NewCounter(prometheus.CounterOpts{
			Name: "shop_orders_failed_total", Help: "Deliveries that failed; all but unreadable ones come again.",
		}),
		Seconds: factory.NewHistogram(prometheus.HistogramOpts{
			Name: "shop_order_seconds", Help: "Time from checkout to fulfilment.", Buckets: latencyBuckets(),
		}),
	}
}

func latencyBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

// Load measures the generator and what it got.
type Load struct {
	Dropped prometheus.Counter
	Target  prometheus.Gauge
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// NewLoad registers the generator's metrics.
func NewLoad(registry prometheus.Registerer) *Load {
	factory := promauto.With(registry)
	return &Load{
		Dropped: factory.NewCounter(prometheus.CounterOpts{
			Name: "shop_load_dropped_visits_total", Help: "Visits not made because too many were under way.",
		}),
		Target: factory.NewGauge(prometheus.GaugeOpts{
			Name: "shop_load_target_rps", Help: "Requests per second that the pattern asks for now.",
		}),
		total: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "shop_load_requests_total", Help: "Requests sent, by kind and outcome.",
		}, []string{"request", "outcome"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shop_load_request_seconds", Help: "Time from sending a request to its answer.", Buckets: latencyBuckets(),
		}, []string{"request"}),
	}
}

// Observe notes one request; outcome is "ok" or the code of its error.
func (l *Load) Observe(request, outcome string, took time.Duration) {
	l.total.WithLabelValues(request, outcome).Inc()
	l.seconds.WithLabelValues(request).Observe(took.Seconds())
}
