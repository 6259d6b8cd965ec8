package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
)

// Options are what the endpoint shows.
type Options struct {
	Source Source
	// Metrics are shown at /metrics and summed up at /stats.
	Metrics *metrics.Registry
	// Version of the program, and when it began.
	Version string
	Start   time.Time
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// page is one path of the endpoint. Its help is what the index says.
type page struct {
	path, help string
	serve      http.HandlerFunc
	post       bool
}

// New makes the handler. It answers only requests that name this machine, and
// refuses what a web page of another origin sends.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &handler{o}
	mux := http.NewServeMux()
	pages := h.pages()
	for _, p := range pages {
		methods := http.MethodGet + ", " + http.MethodHead
		if p.post {
			methods = http.MethodPost
		}
		mux.HandleFunc(p.path, only(methods, p.serve))
	}
	mux.HandleFunc("/pprof/{name}", only("GET, HEAD", profile))
	mux.HandleFunc("/{$}", only("GET, HEAD", func(w http.ResponseWriter, _ *http.Request) { h.index(w, pages) }))
	// A web page must neither read the proxy (DNS rebinding) nor drain it.
	protection := http.NewCrossOriginProtection()
	return local(protection.Handler(mux))
}

type handler struct{ Options }

func (h *handler) pages() []page {
	return []page{
		{"/metrics", "metrics for Prometheus", h.metrics, false},
		{"/ready", "200 when new connections are welcome, else 503", h.ready, false},
		{"/live", "200 as long as the process answers", h.live, false},
		{"/config", "the configuration in effect, as JSON, without secrets", h.config, false},
		{"/clusters", "endpoints with zone, health, ejection, load (?format=json)", h.clusters, false},
		{"/listeners", "open listeners (?format=json)", h.listeners, false},
		{"/routes", "routes of the configuration (?format=json)", h.routes, false},
		{"/stats", "sums over everything (?format=json)", h.stats, false},
		{"/drain", "POST: tell connections to end, and go on serving until SIGTERM", h.drain, true},
		{"/pprof/", "profiles of the process, for go tool pprof", profiles, false},
	}
}

// only answers 405 for other methods than these.
func only(methods string, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for m := range strings.SplitSeq(methods, ", ") {
			if r.Method == m {
				serve(w, r)
				return
			}
		}
		w.Header().Set("Allow", methods)
		http.Error(w, fmt.Sprintf("%s takes %s only", r.URL.Path, methods), http.StatusMethodNotAllowed)
	}
}

// local refuses requests whose Host is not this machine: a name that an attacker
// made to point here would be in it.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		_, unix := address.(*net.UnixAddr)
		if !unix && !loopback(r.Host) {
			http.Error(w, "the admin endpoint answers to 127.0.0.1, [::1] and localhost only", http.StatusMisdirectedRequest)
			return
		}
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

func (h *handler) index(w http.ResponseWriter, pages []page) {
	text(w)
	fmt.Fprintf(w, "tatami-proxy %s, %s, up %s\n\n", h.Version, h.Source.State(), h.up())
	table(w, func(row func(...any)) {
		for _, p := range pages {
			row(p.path, p.help)
		}
	})
}

func (h *handler) up() time.Duration { return h.Now().Sub(h.Start).Truncate(time.Second) }

func (h *handler) metrics(w http.ResponseWriter, r *http.Request) {
	format := metrics.FormatText
	if metrics.OpenMetrics(r.Header.Get("Accept")) {
		format = metrics.FormatOpenMetrics
	}
	w.Header().Set("Content-Type", format.ContentType())
	_ = h.Metrics.Write(w, format, h.Now()) // the scraper went away
}

func (h *handler) ready(w http.ResponseWriter, _ *http.Request) {
	text(w)
	state := h.Source.State()
	if state != StateReady {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, state)
}

func (h *handler) live(w http.ResponseWriter, _ *http.Request) {
	text(w)
	fmt.Fprintln(w, "live")
}

func (h *handler) drain(w http.ResponseWriter, _ *http.Request) {
	h.Source.Drain()
	text(w)
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintln(w, h.Source.State())
}

func (h *handler) config(w http.ResponseWriter, _ *http.Request) {
	c := h.Source.Config()
	if c == nil {
		http.Error(w, "there is no configuration yet", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(Dump(c)) // the reader went away
}

func text(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
}

// wantsJSON says whether a program asks.
func wantsJSON(r *http.Request) bool {
	if f := r.URL.Query().Get("format"); f != "" {
		return f == "json"
	}
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the reader went away
}

// profiles lists what /pprof/ has.
func profiles(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/pprof/" {
		http.NotFound(w, r)
		return
	}
	text(w)
	_, _ = io.WriteString(w, profileIndex()) // the reader went away
}
