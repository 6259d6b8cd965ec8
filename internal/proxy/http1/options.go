package http1

import (
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
)

// ServerOptions are limits of a client's connection. 0 means the default, except
// where it says otherwise.
type ServerOptions struct {
	// MaxHead is the size of a request's head in bytes: 64 KB, and never more,
	// since a head lies in one buffer.
	MaxHead int
	// MaxTarget is the size of the request target in bytes: 8 KB.
	MaxTarget int
	// MaxFields is the number of fields of a head: 100.
	MaxFields int
	// MaxBody is the size of a request's body in bytes; 0: no limit.
	MaxBody int64
	// HeaderTimeout is the time from the first byte of a head to its last: 10 s.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection may have no request: 60 s.
	IdleTimeout time.Duration
	// LingerTimeout is how long a client that is still sending may go on to do
	// so, unheard, after the answer: 1 s.
	LingerTimeout time.Duration
	// DrainGrace is how long a connection without a request is kept open for one
	// after Drain, which is then answered with Connection: close: 1 s.
	DrainGrace time.Duration
	// MaxRequests is after how many requests a connection is closed; 0: no limit.
	MaxRequests int
}

// ClientOptions are limits of a connection to a backend. 0 means the default.
type ClientOptions struct {
	// MaxHead is the size of a response's head in bytes: 64 KB, and never more.
	MaxHead int
	// MaxFields is the number of fields of a head: 200.
	MaxFields int
}

const (
	defaultHead    = 64 << 10
	defaultTarget  = 8 << 10
	defaultFields  = 100
	backendFields  = 200
	defaultHeader  = 10 * time.Second
	defaultIdle    = 60 * time.Second
	defaultLinger  = time.Second
	defaultGrace   = time.Second
	maxDiscard     = 64 << 10 // bytes of a body that nobody wants, to keep a connection
	maxInformation = 32       // 1xx heads before a final one
)

func or[T int | time.Duration](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

func (o ServerOptions) withDefaults() ServerOptions {
	o.MaxHead = min(or(o.MaxHead, defaultHead), defaultHead)
	o.MaxTarget = or(o.MaxTarget, defaultTarget)
	o.MaxFields = or(o.MaxFields, defaultFields)
	o.HeaderTimeout = or(o.HeaderTimeout, defaultHeader)
	o.IdleTimeout = or(o.IdleTimeout, defaultIdle)
	o.LingerTimeout = or(o.LingerTimeout, defaultLinger)
	o.DrainGrace = or(o.DrainGrace, defaultGrace)
	return o
}

func (o ServerOptions) limits() wire.Limits {
	return wire.Limits{Head: o.MaxHead, Target: o.MaxTarget, Fields: o.MaxFields}
}

func (o ClientOptions) limits() wire.Limits {
	return wire.Limits{
		Head:   min(or(o.MaxHead, defaultHead), defaultHead),
		Target: defaultTarget,
		Fields: or(o.MaxFields, backendFields),
	}
}
