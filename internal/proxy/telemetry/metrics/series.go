package metrics

import "sync/atomic"

const bounds = 14

// latencyBounds are the upper ends of the buckets of request durations, in
// nanoseconds: 0.5 ms to 60 s, about two per decade more than a power of ten.
//
//nolint:gochecknoglobals // a table that nobody writes
var latencyBounds = [bounds]int64{
	500e3, 1e6, 2500e3, 5e6, 10e6, 25e6, 50e6, 100e6, 250e6, 500e6, 1e9, 2500e6, 10e9, 60e9,
}

// lagBounds are those of the time that an event loop was late.
//
//nolint:gochecknoglobals // a table that nobody writes
var lagBounds = [bounds]int64{
	10e3, 25e3, 50e3, 100e3, 250e3, 500e3, 1e6, 2500e3, 5e6, 10e6, 25e6, 100e6, 500e6, 2500e6,
}

// histogram fills two cache lines exactly, and the allocator aligns it to them:
// two loops never write to the same line. The last bucket has no bound.
type histogram struct {
	buckets [bounds + 1]atomic.Uint64
	sum     atomic.Uint64 // nanoseconds
}

func (h *histogram) observe(limits *[bounds]int64, nanos int64) {
	i := 0
	for i < bounds && nanos > limits[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(uint64(max(nanos, 0)))
}

// Series counts the requests of one set of labels in one shard. It is safe for
// use by several goroutines, and fast when one of them does most of the writing.
type Series struct {
	// rows by code: one addition counts a request for its code and its latency at
	// once. A row comes into being with the first request of its code.
	rows     [codeValues]atomic.Pointer[histogram]
	bytesIn  atomic.Uint64
	bytesOut atomic.Uint64
	retries  atomic.Uint64
	_        [6]uint64 // four cache lines, shared with no other shard
}

// Request counts one request that is over. Its latency is in nanoseconds, the
// sizes of its bodies in bytes. It takes two atomic additions, and one more for
// each direction that had a body.
func (s *Series) Request(code Code, latencyNanos, bytesIn, bytesOut int64) {
	if int(code) >= codeValues {
		code = CodeNone
	}
	row := s.rows[code].Load()
	if row == nil {
		row = s.addRow(code)
	}
	row.observe(&latencyBounds, latencyNanos)
	if bytesIn > 0 {
		s.bytesIn.Add(uint64(bytesIn))
	}
	if bytesOut > 0 {
		s.bytesOut.Add(uint64(bytesOut))
	}
}

// Retry counts that a request was sent again.
func (s *Series) Retry() { s.retries.Add(1) }

// addRow lets the first writer win.
func (s *Series) addRow(code Code) *histogram {
	row := new(histogram)
	if s.rows[code].CompareAndSwap(nil, row) {
		return row
	}
	return s.rows[code].Load()
}

// Cluster counts what happens to one destination service in one shard.
type Cluster struct {
	ejections, opened, closed, connectFailures atomic.Uint64
	rejections, pendingIn, pendingOut          atomic.Uint64
	_                                          uint64 // one cache line
}

// Eject counts that an endpoint was taken out for its failures.
func (c *Cluster) Eject() { c.ejections.Add(1) }

// Open counts an upstream connection that was made, Close its end; ConnectFailure
// one that did not come about.
func (c *Cluster) Open() { c.opened.Add(1) }

// Close counts the end of an upstream connection.
func (c *Cluster) Close() { c.closed.Add(1) }

// ConnectFailure counts a connection that did not come about.
func (c *Cluster) ConnectFailure() { c.connectFailures.Add(1) }

// Reject counts a request that the cluster's limits refused.
func (c *Cluster) Reject() { c.rejections.Add(1) }

// Wait counts a request that begins to wait for a connection, Resume its end.
func (c *Cluster) Wait() { c.pendingIn.Add(1) }

// Resume ends what Wait began, however it ended.
func (c *Cluster) Resume() { c.pendingOut.Add(1) }

// Listener counts the connections of one listener in one shard.
type Listener struct {
	opened, closed, refused, handshakes, handshakeFailures atomic.Uint64
	_                                                      [3]uint64 // one cache line
}

// Open counts a connection that was accepted, Close its end.
func (l *Listener) Open() { l.opened.Add(1) }

// Close counts the end of an accepted connection.
func (l *Listener) Close() { l.closed.Add(1) }

// Refuse counts a connection that was closed at once because of a limit.
func (l *Listener) Refuse() { l.refused.Add(1) }

// Handshake counts a TLS handshake that succeeded or not.
func (l *Listener) Handshake(ok bool) {
	if ok {
		l.handshakes.Add(1)
		return
	}
	l.handshakeFailures.Add(1)
}
