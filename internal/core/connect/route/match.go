package route

import (
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// Request is what is matched. One value may be used again for the requests of a
// connection, one after the other: it keeps scratch memory, so that odd requests
// (upper case hosts, repeated fields, encoded queries) take none either.
type Request struct {
	// Head is a request's, with its Path in the form that Normalize returns.
	Head *message.Head
	// SNI is the name of the TLS handshake, empty when the client sent none.
	SNI string
	// TLS says that the connection is encrypted.
	TLS bool

	host, sni, value []byte
}

// Reason says why a request has no rule.
type Reason uint8

// Matched is the only reason with a rule.
const (
	Matched Reason = iota
	// NoListener: no listener of the address takes this host.
	NoListener
	// NoRoute: the listener has no rule for the request.
	NoRoute
	// Misdirected: the connection was made for another listener, with another
	// certificate and perhaps other demands on the client (RFC 9110 section 15.5.20).
	Misdirected
)

// Status is the HTTP status of the answer; 0 when matched.
func (r Reason) Status() int {
	switch r {
	case NoListener, NoRoute:
		return 404
	case Misdirected:
		return 421
	default:
		return 0
	}
}

// String is for logs.
func (r Reason) String() string {
	switch r {
	case NoListener:
		return "no listener for this host"
	case NoRoute:
		return "no rule for this request"
	case Misdirected:
		return "connection was made for another host"
	default:
		return "matched"
	}
}

// Result is where a request goes.
type Result struct {
	// Listener whose host it is; nil under NoListener.
	Listener *Listener
	// Rule is nil unless the reason is Matched.
	Rule *Rule
	// Prefix is how many bytes of the path a prefix match covers, without a slash at
	// its end; 0 for other matches and for "/".
	Prefix int
	Reason Reason
}

// Match finds the rule of a request: the listener with the most exact hostname,
// and of its routes the first by the precedence of the Gateway API. Routes of a
// less exact hostname are asked when those of a more exact one have no rule.
// It takes no memory in steady state. O(labels + segments + matches of one path).
func (a *Address) Match(r *Request) Result {
	var host hostName
	r.host = host.set(r.Head.Authority, r.host)
	listener := a.http.best(&host)
	if listener == nil {
		return Result{Reason: NoListener}
	}
	if r.TLS && a.misdirected(r, &host, listener) {
		return Result{Listener: listener, Reason: Misdirected}
	}
	path, query := r.Head.Path, ""
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path, query = path[:i], path[i+1:]
	}
	for c := (cursor{}); ; {
		table := listener.hosts.next(&host, &c)
		if table == nil {
			return Result{Listener: listener, Reason: NoRoute}
		}
		m := table.find(r, path, query)
		if m == nil {
			continue
		}
		result := Result{Listener: listener, Rule: m.rule}
		if m.kind == 0 {
			result.Prefix = len(m.path)
		}
		return result
	}
}

// misdirected says that the handshake was done by another listener than the one
// that the host selects. A handshake that no listener's name covers counts as
// another one: it should have been refused.
func (a *Address) misdirected(r *Request, host *hostName, want *Listener) bool {
	// Mostly both names are the same, and then so are the listeners.
	if a.httpsOnly && host.b == nil && host.s == r.SNI {
		return false
	}
	var sni hostName
	r.sni = sni.set(r.SNI, r.sni)
	return a.tls.best(&sni) != want
}

// StreamResult is where a connection goes.
type StreamResult struct {
	// Listener that takes the connection; nil under NoListener. When it is an HTTPS
	// listener the connection is to be decrypted, and its requests are matched.
	Listener *Listener
	// Stream is the route of a TLS or TCP listener; nil otherwise.
	Stream *Stream
	Reason Reason
}

// MatchStream finds the listener of a connection by the name in its TLS handshake
// (empty without TLS or name), and its stream route if it has such.
func (a *Address) MatchStream(sni string) StreamResult {
	var host hostName
	host.set(sni, nil)
	listener := a.tls.best(&host)
	if listener == nil {
		listener = a.tcp
	}
	if listener == nil {
		return StreamResult{Reason: NoListener}
	}
	if listener.http() {
		return StreamResult{Listener: listener}
	}
	stream := listener.streams.best(&host)
	if stream == nil {
		return StreamResult{Listener: listener, Reason: NoRoute}
	}
	return StreamResult{Listener: listener, Stream: stream}
}
