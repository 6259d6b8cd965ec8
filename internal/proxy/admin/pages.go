package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
)

// table writes aligned columns.
func table(w io.Writer, fill func(row func(...any))) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fill(func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, orDash(c))
		}
		fmt.Fprintln(t)
	})
	_ = t.Flush() // the reader went away
}

func orDash(v any) any {
	if s, ok := v.(string); ok && s == "" {
		return "-"
	}
	return v
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// MarshalJSON writes times in milliseconds.
func (h Host) MarshalJSON() ([]byte, error) {
	type plain Host
	return json.Marshal(struct {
		plain
		EWMA       float64 `json:"ewma_ms"`
		EjectedFor float64 `json:"ejected_for_ms,omitempty"`
	}{plain(h), millis(h.EWMA), millis(h.EjectedFor)})
}

func (h *handler) clusters(w http.ResponseWriter, r *http.Request) {
	all := h.Source.Clusters()
	if wantsJSON(r) {
		writeJSON(w, append([]Cluster{}, all...))
		return
	}
	text(w)
	for i, c := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s (%s): %d hosts, %d connections, %d pending\n", c.Name, c.Policy, len(c.Hosts), c.Connections, c.Pending)
		table(w, func(row func(...any)) {
			row("  HOST", "ZONE", "WEIGHT", "STATE", "OUTSTANDING", "EWMA_MS", "REQUESTS", "FAILURES", "EJECTIONS", "LAST_ERROR")
			for _, host := range c.Hosts {
				row("  "+host.Address, host.Zone, host.Weight, host.state(), host.Outstanding, millis(host.EWMA), host.Requests, host.Failures, host.Ejections, oneLine(host.LastError))
			}
		})
	}
}

// state is what a person wants to know first.
func (h Host) state() string {
	words := []string{h.Health.String()}
	if h.Ejected {
		words = append(words, "ejected("+h.EjectedFor.Truncate(time.Millisecond).String()+")")
	}
	if h.Draining {
		words = append(words, "draining")
	}
	return strings.Join(words, ",")
}

// oneLine keeps texts of backends from breaking tables and terminals.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

func (h *handler) listeners(w http.ResponseWriter, r *http.Request) {
	all := h.Source.Listeners()
	if wantsJSON(r) {
		writeJSON(w, append([]Listener{}, all...))
		return
	}
	text(w)
	table(w, func(row func(...any)) {
		row("LISTENER", "PROTOCOL", "ADDRESS", "BOUND", "CONNECTIONS")
		for _, l := range all {
			row(l.Name, l.Protocol, l.Address, l.Bound, l.Connections)
		}
	})
}

// routeLine is one rule, for a person.
type routeLine struct {
	Route     string   `json:"route"`
	Rule      string   `json:"rule"`
	Hostnames []string `json:"hostnames"`
	Matches   []string `json:"matches"`
	Backends  []string `json:"backends"`
}

func (h *handler) routes(w http.ResponseWriter, r *http.Request) {
	lines := routeLines(h.Source.Config())
	if wantsJSON(r) {
		writeJSON(w, lines)
		return
	}
	text(w)
	table(w, func(row func(...any)) {
		row("ROUTE", "RULE", "HOSTNAMES", "MATCHES", "BACKENDS")
		for _, l := range lines {
			row(l.Route, l.Rule, strings.Join(l.Hostnames, ","), strings.Join(l.Matches, " or "), strings.Join(l.Backends, ","))
		}
	})
}

func routeLines(c *connect.Config) []routeLine {
	lines := []routeLine{}
	if c == nil {
		return lines
	}
	for _, route := range c.Routes {
		for i := range route.Rules {
			rule := &route.Rules[i]
			name := rule.Name
			if name == "" {
				name = fmt.Sprint(i)
			}
			lines = append(lines, routeLine{route.Name, name, hostnames(route.Hostnames), matches(rule.Matches), backends(rule)})
		}
	}
	for _, route := range c.StreamRoutes {
		lines = append(lines, routeLine{route.Name, "0", hostnames(route.Hostnames), []string{"stream"}, weights(route.Backends)})
	}
	return lines
}

func hostnames(names []string) []string {
	if len(names) == 0 {
		return []string{"*"}
	}
	return names
}

func matches(all []connect.Match) []string {
	if len(all) == 0 {
		return []string{"all"}
	}
	var words []string
	for _, m := range all {
		path := m.Path.Value
		switch m.Path.Kind {
		case connect.PathExact:
			path = "=" + path
		case connect.PathRegex:
			path = "~" + path
		default:
			path = strings.TrimSuffix(path, "/") + "/*"
		}
		parts := []string{strings.TrimSpace(m.Method + " " + path)}
		for _, v := range m.Headers {
			parts = append(parts, "header:"+v.Name)
		}
		for _, v := range m.Query {
			parts = append(parts, "query:"+v.Name)
		}
		words = append(words, strings.Join(parts, " "))
	}
	return words
}

func backends(r *connect.Rule) []string {
	switch {
	case r.Filters.Redirect != nil:
		return []string{"redirect"}
	case r.Filters.Direct != nil:
		return []string{fmt.Sprint("direct:", r.Filters.Direct.Status)}
	default:
		return weights(r.Backends)
	}
}

func weights(all []connect.Backend) []string {
	words := make([]string, 0, len(all))
	for _, b := range all {
		word := fmt.Sprintf("%s:%d", b.Cluster, b.Weight)
		if b.Invalid {
			word += "(invalid)"
		}
		words = append(words, word)
	}
	return words
}

// stats are the sums that /stats shows.
type stats struct {
	Version       string  `json:"version"`
	State         string  `json:"state"`
	Config        string  `json:"config"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	Clusters      int     `json:"clusters"`
	Hosts         int     `json:"hosts"`
	Routes        int     `json:"routes"`
	Listeners     int     `json:"listeners"`
	metrics.Summary
}

func (h *handler) stats(w http.ResponseWriter, r *http.Request) {
	s := stats{
		Version: h.Version, State: h.Source.State().String(), UptimeSeconds: h.up().Seconds(),
		Summary: h.Metrics.Summary(), Listeners: len(h.Source.Listeners()),
	}
	for _, c := range h.Source.Clusters() {
		s.Clusters++
		s.Hosts += len(c.Hosts)
	}
	if c := h.Source.Config(); c != nil {
		s.Config, s.Routes = c.Version, len(c.Routes)+len(c.StreamRoutes)
	}
	if wantsJSON(r) {
		writeJSON(w, s)
		return
	}
	text(w)
	table(w, func(row func(...any)) {
		row("version", s.Version)
		row("state", s.State)
		row("config", s.Config)
		row("up", h.up())
		row("listeners", s.Listeners)
		row("routes", s.Routes)
		row("clusters", fmt.Sprintf("%d with %d hosts", s.Clusters, s.Hosts))
		row("connections", fmt.Sprintf("%d from clients, %d to hosts", s.Connections, s.Upstream))
		row("requests", fmt.Sprintf("%d, %d server errors, %d retries, %d shed", s.Requests, s.ServerErrors, s.Retries, s.Shed))
		row("bytes", fmt.Sprintf("%d in, %d out", s.BytesIn, s.BytesOut))
		row("series", s.Series)
	})
}
