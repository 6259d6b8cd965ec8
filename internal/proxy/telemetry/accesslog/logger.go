package accesslog

import (
	"context"
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/chunks"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
)

// Each event loop holds at most chunkCount chunks that are not written yet.
const (
	chunkSize  = 64 << 10
	chunkCount = 4
	interval   = 200 * time.Millisecond
)

// Logger is the access log of a proxy.
type Logger struct {
	pump     *chunks.Pump
	settings atomic.Uint32
	failures atomic.Uint64
}

// New starts a log that writes to w, in lines of w's own: each Write holds whole
// lines. An error of w loses that chunk and is counted.
func New(w io.Writer, settings connect.AccessLog) *Logger {
	l := &Logger{}
	l.Set(settings)
	l.pump = chunks.Start(chunks.Options{
		Size: chunkSize, Count: chunkCount, Interval: interval,
		Write: func(_ context.Context, c chunks.Chunk) {
			if _, err := w.Write(c.Bytes); err != nil {
				l.failures.Add(uint64(c.Items))
			}
		},
	})
	return l
}

// Set changes what is logged, from the next request on.
func (l *Logger) Set(s connect.AccessLog) { l.settings.Store(pack(s)) }

const queryBit = 1 << 16

func pack(s connect.AccessLog) uint32 {
	n := uint32(s.Mode) | uint32(s.Format)<<8
	if s.Query {
		n |= queryBit
	}
	return n
}

func unpack(n uint32) connect.AccessLog {
	return connect.AccessLog{Mode: connect.LogMode(n), Format: connect.LogFormat(n >> 8), Query: n&queryBit != 0}
}

// Counts are the lines that were queued, those that found no room, and those that
// could not be written.
func (l *Logger) Counts() (lines, dropped, failed uint64) {
	lines, dropped = l.pump.Counts()
	return lines, dropped, l.failures.Load()
}

// Close writes what is queued and ends the goroutine, or gives up with ctx.
func (l *Logger) Close(ctx context.Context) error { return l.pump.Close(ctx) }

// Shard is the log of one event loop; other goroutines may use it too.
type Shard struct {
	logger *Logger
	queue  *chunks.Queue
	clock  clock // guarded by the queue's lock
}

// Shard makes the log of one more event loop.
func (l *Logger) Shard() *Shard { return &Shard{logger: l, queue: l.pump.Queue()} }

// Log writes a line if the settings ask for one. The request took so many
// nanoseconds.
func (s *Shard) Log(r *record.Record, durationNanos int64) {
	settings := unpack(s.logger.settings.Load())
	if settings.Mode == connect.LogOff || settings.Mode == connect.LogErrors && !r.Failed() {
		return
	}
	line := s.queue.Begin()
	e := entry{Record: r, time: s.clock.format(r.Start), path: path(r.Path, settings.Query), duration: durationNanos}
	if settings.Format == connect.LogText {
		line = appendText(line, &e)
	} else {
		line = appendJSON(line, &e)
	}
	s.queue.End(line)
}

// entry is a record and what a line derives from it.
type entry struct {
	*record.Record
	time     []byte
	path     string
	duration int64
}

// appendClient writes an address without its zone: that may hold any characters
// when the address came from a header.
func appendClient(b []byte, a netip.AddrPort) []byte {
	if a.Addr().Zone() != "" {
		a = netip.AddrPortFrom(a.Addr().WithZone(""), a.Port())
	}
	return a.AppendTo(b)
}

func path(p string, query bool) string {
	if query {
		return p
	}
	for i := range len(p) {
		if p[i] == '?' {
			return p[:i]
		}
	}
	return p
}

// clock formats times in UTC and formats a second only once.
type clock struct {
	second int64
	text   [len(layout) + len(".000Z")]byte
	valid  bool
}

const layout = "2006-01-02T15:04:05"

// format is valid until the next call.
func (c *clock) format(unixNanos int64) []byte {
	unixNanos = max(unixNanos, 0)
	second := unixNanos / int64(time.Second)
	if !c.valid || second != c.second {
		time.Unix(second, 0).UTC().AppendFormat(c.text[:0], layout)
		c.second, c.valid = second, true
	}
	ms := int(unixNanos / int64(time.Millisecond) % 1000)
	rest := c.text[len(layout):]
	rest[0], rest[1], rest[2], rest[3], rest[4] = '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z'
	return c.text[:]
}
