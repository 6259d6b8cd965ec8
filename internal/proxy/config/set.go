package config

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
	"github.com/tatami-platform/tatami/internal/proxy/config/wire"
)

// Change is what a source says about the resources.
type Change struct {
	// Version names the state after the change; not empty.
	Version string
	// All says that resources which are not in Upserts are gone.
	All bool
	// Upserts are new and changed resources; what is in there unchanged is found
	// out. The messages must not be changed afterwards.
	Upserts *pb.Resources
	// Removals are resources that must exist; none with All.
	Removals []*pb.ResourceName
}

// entry is one resource. The sum of its message tells whether it changed.
type entry[P any] struct {
	name  string
	sum   [sha256.Size]byte
	value P
}

// table is the resources of a kind, immutable and sorted by name.
type table[P any] struct {
	entries []entry[P]
	values  []P
}

func (t *table[P]) find(name string) (int, bool) {
	return slices.BinarySearchFunc(t.entries, name, func(e entry[P], name string) int { return strings.Compare(e.name, name) })
}

// set is all resources of one state, immutable; what it does not change it shares
// with the set that it was made from.
type set struct {
	node         connect.Node
	listeners    *table[*connect.Listener]
	routes       *table[*connect.Route]
	streamRoutes *table[*connect.StreamRoute]
	clusters     *table[*connect.Cluster]
	certificates *table[*connect.Certificate]
	bundles      *table[*connect.TrustBundle]
}

func emptySet(node connect.Node) *set {
	return &set{
		node:         node,
		listeners:    &table[*connect.Listener]{},
		routes:       &table[*connect.Route]{},
		streamRoutes: &table[*connect.StreamRoute]{},
		clusters:     &table[*connect.Cluster]{},
		certificates: &table[*connect.Certificate]{},
		bundles:      &table[*connect.TrustBundle]{},
	}
}

// with returns the set after a change. base is the node as far as a change does
// not say otherwise. O(resources of the kinds that changed).
func (s *set) with(c Change, base connect.Node) (*set, error) {
	m := merger{all: c.All, removed: map[pb.ResourceName_Kind]map[string]bool{}}
	m.remove(c.Removals)
	u := c.Upserts
	next := &set{node: s.node}
	if u.GetNode() != nil {
		next.node = wire.Node(u.GetNode())
		next.node.Name = cmp.Or(next.node.Name, base.Name)
		next.node.Service = cmp.Or(next.node.Service, base.Service)
		next.node.Zone = cmp.Or(next.node.Zone, base.Zone)
	} else if c.All {
		next.node = base
	}
	next.listeners = merge(&m, kindListener, s.listeners, u.GetListeners(), plain(wire.Listener))
	next.routes = merge(&m, kindRoute, s.routes, u.GetRoutes(), wire.Route)
	next.streamRoutes = merge(&m, kindStreamRoute, s.streamRoutes, u.GetStreamRoutes(), plain(wire.StreamRoute))
	next.clusters = merge(&m, kindCluster, s.clusters, u.GetClusters(), wire.Cluster)
	next.certificates = merge(&m, kindCertificate, s.certificates, u.GetCertificates(), plain(wire.Certificate))
	next.bundles = merge(&m, kindBundle, s.bundles, u.GetTrustBundles(), plain(wire.TrustBundle))
	if err := m.found.Err(); err != nil {
		return nil, err
	}
	return next, nil
}

// config is the state as the proxy wants it; its lists are shared and must not be
// changed.
func (s *set) config(version string) *connect.Config {
	return &connect.Config{
		Version:      version,
		Node:         s.node,
		Listeners:    s.listeners.values,
		Routes:       s.routes.values,
		StreamRoutes: s.streamRoutes.values,
		Clusters:     s.clusters.values,
		Certificates: s.certificates.values,
		TrustBundles: s.bundles.values,
	}
}

// kind is how the resources of a kind are called in files, by people, and on the
// stream.
type kind struct {
	list     string
	singular string
	id       pb.ResourceName_Kind
}

// resource names one for people, as connect.Validate does.
func (k kind) resource(name string) string { return k.singular + " " + name }

func kinds() []kind {
	return []kind{kindListener, kindRoute, kindStreamRoute, kindCluster, kindCertificate, kindBundle}
}

//nolint:gochecknoglobals // names of kinds, never written
var (
	kindListener    = kind{"listeners", "listener", pb.ResourceName_LISTENER}
	kindRoute       = kind{"routes", "route", pb.ResourceName_ROUTE}
	kindStreamRoute = kind{"streamRoutes", "stream route", pb.ResourceName_STREAM_ROUTE}
	kindCluster     = kind{"clusters", "cluster", pb.ResourceName_CLUSTER}
	kindCertificate = kind{"certificates", "certificate", pb.ResourceName_CERTIFICATE}
	kindBundle      = kind{"trustBundles", "trust bundle", pb.ResourceName_TRUST_BUNDLE}
)

// merger applies one change to the tables, kind by kind.
type merger struct {
	all     bool
	removed map[pb.ResourceName_Kind]map[string]bool
	found   connect.InvalidError
	buffer  []byte
}

func (m *merger) remove(names []*pb.ResourceName) {
	for i, n := range names {
		k := n.GetKind()
		if k < pb.ResourceName_LISTENER || k > pb.ResourceName_TRUST_BUNDLE {
			m.found.Add(connect.Problem{Field: fmt.Sprintf("removals[%d].kind", i), Text: fmt.Sprintf("%v is not known; allowed: LISTENER to TRUST_BUNDLE", k)})
			continue
		}
		if m.removed[k] == nil {
			m.removed[k] = map[string]bool{}
		}
		m.removed[k][n.GetName()] = true
	}
}

// message is a resource on the wire.
type message interface {
	proto.Message
	GetName() string
}

// plain is for kinds of which every value can be translated.
func plain[M, P any](f func(M) P) func(M) (P, []wire.PortError) {
	return func(m M) (P, []wire.PortError) { return f(m), nil }
}

// merge returns the table after the change, which is old itself if nothing changed.
func merge[M message, P any](m *merger, k kind, old *table[P], upserts []M, decode func(M) (P, []wire.PortError)) *table[P] {
	removed := m.removed[k.id]
	if !m.all && len(upserts) == 0 && len(removed) == 0 {
		return old
	}
	fresh, same := decodeAll(m, k, old, upserts, decode)
	checkNames(m, k, old, fresh)
	if same && len(removed) == 0 && (!m.all || len(fresh) == len(old.entries)) {
		return old
	}
	if !m.all {
		fresh = mergeSorted(m, k, old.entries, fresh, removed)
	}
	next := &table[P]{entries: fresh, values: make([]P, len(fresh))}
	for i := range fresh {
		next.values[i] = fresh[i].value
	}
	return next
}

// checkNames refuses names that are there twice, and removals of what is not there.
func checkNames[P any](m *merger, k kind, old *table[P], fresh []entry[P]) {
	for i := 1; i < len(fresh); i++ {
		if fresh[i].name == fresh[i-1].name {
			m.found.Add(connect.Problem{Field: k.list, Text: fmt.Sprintf("the name %q is there twice; allowed: once", fresh[i].name)})
		}
	}
	for name := range m.removed[k.id] {
		if _, found := old.find(name); !found {
			m.found.Add(connect.Problem{Field: "removals", Text: fmt.Sprintf("there is no %q among %s", name, k.list)})
		}
	}
}

// decodeAll translates what changed and takes over what did not; same says that
// nothing changed.
func decodeAll[M message, P any](m *merger, k kind, old *table[P], upserts []M, decode func(M) (P, []wire.PortError)) (fresh []entry[P], same bool) {
	fresh = make([]entry[P], 0, len(upserts))
	same = true
	for i, msg := range upserts {
		e := entry[P]{name: msg.GetName()}
		var err error
		m.buffer, err = proto.MarshalOptions{Deterministic: true}.MarshalAppend(m.buffer[:0], msg)
		if err != nil {
			m.found.Add(connect.Problem{Field: fmt.Sprintf("%s[%d]", k.list, i), Text: err.Error()})
			continue
		}
		e.sum = sha256.Sum256(m.buffer)
		if at, found := old.find(e.name); found && old.entries[at].sum == e.sum {
			fresh = append(fresh, old.entries[at])
			continue
		}
		same = false
		var faults []wire.PortError
		e.value, faults = decode(msg)
		for _, fault := range faults {
			m.found.Add(connect.Problem{
				Field: fmt.Sprintf("%s[%d].%s", k.list, i, fault.Field), Resource: k.resource(e.name),
				Text: fmt.Sprintf("%d is no port; allowed: 1 to 65535", fault.Port),
			})
		}
		fresh = append(fresh, e)
	}
	slices.SortStableFunc(fresh, func(a, b entry[P]) int { return strings.Compare(a.name, b.name) })
	return fresh, same
}

// mergeSorted puts fresh over old and leaves out what was removed.
func mergeSorted[P any](m *merger, k kind, old, fresh []entry[P], removed map[string]bool) []entry[P] {
	out := make([]entry[P], 0, len(old)+len(fresh))
	for _, e := range fresh {
		if removed[e.name] {
			m.found.Add(connect.Problem{Field: "removals", Text: fmt.Sprintf("%q of %s is removed and changed at once", e.name, k.list)})
		}
		at, found := slices.BinarySearchFunc(old, e.name, func(o entry[P], name string) int { return strings.Compare(o.name, name) })
		out = appendKept(out, old[:at], removed)
		out = append(out, e)
		if found {
			at++
		}
		old = old[at:]
	}
	return appendKept(out, old, removed)
}

func appendKept[P any](out, old []entry[P], removed map[string]bool) []entry[P] {
	if len(removed) == 0 {
		return append(out, old...)
	}
	for _, e := range old {
		if !removed[e.name] {
			out = append(out, e)
		}
	}
	return out
}
