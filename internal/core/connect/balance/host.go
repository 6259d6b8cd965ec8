package balance

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
)

const (
	// unseenLatency is what a host is taken for that has requests and has not
	// answered one yet: a new host gets one request at first, not a burst.
	unseenLatency = float64(time.Second)
	// A failure counts as a latency of at least failureFactor times the present
	// one and failureLeast, at most failureMost: hosts that fail fast must not
	// look fast.
	failureFactor = 8
	failureLeast  = float64(10 * time.Millisecond)
	failureMost   = float64(10 * time.Second)

	// load is one word: requests in progress, and those without an answer.
	inProgress = 1 << 32
	unanswered = 1
)

// Host is what is known at run time about one endpoint of one cluster. It stays
// the same when a configuration changes, as long as the address does.
type Host struct {
	vitals resilience.Vitals
	// Connections counts the open connections, for Breaker.AcquireConnection.
	Connections resilience.Gauge
	// Adaptive is the limit of requests at once where the cluster asks for one.
	Adaptive resilience.Adaptive

	address  string
	addr     netip.AddrPort
	key      uint64
	endpoint atomic.Pointer[connect.Endpoint]
	// changes is the cluster's: it counts what makes a Set sort its hosts anew.
	changes *atomic.Uint64

	load     atomic.Uint64
	latency  peakEWMA
	answered atomic.Uint64
	nanos    atomic.Uint64 // sum of latencies of answers
	failed   atomic.Uint64
	begun    atomic.Uint64
}

// Address is the endpoint's: host:port, or unix:/path.
func (h *Host) Address() string { return h.address }

// Addr is Address parsed; invalid for Unix sockets.
func (h *Host) Addr() netip.AddrPort { return h.addr }

// Key is that of the address, for sessions.
func (h *Host) Key() uint64 { return h.key }

// Endpoint is the newest that was configured for the address. It is for people: a
// Set goes by the endpoints that it was built from.
func (h *Host) Endpoint() *connect.Endpoint { return h.endpoint.Load() }

// Begin counts a request that is sent to the host. Each needs one Set.Observe,
// when its head is answered or it fails, and then one End.
func (h *Host) Begin() {
	h.begun.Add(1)
	h.load.Add(inProgress + unanswered)
}

// End counts that nothing of the exchange is left to do.
func (h *Host) End() { h.load.Add(^uint64(inProgress - 1)) }

// Outstanding is the number of requests between Begin and End.
func (h *Host) Outstanding() int64 { return int64(h.load.Load() / inProgress) }

// Latency is the peak EWMA as of now (ns); 0: nothing seen.
func (h *Host) Latency(now int64) time.Duration { return time.Duration(h.latency.at(now)) }

// Health is the verdict of the active checks.
func (h *Host) Health() resilience.HealthState { return h.vitals.Health.State() }

// Ejected says that the host gets no requests but probes.
func (h *Host) Ejected() bool { return h.vitals.Outlier.Ejected() }

// SetHealth notes the result of an active check and says whether the verdict
// changed.
func (h *Host) SetHealth(ok bool, p resilience.HealthPolicy) (resilience.HealthState, bool) {
	state, changed := h.vitals.Health.Report(ok, p)
	if changed {
		h.changes.Add(1)
	}
	return state, changed
}

// cost is the latency in ns that one more request would see, if the host worked
// off its requests one after the other.
func (h *Host) cost(now int64) float64 {
	load := h.load.Load()
	waiting := uint32(load)
	if waiting == 0 {
		return h.latency.at(now) * float64(load/inProgress+1)
	}
	// While a request is under way the peak is not taken for decayed: a host that
	// rested for long is tried with one request, not with all.
	l := h.latency.peak()
	if l == 0 {
		l = unseenLatency
	}
	return l * float64(load/inProgress+1)
}

// observe takes in the outcome of one request.
func (h *Host) observe(now int64, o *Outcome, failed bool) {
	h.load.Add(^uint64(unanswered - 1))
	ns := float64(max(o.Latency, 1))
	switch {
	case silent(o):
		// It took at least so long; whether it would have been fast is not known.
		if ns > h.latency.peak() {
			h.latency.observe(now, ns)
		}
	case failed:
		h.failed.Add(1)
		penalty := max(h.latency.at(now)*failureFactor, failureLeast, ns)
		h.latency.observe(now, min(penalty, max(failureMost, ns)))
	default:
		h.answered.Add(1)
		h.nanos.Add(uint64(ns))
		h.latency.observe(now, ns)
	}
}

// HostStats is the state of a host for people and metrics.
type HostStats struct {
	Endpoint connect.Endpoint
	Health   resilience.HealthState
	Ejected  bool
	// EjectedFor is the time until the next probe.
	EjectedFor  time.Duration
	Outstanding int64
	Connections int64
	Latency     time.Duration
	// Limit is the adaptive one.
	Limit int64
	// Since the start: requests that were sent, of which Answered and Failed.
	Requests  uint64
	Answered  uint64
	Failed    uint64
	Ejections uint64
}

// Stats is the state as of now (ns).
func (h *Host) Stats(now int64) HostStats {
	return HostStats{
		Endpoint:    *h.endpoint.Load(),
		Health:      h.Health(),
		Ejected:     h.Ejected(),
		EjectedFor:  time.Duration(max(h.vitals.Outlier.ProbeAt()-now, 0)),
		Outstanding: h.Outstanding(),
		Connections: h.Connections.Used(),
		Latency:     h.Latency(now),
		Limit:       h.Adaptive.Limit(),
		Requests:    h.begun.Load(),
		Answered:    h.answered.Load(),
		Failed:      h.failed.Load(),
		Ejections:   h.vitals.Outlier.Ejections(),
	}
}
