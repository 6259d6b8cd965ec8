package route

import (
	"maps"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// hostsOn yields the names under which a route is found on a listener: its own,
// where they intersect with the listener's, else the listener's.
//
// The route's own name counts, not the intersection, because precedence goes by
// "characters in a matching hostname" of the route. No request of another host
// gets here, since the listener was chosen by it.
func hostsOn(hosts []string, listener string, yield func(string)) {
	if len(hosts) == 0 {
		yield(listener)
	}
	for _, host := range hosts {
		if intersect(listener, host) {
			yield(host)
		}
	}
}

// changedHosts is the index of hosts with some routes added and some gone. Hosts
// that have none of them are shared with the old index. O(hosts + changes).
func (b *builder) changedHosts(listener string, old index[paths], added, gone []*Route) index[paths] {
	touched := make(map[string][]*match, len(added))
	for _, r := range gone {
		hostsOn(r.hosts, listener, func(host string) {
			if _, is := touched[host]; !is {
				touched[host] = nil
			}
		})
	}
	for _, r := range added {
		hostsOn(r.hosts, listener, func(host string) {
			list := touched[host]
			for i := range r.matches {
				list = append(list, &r.matches[i])
			}
			touched[host] = list
		})
	}
	next := old
	exact, wild := 0, 0
	for host := range touched {
		switch {
		case strings.HasPrefix(host, "*"):
			wild++
		case host != "":
			exact++
		}
	}
	if exact > 0 {
		next.exact = make(map[string]*paths, len(old.exact)+exact)
		maps.Copy(next.exact, old.exact)
	}
	if wild > 0 {
		next.wild = maps.Clone(old.wild)
	}
	for host, list := range touched {
		next.put(host, old.get(host).changed(b.gone, list))
	}
	return next
}

// attachStreams lists the stream routes of a listener by host. Of those with the
// same host the oldest wins, then the first by name.
func (b *builder) attachStreams(l *Listener) {
	if l.http() {
		return
	}
	for _, s := range b.next.streams {
		if !b.carries(l, s) {
			continue
		}
		hosts := s.hosts
		if l.Config.Protocol == connect.ProtocolTCP {
			hosts = nil
		}
		hostsOn(hosts, l.Hostname, func(host string) {
			other := l.streams.get(host)
			if other == nil || s.before(other) {
				l.streams.put(host, s)
			}
		})
	}
}

// carries says that a stream route is attached to a listener. Without names it is
// attached to TLS listeners when it has hostnames, else to those of TCP.
func (b *builder) carries(l *Listener, s *Stream) bool {
	if slices.Contains(s.Config.Listeners, l.Config.Name) {
		return true
	}
	wantTLS := len(s.hosts) > 0
	return len(s.Config.Listeners) == 0 && wantTLS == (l.Config.Protocol == connect.ProtocolTLS)
}

func (s *Stream) before(other *Stream) bool {
	if c := s.Config.Created.Compare(other.Config.Created); c != 0 {
		return c < 0
	}
	return s.Config.Name < other.Config.Name
}

// checkAddresses holds that the listeners of one address can be told apart.
func (b *builder) checkAddresses() {
	type place struct {
		address, host string
	}
	taken := make(map[place]string, len(b.next.listeners))
	first := make(map[string]*Listener, len(b.next.listeners))
	for _, l := range b.next.listeners {
		b.problems.within("listener", l.Config.Name)
		address := l.Config.Address
		if other, is := first[address]; !is {
			first[address] = l
		} else if wire(l) != wire(other) || l.Config.Protocol == connect.ProtocolTCP {
			b.problems.add("protocol", "listener %q on %s has one that cannot be told apart from it; use another address",
				other.Config.Name, address)
			continue
		}
		at := place{address, l.Hostname}
		if other, is := taken[at]; is {
			b.problems.add("hostname", "listener %q has the same hostname on %s; use another hostname or address", other, address)
			continue
		}
		taken[at] = l.Config.Name
	}
}

// wire is what a listener expects first on a connection: HTTP, TLS or anything.
func wire(l *Listener) connect.Protocol {
	if l.Config.Protocol == connect.ProtocolTLS {
		return connect.ProtocolHTTPS
	}
	return l.Config.Protocol
}
