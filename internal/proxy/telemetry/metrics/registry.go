package metrics

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Labels identify a series.
type Labels struct {
	SourceService, SourceZone           string
	DestinationService, DestinationZone string
	Protocol                            Protocol
}

// Options bound the number of series. Zero means the default in brackets.
type Options struct {
	// Service and Zone are those of this proxy.
	Service, Zone string
	// MaxSeries bounds the sets of labels (10,000); what is above is counted with
	// the destination "other". A set costs nothing in the output before its first
	// request, and about 25 lines after.
	MaxSeries int
	// MaxPeers bounds the number of different sources (256); the same.
	MaxPeers int
	// Retention is how long the series of a destination that is gone are still
	// shown, so that their last values are scraped (5 min).
	Retention time.Duration
	// Flags are the names of what Shard.Flag counts, at most MaxFlags.
	Flags []string
	// Version is that of the program.
	Version string
	// Start is when the program began.
	Start time.Time
}

// Other is the value of a label whose own value would be one too many.
const Other = "other"

// None is the destination of requests that no route takes.
const None = "none"

// maxLabel bounds the value of a label, in bytes.
const maxLabel = 128

// Registry holds all series of a proxy. Its methods lock: they are for
// configuration changes and scrapes, not for requests.
type Registry struct {
	options Options

	mu sync.Mutex
	// sets in order of their coming; those of Other count towards MaxSeries only
	// while there is room for them, so that they exist always.
	sets      map[Labels]*labelSet
	peers     map[string]bool
	clusters  map[string]*shards[Cluster]
	listeners map[string]*shards[Listener]
	shards    []*Shard

	config       configState
	certificates map[string]time.Time
	funcs        []function

	// overflow counts resolutions that ended as Other.
	overflow atomic.Uint64
}

// labelSet is a series over all shards.
type labelSet struct {
	labels Labels
	// text is "source_service=…,protocol=…", ready to be printed.
	text   string
	series []*Series // by shard; nil where a shard has none
	gone   time.Time // zero: its destination exists
}

// shards is a group of counters over all shards.
type shards[T any] struct {
	text string
	own  []*T
	gone time.Time
}

// New makes a registry without series.
func New(o Options) *Registry {
	if o.MaxSeries <= 0 {
		o.MaxSeries = 10_000
	}
	if o.MaxPeers <= 0 {
		o.MaxPeers = 256
	}
	if o.Retention <= 0 {
		o.Retention = 5 * time.Minute
	}
	return &Registry{
		options: o, sets: map[Labels]*labelSet{}, peers: map[string]bool{},
		clusters: map[string]*shards[Cluster]{}, listeners: map[string]*shards[Listener]{},
		certificates: map[string]time.Time{},
	}
}

// Shard makes the counters of one more event loop.
func (r *Registry) Shard() *Shard {
	r.mu.Lock()
	s := &Shard{registry: r, id: len(r.shards)}
	r.shards = append(r.shards, s)
	r.mu.Unlock()
	for p := range protocols {
		s.unrouted[p] = s.Route(Labels{DestinationService: None, Protocol: p})
	}
	return s
}

// Keep marks the series of destinations that keep does not know as gone, and the
// listeners that listens does not know. They are dropped after Retention, at the
// first scrape.
func (r *Registry) Keep(now time.Time, keep, listens func(string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for labels, set := range r.sets {
		d := labels.DestinationService
		mark(&set.gone, now, d == Other || d == None || d == r.options.Service || keep(d))
	}
	for name, c := range r.clusters {
		mark(&c.gone, now, keep(name) || name == Other)
	}
	for name, l := range r.listeners {
		mark(&l.gone, now, listens(name))
	}
}

func mark(gone *time.Time, now time.Time, kept bool) {
	switch {
	case kept:
		*gone = time.Time{}
	case gone.IsZero():
		*gone = now
	}
}

// sweep drops what was gone for long enough. The caller holds the lock.
func (r *Registry) sweep(now time.Time) {
	over := func(gone time.Time) bool { return !gone.IsZero() && now.Sub(gone) >= r.options.Retention }
	maps.DeleteFunc(r.sets, func(_ Labels, s *labelSet) bool { return over(s.gone) })
	maps.DeleteFunc(r.clusters, func(_ string, c *shards[Cluster]) bool { return over(c.gone) })
	maps.DeleteFunc(r.listeners, func(_ string, l *shards[Listener]) bool { return over(l.gone) })
	clear(r.peers)
	for labels := range r.sets {
		r.peers[labels.SourceService] = true
	}
}

// resolve bounds labels and finds their set. The caller holds the lock.
func (r *Registry) resolve(l Labels) *labelSet {
	l.bound()
	if l.SourceService != r.options.Service && !r.peers[l.SourceService] && len(r.peers) >= r.options.MaxPeers {
		l.SourceService, l.SourceZone = Other, ""
		r.overflow.Add(1)
	}
	if set := r.sets[l]; set != nil {
		return set
	}
	if len(r.sets) >= r.options.MaxSeries {
		r.overflow.Add(1)
		// At most 2 sources and 4 protocols: a handful of sets above the limit.
		source := Other
		if l.SourceService == r.options.Service {
			source = l.SourceService
		}
		l = Labels{SourceService: source, DestinationService: Other, Protocol: l.Protocol}
		if set := r.sets[l]; set != nil {
			return set
		}
	}
	set := &labelSet{labels: l, text: l.text()}
	r.sets[l] = set
	r.peers[l.SourceService] = true
	return set
}

func (l *Labels) bound() {
	l.SourceService, l.SourceZone = boundLabel(l.SourceService), boundLabel(l.SourceZone)
	l.DestinationService, l.DestinationZone = boundLabel(l.DestinationService), boundLabel(l.DestinationZone)
	l.Protocol = min(l.Protocol, protocols-1)
}

// boundLabel makes a value that exposition formats take, and copies it: what is
// given may alias a buffer.
func boundLabel(v string) string {
	v = strings.ToValidUTF8(v, "\uFFFD")
	if len(v) > maxLabel {
		v = strings.ToValidUTF8(v[:maxLabel], "")
	}
	return strings.Clone(v)
}

func (l *Labels) text() string {
	return label("source_service", l.SourceService) + "," + label("source_zone", l.SourceZone) + "," +
		label("destination_service", l.DestinationService) + "," + label("destination_zone", l.DestinationZone) + "," +
		label("protocol", l.Protocol.String())
}

// label writes name="value", escaped as both formats want it.
func label(name, value string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value)
	return name + `="` + escaped + `"`
}

// sorted are the sets in the order of their labels, so that two scrapes agree.
func (r *Registry) sorted() []*labelSet {
	return slices.SortedFunc(maps.Values(r.sets), func(a, b *labelSet) int { return strings.Compare(a.text, b.text) })
}

// PeerLabel turns a SPIFFE ID into the value of a label: "namespace/account" for
// the IDs of Kubernetes workloads (spiffe://domain/ns/N/sa/A), else what follows
// the scheme. An empty ID gives "unknown".
func PeerLabel(id string) string {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	if !ok || rest == "" {
		return "unknown"
	}
	parts := strings.Split(rest, "/")
	if len(parts) == 5 && parts[1] == "ns" && parts[3] == "sa" {
		return parts[2] + "/" + parts[4]
	}
	return rest
}
