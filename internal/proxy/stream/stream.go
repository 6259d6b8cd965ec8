package stream

import (
	"net/netip"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// Stream is one HTTP exchange on one connection, as the codec offers it to the
// side that talks: the server codec to send a response, the client codec to send
// a request. Calls come from the loop that owns the connection, also from within
// a Handler's methods of this or another stream.
//
// Order: SendHead (for responses any number of 1xx heads before it), SendData
// any number of times, SendTrailers at most once and last. end says that nothing
// follows. After end in both directions, or after Reset or OnReset, the stream
// is gone: neither side calls the other again, and the codec may reuse it.
type Stream interface {
	// SendHead takes the head; nothing of h is kept after the call.
	SendHead(h *message.Head, end bool)
	// SendData takes all of p, writing or copying it before it returns. It
	// reports whether there is room for more; without room the caller should
	// pause its source until OnRoom. p may be empty when end is set.
	SendData(p []byte, end bool) (room bool)
	// SendTrailers ends the stream with trailers.
	SendTrailers(fields []message.Field)
	// Reset ends the stream at once in both directions. On HTTP/2 it sends
	// RST_STREAM, on HTTP/1.1 it closes the connection unless the exchange was
	// complete. No OnReset follows.
	Reset(r Reason)
	// Pause stops OnData until it is called with false; what has been read by
	// then may still be delivered. Flow-control credit is not given while paused.
	Pause(on bool)
	// Info describes the connection below. The value is valid as long as the
	// stream is.
	Info() *ConnInfo
}

// Handler receives what arrives on a stream: a request on the server's side, a
// response on the client's. Strings and slices are borrowed: heads stay valid
// until the stream is gone (HTTP/1.1 request heads alias the read buffer, which
// the codec pins), data until the call returns.
type Handler interface {
	// OnHead delivers the head; on the client's side 1xx heads (101 included)
	// come before the final one.
	OnHead(h *message.Head, end bool)
	// OnData delivers a part of the body. It may be empty when end is set.
	OnData(p []byte, end bool)
	// OnTrailers delivers trailers and ends this direction.
	OnTrailers(fields []message.Field)
	// OnReset says that the stream is gone before its end; nothing else is
	// called after it.
	OnReset(r Reason)
	// OnRoom says that a stream whose SendData had no room has room again.
	OnRoom()
}

// Reason says why a stream was reset.
type Reason uint8

// The reasons. Only ReasonRefused and ReasonUnsent are proof that the other side
// has not seen the request.
const (
	// ReasonNone: orderly; also for client codecs: give the stream up silently.
	ReasonNone Reason = iota
	// ReasonCancel: the other side, or we, lost interest.
	ReasonCancel
	// ReasonRefused: REFUSED_STREAM, or above the last stream of a GOAWAY.
	ReasonRefused
	// ReasonUnsent: the connection ended before a byte of the request was sent.
	ReasonUnsent
	// ReasonStale: a pooled connection ended after the request was sent and
	// before the first byte of an answer.
	ReasonStale
	// ReasonClosed: the connection ended in the middle.
	ReasonClosed
	// ReasonProtocol: the other side broke the protocol.
	ReasonProtocol
	// ReasonTooLarge: a limit of ours was exceeded.
	ReasonTooLarge
	// ReasonTimeout: nothing came for too long.
	ReasonTimeout
	// ReasonInternal: our fault.
	ReasonInternal
)

// String names the reason as metrics and logs have it.
func (r Reason) String() string {
	names := [...]string{"none", "cancel", "refused", "unsent", "stale", "closed", "protocol", "too_large", "timeout", "internal"}
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown"
}

// ConnInfo describes a connection.
type ConnInfo struct {
	// Local and Remote are those of the PROXY protocol header where one was
	// read; invalid on Unix sockets.
	Local  netip.AddrPort
	Remote netip.AddrPort
	// Encrypted says that TLS is in use; the rest is about it.
	Encrypted bool
	// ServerName is the SNI, ALPN what was agreed on ("" if nothing).
	ServerName string
	ALPN       string
	// PeerID is the SPIFFE ID, or else the first name, of a verified peer
	// certificate.
	PeerID string
}

// Server creates a handler for every request that arrives on a connection. The
// HTTP/1.1 codec calls it once per request, the HTTP/2 codec once per stream.
// The returned handler gets OnHead next.
type Server interface {
	NewStream(s Stream) Handler
	// Refused reports a request that the codec itself answered (with this
	// status; 0: none, the connection was closed) because it was malformed or
	// exceeded a limit, for metrics and the log. h is what was understood of
	// it, perhaps empty.
	Refused(h *message.Head, info *ConnInfo, status int, why string)
	// ConnClosed says that the connection is gone and its streams with it.
	ConnClosed()
}

// Client is an established connection to a backend, as its codec offers it.
type Client interface {
	// Open begins an exchange; SendHead comes next. Only when Room is above 0.
	Open(h Handler) Stream
	// Room is how many exchanges more can be opened now: 1 or 0 on HTTP/1.1.
	Room() int
	// Active is how many exchanges are open.
	Active() int
	// Fresh says that no exchange was opened on this connection yet, so that its
	// failure cannot be that of a stale connection.
	Fresh() bool
	// Drain lets open exchanges end, takes no more, and closes.
	Drain()
	// Close ends it at once; its open exchanges get OnReset.
	Close()
}

// ClientOwner is the pool that a Client belongs to.
type ClientOwner interface {
	// ClientRoom: an exchange ended or a limit grew, and Room is above 0.
	ClientRoom(c Client)
	// ClientGone: the connection is closed, or takes no more exchanges (GOAWAY,
	// Connection: close) and will close when the last one ends. It is told once.
	ClientGone(c Client)
}

// ServerConn is a client's connection, as the side that owns the listener sees it.
type ServerConn interface {
	// Drain announces the end (Connection: close, GOAWAY), finishes what is
	// open, and closes.
	Drain()
	// Close ends it at once; open exchanges get OnReset.
	Close()
}
