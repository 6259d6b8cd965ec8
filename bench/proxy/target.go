package main

import (
	"strings"

	"github.com/tatami-platform/tatami/bench/proxy/peer"
)

// target is a promise of the project about one case. A figure that is missing
// misses its target.
type target struct {
	Name string `json:"name"`
	Case string `json:"case"`
	// Value is a ratio unless Unit says otherwise; Measured says whether there
	// is one.
	Value    float64 `json:"value"`
	Measured bool    `json:"measured"`
	// AtMost or AtLeast is the limit.
	AtMost  *float64 `json:"atMost,omitempty"`
	AtLeast *float64 `json:"atLeast,omitempty"`
	Unit    string   `json:"unit,omitempty"`
	Met     bool     `json:"met"`
}

// The units of targets.
const (
	microsUnit = "µs"
	millisUnit = "ms"
	bytesUnit  = "bytes"
)

// The limits that the project has set itself.
const (
	maxSmallNative = 1.0
	maxSmallGo     = 0.4
	maxOtherNginx  = 1.2
	maxOtherGo     = 0.5
	within         = 0.1
	maxBinary      = 15_000_000
	maxRSS         = 20_000_000
	maxReady       = 50
	maxReloadRSS   = 40_000_000
	maxApply       = 10
)

// judge compares the figures with the targets of the cases that were run.
func (r *report) judge() {
	for i := range r.Cases {
		c := &r.Cases[i]
		switch c.Name {
		case "h1-c64":
			r.cpu(c, maxSmallNative, peer.Nginx, peer.HAProxy)
			r.cpu(c, maxSmallGo, peer.Traefik, peer.Caddy)
		case "tls", "mtls", "h2", "grpc", "grpc-stream":
			r.cpu(c, maxOtherNginx, peer.Nginx)
			r.cpu(c, maxOtherGo, peer.Traefik, peer.Caddy)
		case "h1-1m", "tcp", "tcp-1m":
			r.cpu(c, 1+within, peer.HAProxy)
			r.throughput(c, 1-within, peer.HAProxy)
		case "latency":
			r.addedP99(c)
		case "footprint":
			r.size(c)
		case "reload-5000":
			r.change(c)
		}
	}
}

func (r *report) cpu(c *caseResult, limit float64, names ...string) {
	for _, name := range names {
		t := target{Name: "CPU per request over " + name, Case: c.Name}
		if x := c.against(name); x != nil {
			t.Value, t.Measured = x.CPU.Median, !x.CPU.IsZero()
		}
		r.atMost(t, limit)
	}
}

func (r *report) throughput(c *caseResult, limit float64, name string) {
	t := target{Name: "throughput over " + name, Case: c.Name, AtLeast: &limit}
	if x := c.against(name); x != nil {
		t.Value, t.Measured = x.PerSecond.Median, !x.PerSecond.IsZero()
	}
	t.Met = t.Measured && t.Value >= limit
	r.Targets = append(r.Targets, t)
}

// addedP99 is what we add more than HAProxy does; the backend's own share is in
// both, and drops out.
func (r *report) addedP99(c *caseResult) {
	t := target{Name: "added p99 less HAProxy's", Case: c.Name, Unit: microsUnit}
	if x := c.against(peer.HAProxy); x != nil {
		t.Value, t.Measured = x.P99Over.Median, !x.P99Over.IsZero()
	}
	r.atMost(t, 0)
}

func (r *report) size(c *caseResult) {
	p := c.of(peer.Tatami)
	if p == nil {
		p = &peerResult{}
	}
	r.atMost(target{Name: "size of the program", Case: c.Name, Unit: bytesUnit, Value: float64(p.BinaryBytes), Measured: p.BinaryBytes > 0}, maxBinary)
	r.atMost(target{Name: "resident memory", Case: c.Name, Unit: bytesUnit, Value: p.RSS.Median, Measured: !p.RSS.IsZero()}, maxRSS)
	r.atMost(target{Name: "start to first answer", Case: c.Name, Unit: millisUnit, Value: p.Ready.Median, Measured: !p.Ready.IsZero()}, maxReady)
}

// change judges changes: a lost request fails the whole case.
func (r *report) change(c *caseResult) {
	p := c.of(peer.Tatami)
	if p == nil {
		p = &peerResult{}
	}
	// All of it is measured at rest, so the most counts.
	r.atMost(target{Name: "resident memory", Case: c.Name, Unit: bytesUnit, Value: p.RSS.Max, Measured: !p.RSS.IsZero()}, maxReloadRSS)
	r.atMost(target{Name: "change to acknowledgement", Case: c.Name, Unit: millisUnit, Value: p.Ack.Median, Measured: !p.Ack.IsZero()}, maxApply)
	r.atMost(target{Name: "change to first answer", Case: c.Name, Unit: millisUnit, Value: p.Apply.Median, Measured: !p.Apply.IsZero()}, maxApply)
	lost := target{Name: "requests lost", Case: c.Name, Measured: p.Requests > 0}
	for _, p := range c.Peers {
		if strings.HasPrefix(p.Failure, lostPrefix) {
			lost.Value, lost.Measured = 1, true
		}
	}
	r.atMost(lost, 0)
}

func (r *report) atMost(t target, limit float64) {
	t.AtMost, t.Met = &limit, t.Measured && t.Value <= limit
	r.Targets = append(r.Targets, t)
}

func (r *report) met() bool {
	for _, t := range r.Targets {
		if !t.Met {
			return false
		}
	}
	return true
}
