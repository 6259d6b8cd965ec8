package metrics

import (
	"io"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Format is one of the two forms of exposition.
type Format uint8

// The formats.
const (
	FormatText Format = iota
	FormatOpenMetrics
)

// ContentType is what HTTP calls the format.
func (f Format) ContentType() string {
	if f == FormatOpenMetrics {
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

const prefix = "tatami_proxy_"

// Write prints all metrics and drops series that are gone for long enough. It
// holds no lock while it writes. Errors are those of w.
func (r *Registry) Write(w io.Writer, f Format, now time.Time) error {
	shot := r.snapshot(now)
	e := &encoder{w: w, format: f}
	shot.requests(e)
	shot.clusterMetrics(e)
	shot.listenerMetrics(e)
	shot.loops(e)
	shot.state(e)
	e.process(r.options.Start)
	if f == FormatOpenMetrics {
		e.b = append(e.b, "# EOF\n"...)
	}
	e.flush(0)
	return e.err
}

// snapshot is what a scrape needs, taken under the lock so that the slow part
// needs none.
type snapshot struct {
	options      Options
	sets         []setShot
	clusters     []groupShot[Cluster]
	listeners    []groupShot[Listener]
	shards       []*Shard
	config       configState
	certificates map[string]time.Time
	funcs        []function
	overflow     uint64
}

type setShot struct {
	text   string
	series []*Series
}

type groupShot[T any] struct {
	text string
	own  []*T
}

func (r *Registry) snapshot(now time.Time) *snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	s := &snapshot{
		options: r.options, clusters: groups(r.clusters), listeners: groups(r.listeners),
		shards: slices.Clone(r.shards), config: r.config, funcs: slices.Clone(r.funcs),
		certificates: maps.Clone(r.certificates), overflow: r.overflow.Load(),
	}
	// One array for the pointers of all sets.
	all := make([]*Series, 0, len(r.sets)*len(r.shards))
	for _, set := range r.sorted() {
		from := len(all)
		all = append(all, set.series...)
		s.sets = append(s.sets, setShot{set.text, all[from:len(all):len(all)]})
	}
	return s
}

func groups[T any](all map[string]*shards[T]) []groupShot[T] {
	shots := make([]groupShot[T], 0, len(all))
	for _, g := range all {
		shots = append(shots, groupShot[T]{g.text, slices.Clone(g.own)})
	}
	slices.SortFunc(shots, func(a, b groupShot[T]) int { return strings.Compare(a.text, b.text) })
	return shots
}

func (s *snapshot) requests(e *encoder) {
	e.family(Counter, "requests", "", "Requests that are over, by class of status or gRPC status.")
	var codes [codeValues]string
	for code := range codes {
		codes[code] = label("code", Code(code).String())
	}
	for _, set := range s.sets {
		t := collect(set.series)
		for code, n := range t.codes {
			if n > 0 {
				e.sample("requests_total", set.text, codes[code]).uint(n)
			}
		}
	}
	e.histogramFamily("request_duration", "Time from the first byte of a request to the last of its answer.")
	les := bucketLabels(&latencyBounds)
	for _, set := range s.sets {
		if t := collect(set.series); t.count > 0 {
			e.histogram("request_duration_seconds", set.text, les, &t)
		}
	}
	for _, m := range []struct {
		name, help string
		of         func(*total) uint64
	}{
		{"request_bytes", "Bytes of request bodies.", func(t *total) uint64 { return t.in }},
		{"response_bytes", "Bytes of response bodies.", func(t *total) uint64 { return t.out }},
		{"retries", "Requests that were sent again.", func(t *total) uint64 { return t.retries }},
	} {
		unit := ""
		if m.name != "retries" {
			unit = "bytes"
		}
		e.family(Counter, m.name, unit, m.help)
		name := m.name + "_total"
		for _, set := range s.sets {
			if t := collect(set.series); t.count > 0 || t.retries > 0 {
				e.sample(name, set.text, "").uint(m.of(&t))
			}
		}
	}
}

func (s *snapshot) clusterMetrics(e *encoder) {
	for _, m := range []struct {
		kind       Kind
		name, help string
		of         func(*Cluster) uint64
	}{
		{Counter, "ejections", "Endpoints taken out for their failures.", func(c *Cluster) uint64 { return c.ejections.Load() }},
		{Counter, "upstream_connections_opened", "Connections made to endpoints.", func(c *Cluster) uint64 { return c.opened.Load() }},
		{Gauge, "upstream_connections_active", "Connections to endpoints that are open.", func(c *Cluster) uint64 { return c.opened.Load() - c.closed.Load() }},
		{Counter, "upstream_connect_failures", "Connections to endpoints that did not come about.", func(c *Cluster) uint64 { return c.connectFailures.Load() }},
		{Counter, "circuit_rejections", "Requests that the limits of a cluster refused.", func(c *Cluster) uint64 { return c.rejections.Load() }},
		{Gauge, "requests_pending", "Requests that wait for a connection.", func(c *Cluster) uint64 { return c.pendingIn.Load() - c.pendingOut.Load() }},
	} {
		groupFamily(e, family{m.kind, m.name, m.help}, s.clusters, m.of)
	}
}

func (s *snapshot) listenerMetrics(e *encoder) {
	for _, m := range []struct {
		kind       Kind
		name, help string
		of         func(*Listener) uint64
	}{
		{Counter, "connections_opened", "Connections accepted.", func(l *Listener) uint64 { return l.opened.Load() }},
		{Gauge, "connections_active", "Accepted connections that are open.", func(l *Listener) uint64 { return l.opened.Load() - l.closed.Load() }},
		{Counter, "connections_refused", "Connections closed at once because of a limit.", func(l *Listener) uint64 { return l.refused.Load() }},
		{Counter, "tls_handshakes", "TLS handshakes that succeeded.", func(l *Listener) uint64 { return l.handshakes.Load() }},
		{Counter, "tls_handshake_failures", "TLS handshakes that failed.", func(l *Listener) uint64 { return l.handshakeFailures.Load() }},
	} {
		groupFamily(e, family{m.kind, m.name, m.help}, s.listeners, m.of)
	}
}

type family struct {
	kind       Kind
	name, help string
}

// groupFamily prints a metric of all groups, summed over shards. Differences of
// counters that wrapped in one shard (opened there, closed here) are right in sum.
func groupFamily[T any](e *encoder, f family, groups []groupShot[T], of func(*T) uint64) {
	e.family(f.kind, f.name, "", f.help)
	suffix := "_total"
	if f.kind == Gauge {
		suffix = ""
	}
	for _, g := range groups {
		var n uint64
		for _, own := range g.own {
			if own != nil {
				n += of(own)
			}
		}
		if f.kind == Gauge && int64(n) < 0 {
			n = 0 // read between two counters
		}
		e.sample(f.name+suffix, g.text, "").uint(n)
	}
}

func (s *snapshot) loops(e *encoder) {
	e.histogramFamily("loop_lag", "How much later than planned event loops came to their work.")
	var t total
	var shed uint64
	for _, shard := range s.shards {
		shed += shard.shed.Load()
		t.nanos += shard.lag.sum.Load()
		for i := range t.buckets {
			n := shard.lag.buckets[i].Load()
			t.buckets[i] += n
			t.count += n
		}
	}
	e.histogram("loop_lag_seconds", "", bucketLabels(&lagBounds), &t)
	e.family(Counter, "overload_shed", "", "Requests refused because the proxy is overloaded.")
	e.sample("overload_shed_total", "", "").uint(shed)
	e.family(Counter, "request_flags", "", "Exchanges by what the proxy did to them; see the flags of the access log.")
	for i, name := range s.options.Flags[:min(len(s.options.Flags), MaxFlags)] {
		var n uint64
		for _, shard := range s.shards {
			n += shard.flags[i].Load()
		}
		if n > 0 {
			e.sample("request_flags_total", label("flag", name), "").uint(n)
		}
	}
}

func (s *snapshot) state(e *encoder) {
	e.family(Gauge, "build_info", "", "The program; always 1.")
	e.sample("build_info", label("version", s.options.Version), label("go_version", runtime.Version())).uint(1)
	e.family(Gauge, "config_info", "", "The configuration in effect; always 1.")
	if s.config.version != "" {
		e.sample("config_info", label("version", s.config.version), "").uint(1)
	}
	e.family(Counter, "config_applied", "", "Configurations that took effect.")
	e.sample("config_applied_total", "", "").uint(s.config.applied)
	e.family(Counter, "config_rejected", "", "Configurations that were refused.")
	e.sample("config_rejected_total", "", "").uint(s.config.rejected)
	e.family(Gauge, "config_applied_timestamp_seconds", "seconds", "When the configuration took effect.")
	if !s.config.at.IsZero() {
		e.sample("config_applied_timestamp_seconds", "", "").float(seconds(s.config.at))
	}
	e.family(Gauge, "certificate_expiry_timestamp_seconds", "seconds", "When a certificate expires.")
	for _, name := range slices.Sorted(maps.Keys(s.certificates)) {
		e.sample("certificate_expiry_timestamp_seconds", label("certificate", name), "").float(seconds(s.certificates[name]))
	}
	e.family(Gauge, "series", "", "Sets of labels that requests are counted by.")
	e.sample("series", "", "").uint(uint64(len(s.sets)))
	e.family(Counter, "series_overflow", "", "Sets of labels that were one too many and are counted as other.")
	e.sample("series_overflow_total", "", "").uint(s.overflow)
	for _, f := range s.funcs {
		e.family(f.Kind, f.Name, "", f.Help)
		name := f.Name
		if f.Kind == Counter {
			name += "_total"
		}
		e.sample(name, "", "").float(f.Value())
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// number prints a float as OpenMetrics wants the values of le, with a point even
// where it is whole, so that both formats name the same series.
func number(b []byte, v float64) []byte {
	from := len(b)
	b = strconv.AppendFloat(b, v, 'g', -1, 64)
	for _, c := range b[from:] {
		if c == '.' || c == 'e' || c == 'N' || c == 'I' {
			return b
		}
	}
	return append(b, ".0"...)
}
