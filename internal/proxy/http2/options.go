package http2

import (
	"cmp"
	"sync/atomic"
	"time"
)

// ServerOptions are limits of connections from clients; zero means the default.
type ServerOptions struct {
	// MaxStreams is SETTINGS_MAX_CONCURRENT_STREAMS; 128.
	MaxStreams int
	// MaxHeaderBytes bounds a decoded header list, counted as RFC 9113 section
	// 6.5.2 does; 64 KiB. More is answered with 431.
	MaxHeaderBytes int
	// StreamWindow and ConnWindow are how much a client may send ahead; 256 KiB
	// and 1 MiB, at least 65,535 bytes. The latter bounds what is buffered.
	StreamWindow int
	ConnWindow   int
	// MaxRequests drains the connection after so many; 0: never.
	MaxRequests int
	// IdleTimeout drains a connection without streams; 0: never.
	IdleTimeout time.Duration
	// SettingsTimeout is for the preface and the acknowledgement of ours; 10 s.
	SettingsTimeout time.Duration
	// WriteTimeout closes a connection whose peer takes nothing; 30 s.
	WriteTimeout time.Duration
	// KeepAlive sends a PING when nothing came for so long and streams are open
	// (0: never), and closes when nothing came in KeepAliveTimeout after; 10 s.
	KeepAlive        time.Duration
	KeepAliveTimeout time.Duration
	// Resets bounds the streams that end in their first second by the client's
	// doing: reset by it, or by us because it broke the protocol; 500, and 50 more
	// per second, and one for each that ends well.
	Resets Budget
	// Floods bounds frames that cost it nothing, beyond some for each request and
	// each frame of data: SETTINGS, PING, WINDOW_UPDATE, PRIORITY, empty DATA, unknown ones;
	// 2,000, and 500 more per second.
	Floods Budget
	// Stats counts what was defended against; nil: nobody wants to know.
	Stats *Stats
}

// Budget is a bucket that holds Burst events and gets PerSecond more.
type Budget struct {
	Burst     int
	PerSecond int
}

// ClientOptions are limits of connections to backends; zero means the default.
type ClientOptions struct {
	// MaxStreams caps what the backend allows; 128.
	MaxStreams int
	// MaxHeaderBytes, StreamWindow, ConnWindow, SettingsTimeout, WriteTimeout,
	// KeepAlive and KeepAliveTimeout are as in ServerOptions.
	MaxHeaderBytes   int
	StreamWindow     int
	ConnWindow       int
	SettingsTimeout  time.Duration
	WriteTimeout     time.Duration
	KeepAlive        time.Duration
	KeepAliveTimeout time.Duration
	// Stats counts what was defended against; nil: nobody wants to know.
	Stats *Stats
}

// Stats counts attacks that were cut and other misbehaviour. Any goroutine may
// read it; several connections may share it.
type Stats struct {
	// Resets: connections ended because the budget of resets was used up
	// (CVE-2023-44487, CVE-2025-8671).
	Resets atomic.Uint64
	// Floods: connections ended because of frames that cost the peer nothing.
	Floods atomic.Uint64
	// HeaderFloods: connections ended because of a header block without end
	// (CVE-2024-27316).
	HeaderFloods atomic.Uint64
	// TooLarge: header lists over the limit.
	TooLarge atomic.Uint64
	// Malformed: streams reset because their messages were malformed.
	Malformed atomic.Uint64
	// Refused: streams over the limit of concurrent ones.
	Refused atomic.Uint64
	// Stalled: connections closed because the peer did not read, did not answer
	// a PING, or did not acknowledge SETTINGS.
	Stalled atomic.Uint64
	// Broken: connections ended for any other breach of the protocol.
	Broken atomic.Uint64
}

// limits are options with their defaults filled in, times in nanoseconds.
type limits struct {
	maxStreams, maxHeader, maxRequests int
	streamWindow, connWindow           int64
	idle, settings, write              int64
	keepAlive, keepAliveTimeout        int64
	resets, floods                     Budget
	stats                              *Stats
}

func (o *ServerOptions) limits() limits {
	return limits{
		maxStreams:       cmp.Or(o.MaxStreams, 128),
		maxHeader:        cmp.Or(o.MaxHeaderBytes, 64<<10),
		maxRequests:      o.MaxRequests,
		streamWindow:     window(o.StreamWindow, 256<<10),
		connWindow:       window(o.ConnWindow, 1<<20),
		idle:             int64(o.IdleTimeout),
		settings:         int64(cmp.Or(o.SettingsTimeout, 10*time.Second)),
		write:            int64(cmp.Or(o.WriteTimeout, 30*time.Second)),
		keepAlive:        int64(o.KeepAlive),
		keepAliveTimeout: int64(cmp.Or(o.KeepAliveTimeout, 10*time.Second)),
		resets:           cmp.Or(o.Resets, Budget{Burst: 500, PerSecond: 50}),
		floods:           cmp.Or(o.Floods, Budget{Burst: 2000, PerSecond: 500}),
		stats:            cmp.Or(o.Stats, new(Stats)),
	}
}

func (o *ClientOptions) limits() limits {
	s := ServerOptions{
		MaxStreams: o.MaxStreams, MaxHeaderBytes: o.MaxHeaderBytes,
		StreamWindow: o.StreamWindow, ConnWindow: o.ConnWindow,
		SettingsTimeout: o.SettingsTimeout, WriteTimeout: o.WriteTimeout,
		KeepAlive: o.KeepAlive, KeepAliveTimeout: o.KeepAliveTimeout,
		Stats: o.Stats,
	}
	return s.limits()
}

// window is at least what the peer may use before it has read our SETTINGS.
func window(bytes, standard int) int64 {
	return min(max(int64(cmp.Or(bytes, standard)), defaultWindow), maxWindow)
}

// budget is the level of a bucket.
type budget struct {
	level int64
	at    int64 // when it leaked last
}

// spend adds n and reports whether that is within the budget.
func (b *budget) spend(now, n int64, limit Budget) bool {
	if leaked := (now - b.at) / 1e6 * int64(limit.PerSecond) / 1000; leaked > 0 {
		b.level = max(b.level-leaked, 0)
		b.at = now
	}
	b.level += n
	return b.level <= int64(limit.Burst)
}

// earn takes off n for work that was done.
func (b *budget) earn(n int64) { b.level = max(b.level-n, 0) }
