package route

import (
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// below is whether a random number falls into numerator of denominator.
func below(random uint64, numerator, denominator uint32) bool {
	at, _ := bits.Mul64(random, uint64(denominator))
	return at < uint64(numerator)
}

// Mirrored says whether a request is copied; random is uniform over all uint64.
func Mirrored(m *connect.Mirror, random uint64) bool {
	return m.Denominator == 0 || below(random, m.Numerator, m.Denominator)
}

// Injected is a fault for one request; the zero value is none.
type Injected struct {
	Delay time.Duration
	// Status of the answer instead of a backend's; 0: none. GRPC is the gRPC status
	// for a gRPC request; 0: from Status.
	Status int
	GRPC   int
}

// Inject chooses the faults of a request. The random numbers are uniform over all
// uint64 and independent, so that delays and aborts are.
func (r *Rule) Inject(delay, abort uint64) Injected {
	f := r.Config.Fault
	if f == nil {
		return Injected{}
	}
	var in Injected
	if below(delay, f.DelayPercent, 100) {
		in.Delay = f.Delay
	}
	if below(abort, f.AbortPercent, 100) {
		in.Status, in.GRPC = f.AbortStatus, f.AbortGRPC
		if in.Status == 0 {
			in.Status = 503
		}
	}
	return in
}

// Answer fills the head of a direct response, which the rule must have. The body
// is the filter's.
func (r *Rule) Answer(out *message.Head) {
	d := r.Config.Filters.Direct
	out.Status = d.Status
	out.ContentLength = int64(len(d.Body))
	for i := range d.Headers {
		f := &d.Headers[i]
		out.Add(message.Lookup(f.Name), f.Name, f.Value)
	}
}

// sessionLength is that of a session's value: 64 bits in hexadecimal.
const sessionLength = 16

// AppendSession writes the value that ties a client to an endpoint: the hash that
// balance finds it by. The address itself never reaches a client.
func AppendSession(dst []byte, hash uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[hash>>shift&15])
	}
	return dst
}

// ParseSession reads what AppendSession wrote; false: it is something else, and the
// client is to be treated as new.
func ParseSession(s string) (hash uint64, ok bool) {
	if len(s) != sessionLength {
		return 0, false
	}
	for i := range len(s) {
		digit := unhex(s[i])
		if digit < 0 {
			return 0, false
		}
		hash = hash<<4 | uint64(digit)
	}
	return hash, true
}

// Session is the hash of the endpoint that a request wants; false: none, or the
// rule has no sessions. O(fields + length of cookies).
func (r *Rule) Session(h *message.Head) (hash uint64, ok bool) {
	s := r.Config.Session
	if s == nil {
		return 0, false
	}
	if s.Cookie == "" {
		v, _ := h.Get(message.Lookup(s.Header), s.Header)
		return ParseSession(v)
	}
	v, _ := Cookie(h, s.Cookie)
	return ParseSession(v)
}

// Cookie is the value of the first cookie of this name.
func Cookie(h *message.Head, name string) (string, bool) {
	for i := range h.Fields {
		if h.Fields[i].ID != message.IDCookie {
			continue
		}
		if v, found := cookie(h.Fields[i].Value, name); found {
			return v, true
		}
	}
	return "", false
}

// AppendSetCookie writes the value of a Set-Cookie field: not for scripts, not for
// other sites' posts, and Secure on encrypted connections.
func (r *Rule) AppendSetCookie(dst []byte, hash uint64, secure bool) []byte {
	s := r.Config.Session
	dst = AppendSession(append(append(dst, s.Cookie...), '='), hash)
	path := s.Path
	if path == "" {
		path = "/"
	}
	dst = append(append(dst, "; Path="...), path...)
	if s.MaxAge > 0 {
		dst = strconv.AppendInt(append(dst, "; Max-Age="...), int64((s.MaxAge+time.Second-1)/time.Second), 10)
	}
	dst = append(dst, "; HttpOnly; SameSite=Lax"...)
	if secure {
		dst = append(dst, "; Secure"...)
	}
	return dst
}

// cookie finds a cookie by name in a Cookie field (RFC 6265 section 4.2.1).
func cookie(field, name string) (string, bool) {
	for field != "" {
		var pair string
		pair, field, _ = strings.Cut(field, ";")
		key, value, ok := strings.Cut(strings.TrimLeft(pair, " \t"), "=")
		if ok && key == name {
			return strings.Trim(value, `" `), true
		}
	}
	return "", false
}
