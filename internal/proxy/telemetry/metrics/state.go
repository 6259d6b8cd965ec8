package metrics

import (
	"strings"
	"time"
)

// configState is what became of configurations.
type configState struct {
	version           string
	applied, rejected uint64
	at                time.Time
}

// Applied records that a configuration took effect.
func (r *Registry) Applied(now time.Time, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.config.version, r.config.at = boundLabel(version), now
	r.config.applied++
}

// Rejected records that a configuration was refused and the old one kept.
func (r *Registry) Rejected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.config.rejected++
}

// Certificates replaces the times at which certificates expire, by name.
func (r *Registry) Certificates(expiry map[string]time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.certificates)
	for name, t := range expiry {
		r.certificates[boundLabel(name)] = t
	}
}

// Kind is the type of a metric.
type Kind uint8

// The kinds that Func takes.
const (
	Counter Kind = iota
	Gauge
)

// Func is a metric whose value another part of the program knows.
type Func struct {
	// Name without prefix and without _total, e.g. "spans_dropped".
	Name, Help string
	Kind       Kind
	// Value is called at every scrape, from any goroutine.
	Value func() float64
}

type function struct{ Func }

// Add shows another metric. Names that were added before are replaced.
func (r *Registry) Add(f Func) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.funcs {
		if r.funcs[i].Name == f.Name {
			r.funcs[i] = function{f}
			return
		}
	}
	r.funcs = append(r.funcs, function{f})
}

// Summary are the sums over everything, for people.
type Summary struct {
	Requests uint64 `json:"requests"`
	// ServerErrors are 5xx and the gRPC statuses that mean the same.
	ServerErrors uint64 `json:"server_errors"`
	Retries      uint64 `json:"retries"`
	BytesIn      uint64 `json:"bytes_in"`
	BytesOut     uint64 `json:"bytes_out"`
	// Connections of clients and Upstream ones to endpoints that are open.
	Connections uint64 `json:"connections"`
	Upstream    uint64 `json:"upstream_connections"`
	Shed        uint64 `json:"shed"`
	Series      int    `json:"series"`
}

// Summary adds up all series.
func (r *Registry) Summary() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := Summary{Series: len(r.sets)}
	for _, set := range r.sets {
		t := collect(set.series)
		sum.Retries += t.retries
		sum.BytesIn += t.in
		sum.BytesOut += t.out
		for code, n := range t.codes {
			sum.Requests += n
			if Code(code).ServerError() {
				sum.ServerErrors += n
			}
		}
	}
	for _, l := range r.listeners {
		for _, own := range l.own {
			if own != nil {
				sum.Connections += own.opened.Load() - own.closed.Load()
			}
		}
	}
	for _, c := range r.clusters {
		for _, own := range c.own {
			if own != nil {
				sum.Upstream += own.opened.Load() - own.closed.Load()
			}
		}
	}
	for _, s := range r.shards {
		sum.Shed += s.shed.Load()
	}
	return sum
}

// total is a series summed over its shards.
type total struct {
	codes            [codeValues]uint64
	buckets          [bounds + 1]uint64
	nanos            uint64
	count            uint64
	in, out, retries uint64
}

func collect(series []*Series) total {
	var t total
	for _, s := range series {
		if s == nil {
			continue
		}
		t.in += s.bytesIn.Load()
		t.out += s.bytesOut.Load()
		t.retries += s.retries.Load()
		for code := range s.rows {
			row := s.rows[code].Load()
			if row == nil {
				continue
			}
			t.nanos += row.sum.Load()
			for i := range row.buckets {
				n := row.buckets[i].Load()
				t.buckets[i] += n
				t.codes[code] += n
			}
		}
	}
	for _, n := range t.buckets {
		t.count += n
	}
	return t
}

// OpenMetrics says whether an Accept header asks for OpenMetrics, as Prometheus
// sends it. Its order of preference is not weighed: who names it understands it.
func OpenMetrics(accept string) bool { return strings.Contains(accept, "application/openmetrics-text") }
