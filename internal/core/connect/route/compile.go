package route

import (
	"maps"
	"regexp"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// Compile builds the table of a configuration.
//
// What old (nil at first) compiled from a *connect.Route, a StreamRoute or a set of
// listeners that did not change is taken over with its counters, and only hosts
// whose routes changed are arranged anew: one of 5,000 routes takes a fraction of
// a millisecond. A route that changed keeps the rate limits that it still has.
//
// On an error there is no table: every reason is joined, as a *Problem each, at
// most 50 of them. The names of resources must be unique (connect.Validate).
// O(routes) for the comparison, O(n log n) for what is new.
func Compile(c *connect.Config, old *Table) (*Table, error) {
	if old == nil {
		old = &Table{}
	}
	b := &builder{config: c, old: old, next: &Table{}, compiler: newCompiler()}
	b.routes()
	b.streams()
	b.listeners()
	b.checkAddresses()
	if err := b.problems.err(); err != nil {
		return nil, err
	}
	b.addresses()
	return b.next, nil
}

// Check says what is wrong with one route, as Compile would, so that one person's
// mistake need not hold up the changes of all.
func Check(r *connect.Route) error {
	c := newCompiler()
	c.route(r, nil)
	return c.problems.err()
}

// compiler turns resources into their compiled form.
type compiler struct {
	problems  problems
	regexes   map[string]*regexp.Regexp
	sequences sequences
}

func newCompiler() *compiler {
	return &compiler{regexes: map[string]*regexp.Regexp{}, sequences: sequences{}}
}

// builder is one run of Compile.
type builder struct {
	config *connect.Config
	old    *Table
	next   *Table
	*compiler

	added []*Route
	gone  map[*Route]struct{}
	byOld map[string]int // routes of old by name, when they are needed
	// attached are all routes by number of listener, when they are needed.
	attached [][]*Route
	byName   map[string]int // listeners of the configuration
	reuse    bool           // the stream routes did not change
}

// routes compiles what is new and takes over the rest. Order is kept by most
// changes, so the old route at the same place is tried first.
func (b *builder) routes() {
	b.gone = map[*Route]struct{}{}
	routes := make([]*Route, 0, len(b.config.Routes))
	kept, at := 0, 0
	taken := make([]bool, len(b.old.routes))
	for _, config := range b.config.Routes {
		i := b.oldRoute(config, at)
		if i >= 0 && b.old.routes[i].Config == config && !taken[i] {
			routes = append(routes, b.old.routes[i])
			taken[i] = true
			kept++
			at = i + 1
			continue
		}
		var before *Route
		if i >= 0 {
			before = b.old.routes[i]
			at = i + 1
		}
		r := b.route(config, before)
		routes = append(routes, r)
		b.added = append(b.added, r)
	}
	if kept < len(b.old.routes) {
		for i, r := range b.old.routes {
			if !taken[i] {
				b.gone[r] = struct{}{}
			}
		}
	}
	b.next.routes = routes
}

// oldRoute is the number of the old route of the same pointer or name, -1: none.
func (b *builder) oldRoute(config *connect.Route, at int) int {
	for i := at; i < min(at+2, len(b.old.routes)); i++ {
		if r := b.old.routes[i].Config; r == config || r.Name == config.Name {
			return i
		}
	}
	if b.byOld == nil {
		b.byOld = make(map[string]int, len(b.old.routes))
		for i, r := range b.old.routes {
			b.byOld[r.Config.Name] = i
		}
	}
	if i, ok := b.byOld[config.Name]; ok {
		return i
	}
	return -1
}

// streams compiles stream routes; they are few.
func (b *builder) streams() {
	old := map[*connect.StreamRoute]*Stream{}
	for _, s := range b.old.streams {
		old[s.Config] = s
	}
	for _, config := range b.config.StreamRoutes {
		s := old[config]
		if s == nil {
			s = b.stream(config)
		}
		b.next.streams = append(b.next.streams, s)
	}
	b.reuse = slices.Equal(b.next.streams, b.old.streams)
}

// listeners compiles listeners with the tables of their hosts.
func (b *builder) listeners() {
	b.byName = make(map[string]int, len(b.config.Listeners))
	for i, config := range b.config.Listeners {
		if _, is := b.byName[config.Name]; is {
			b.problems.within("listener", config.Name)
			b.problems.add("name", "there are two of this name")
		}
		b.byName[config.Name] = i
	}
	b.checkAttachments()
	old := make(map[string]*Listener, len(b.old.listeners))
	for _, l := range b.old.listeners {
		old[l.Config.Name] = l
	}
	added, gone := b.attach(b.added), b.attach(slices.Collect(maps.Keys(b.gone)))
	for i, config := range b.config.Listeners {
		l := b.listener(config)
		before := old[config.Name]
		if before == nil || before.Hostname != l.Hostname || before.Config.Protocol != config.Protocol {
			if b.attached == nil {
				b.attached = b.attach(b.next.routes)
			}
			l.hosts = b.changedHosts(l.Hostname, index[paths]{}, b.attached[i], nil)
			b.attachStreams(l)
		} else {
			l = b.changedListener(l, before, added[i], gone[i])
		}
		b.next.listeners = append(b.next.listeners, l)
	}
}

// changedListener takes over what it can from the listener before.
func (b *builder) changedListener(l, before *Listener, added, gone []*Route) *Listener {
	changed := len(added)+len(gone) > 0
	if before.Config == l.Config && !changed && b.reuse {
		return before
	}
	l.hosts, l.streams = before.hosts, before.streams
	if changed {
		l.hosts = b.changedHosts(l.Hostname, before.hosts, added, gone)
	}
	if !b.reuse {
		l.streams = index[Stream]{}
		b.attachStreams(l)
	}
	return l
}

// attach lists routes by the number of their listeners.
func (b *builder) attach(routes []*Route) [][]*Route {
	lists := make([][]*Route, len(b.config.Listeners))
	for _, r := range routes {
		for _, name := range r.Config.Listeners {
			if i, ok := b.byName[name]; ok {
				lists[i] = append(lists[i], r)
			}
		}
		if len(r.Config.Listeners) > 0 {
			continue
		}
		for i, l := range b.config.Listeners {
			if l.Protocol == connect.ProtocolHTTP || l.Protocol == connect.ProtocolHTTPS {
				lists[i] = append(lists[i], r)
			}
		}
	}
	return lists
}

// checkAttachments holds that routes name listeners that exist and speak HTTP.
func (b *builder) checkAttachments() {
	for _, r := range b.next.routes {
		for i, name := range r.Config.Listeners {
			at, ok := b.byName[name]
			if ok && b.config.Listeners[at].Protocol <= connect.ProtocolHTTPS {
				continue
			}
			b.problems.within("route", r.Config.Name)
			field := item("listeners", i)
			if !ok {
				b.problems.add(field, "there is no listener %q", name)
				continue
			}
			b.problems.add(field, "listener %q carries streams; want one of HTTP or HTTPS", name)
		}
	}
	for _, s := range b.next.streams {
		for i, name := range s.Config.Listeners {
			at, ok := b.byName[name]
			if ok && b.config.Listeners[at].Protocol > connect.ProtocolHTTPS {
				continue
			}
			b.problems.within("stream route", s.Config.Name)
			b.problems.add(item("listeners", i), "there is no listener %q of TLS or TCP", name)
		}
	}
}

func (b *builder) listener(config *connect.Listener) *Listener {
	b.problems.within("listener", config.Name)
	host, err := cleanHostname(config.Hostname)
	if err != nil {
		b.problems.add("hostname", "%q: %v", config.Hostname, err)
	}
	return &Listener{Config: config, Hostname: host, Port: portOf(config.Address)}
}

// addresses groups the listeners, after they were found to be compatible.
func (b *builder) addresses() {
	if slices.Equal(b.next.listeners, b.old.listeners) && b.old.addresses != nil {
		b.next.addresses = b.old.addresses
		return
	}
	groups := map[string][]*Listener{}
	for _, l := range b.next.listeners {
		groups[l.Config.Address] = append(groups[l.Config.Address], l)
	}
	b.next.addresses = make(map[string]*Address, len(groups))
	for name, listeners := range groups {
		a := b.old.addresses[name]
		if a == nil || !slices.Equal(a.Listeners, listeners) {
			a = newAddress(name, listeners)
		}
		b.next.addresses[name] = a
	}
}

// limit is a bucket for a rule; one of the same limit is taken over.
func limit(config *connect.RateLimit, before *Rule) *Bucket {
	if config == nil {
		return nil
	}
	if before != nil && before.Limit != nil && before.Limit.config == *config {
		return before.Limit
	}
	return NewBucket(*config)
}
