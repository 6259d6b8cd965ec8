package http2

import (
	"errors"
	"math"

	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

type connState uint8

const (
	connOpen connState = iota
	// connLinger: the last has been said; what still comes is thrown away until
	// the peer closes, so that a reset does not destroy what it has not read.
	connLinger
	connClosed
)

const (
	second       = int64(1e9)
	lingerTime   = second
	lingerBytes  = 1 << 20
	never        = int64(math.MaxInt64)
	maxFragments = 16
)

// role is what differs between the two sides.
type role interface {
	// headers takes a complete header block.
	headers(id uint32, block []byte, end bool) error
	// goAway: the peer takes no streams above last.
	goAway(last uint32)
	// losing: no new streams from now on; told before those that exist are reset.
	losing()
	// turn runs at the end of every turn in which something happened.
	turn()
	// tick does what is due at now, and says when to come again.
	tick(now int64) int64
	// closed: the connection is gone, its streams too.
	closed()
}

// conn is what both sides share: input, output, flow control, settings.
type conn struct {
	loop   *evloop.Loop
	nc     evloop.Conn
	role   role
	client bool
	state  connState
	limits limits

	reader
	writer
	table
	graves graves

	// lastID is the highest stream that the initiating side has opened.
	lastID uint32
	peer   peerSettings
	// acked: the peer acknowledged our SETTINGS.
	acked      bool
	recvWindow int64 // what the peer may still send
	unacked    int64 // of it consumed and not yet given back
	resets     budget
	floods     budget

	timer     evloop.Timer
	timerAt   int64
	startedAt int64
	lastRead  int64
	pingAt    int64 // when a keep-alive PING went out that was not answered
	endAt     int64 // when lingering ends

	drainPong bool // the PING of Drain was answered
	// ended counts exchanges that ended, or limits that grew, in this turn;
	// heldHeads those that wait for the peer's SETTINGS.
	ended     int
	heldHeads int

	// again holds the streams that were resumed and have something to deliver.
	again []*h2stream
	dead  []*h2stream
	free  []*h2stream
}

// peerSettings are the peer's SETTINGS.
type peerSettings struct {
	settled         bool
	connectProtocol bool
	initialWindow   int64
	maxStreams      uint32
}

func (c *conn) init(loop *evloop.Loop, nc evloop.Conn, r role, l limits) {
	c.loop, c.nc, c.role, c.limits = loop, nc, r, l
	c.peer = peerSettings{initialWindow: defaultWindow, maxStreams: math.MaxUint32}
	c.sendWindow = defaultWindow
	c.recvWindow = l.connWindow
	c.enc.init()
	c.block.limit = l.maxHeader
	c.dec = hpack.NewDecoder(4096, c.block.emit)
	c.startedAt, c.lastRead, c.progress = loop.Now(), loop.Now(), loop.Now()
	c.timer.Func = c.onTimer
	c.wake(c.startedAt + l.settings)
	if l.keepAlive > 0 {
		c.wake(c.startedAt + l.keepAlive)
	}
	nc.Handle(c)
}

// greet sends our SETTINGS and the larger window of the connection.
func (c *conn) greet(settings ...setting) {
	c.reserve(128)
	c.out = appendSettings(c.out, settings...)
	if more := c.limits.connWindow - defaultWindow; more > 0 {
		c.out = appendWindowUpdate(c.out, 0, more)
	}
	c.schedule()
}

// Readable is told by the connection.
func (c *conn) Readable() { c.read() }

// Writable is told by the connection.
func (c *conn) Writable() {
	c.blocked = false
	c.schedule()
}

// Hangup is told by the connection: what came before it is still read.
func (c *conn) Hangup(error) {
	c.read()
	c.lost(c.lossReason())
}

// Close ends the connection at once.
func (c *conn) Close() {
	if c.state == connOpen {
		c.out = appendGoAway(c.out, c.lastFromPeer(), codeNone, "")
		if !c.blocked {
			c.write()
		}
	}
	c.lost(stream.ReasonClosed)
}

func (c *conn) lossReason() stream.Reason {
	if c.client {
		return stream.ReasonClosed
	}
	return stream.ReasonCancel // the client went away
}

// lastFromPeer is what our GOAWAY names: no stream of a server is ever taken.
func (c *conn) lastFromPeer() uint32 {
	if c.client {
		return 0
	}
	return c.lastID
}

// schedule sees to it that RunDeferred runs at the end of this turn.
func (c *conn) schedule() {
	if !c.deferred && !c.yielded && c.state != connClosed {
		c.deferred = true
		c.loop.Defer(c)
	}
}

// RunDeferred ends a turn: resumed streams get what waited for them, and all
// that is to be sent goes out.
func (c *conn) RunDeferred() {
	c.deferred = false
	if c.state == connClosed {
		c.recycle()
		return
	}
	c.deliverAgain()
	c.role.turn()
	c.flush()
	if c.held && c.pending() < outLow && c.state != connClosed {
		c.held = false
		c.read()
	}
	c.recycle()
}

// fail ends the connection because the peer broke the rules.
func (c *conn) fail(err error) {
	if c.state != connOpen {
		return
	}
	var e *connError
	if !errors.As(err, &e) {
		e = &connError{codeInternal, err.Error()}
	}
	c.count(e)
	c.reserve(128)
	c.out = appendGoAway(c.out, c.lastFromPeer(), e.code, e.why)
	if !c.blocked && c.broken == nil {
		c.write() // at once: a flood that goes on may end the linger in this turn
	}
	c.linger(stream.ReasonProtocol)
}

func (c *conn) count(e *connError) {
	switch s := c.limits.stats; {
	case e == errResets:
		s.Resets.Add(1)
	case e == errFlood:
		s.Floods.Add(1)
	case e == errHeaderFlood:
		s.HeaderFloods.Add(1)
	case e.code == codeSettingsTimeout:
		s.Stalled.Add(1)
	default:
		s.Broken.Add(1)
	}
}

// linger says nothing any more and closes when the peer has.
func (c *conn) linger(r stream.Reason) {
	if c.state != connOpen {
		return
	}
	c.state = connLinger
	c.endAt = c.loop.Now() + lingerTime
	c.wake(c.endAt)
	c.role.losing()
	c.resetAll(r)
	c.schedule()
}

// lost ends the connection without another word.
func (c *conn) lost(r stream.Reason) {
	if c.state == connClosed {
		return
	}
	if c.state == connOpen {
		c.role.losing()
	}
	c.state = connClosed
	c.nc.Close()
	c.timer.Stop()
	c.resetAll(r)
	c.dropInput()
	c.loop.Release(c.out)
	c.out, c.outStart = nil, 0
	if !c.deferred {
		c.recycle()
	}
	c.role.closed()
}

func (c *conn) resetAll(r stream.Reason) {
	for c.first != nil {
		s := c.first
		reason := r
		if c.client && c.unsent(s) {
			reason = stream.ReasonUnsent
		}
		s.vanish(causeUs, reason)
	}
}

// unsent says that no byte of the stream's head was given to the socket.
func (c *conn) unsent(s *h2stream) bool { return s.id == 0 || c.flushed <= s.headAt }

// wake sees to it that onTimer runs at that time or before.
func (c *conn) wake(at int64) {
	if c.timer.Armed() && c.timerAt <= at {
		return
	}
	c.timerAt = at
	c.loop.After(at-c.loop.Now(), &c.timer)
}

func (c *conn) onTimer() {
	now := c.loop.Now()
	if c.state == connLinger {
		if now >= c.endAt {
			c.lost(stream.ReasonClosed)
			return
		}
		c.wake(c.endAt)
		return
	}
	next := min(c.checkSettings(now), c.checkWrites(now), c.checkPeer(now), c.role.tick(now))
	if c.state == connOpen && next != never {
		c.wake(next)
	}
}

func (c *conn) checkSettings(now int64) int64 {
	if c.acked && c.peer.settled {
		return never
	}
	due := c.startedAt + c.limits.settings
	if now < due {
		return due
	}
	c.fail(&connError{codeSettingsTimeout, "no SETTINGS or no acknowledgement of ours"})
	return never
}

func (c *conn) checkWrites(now int64) int64 {
	if !c.blocked || c.pending() == 0 {
		return never
	}
	due := c.progress + c.limits.write
	if now < due {
		return due
	}
	c.limits.stats.Stalled.Add(1)
	c.lost(stream.ReasonTimeout)
	return never
}

// checkPeer finds out whether a silent peer is alive.
func (c *conn) checkPeer(now int64) int64 {
	l := &c.limits
	if l.keepAlive == 0 || c.state != connOpen {
		return never
	}
	if c.pingAt != 0 {
		due := c.pingAt + l.keepAliveTimeout
		if now < due {
			return due
		}
		l.stats.Stalled.Add(1)
		c.lost(stream.ReasonTimeout)
		return never
	}
	due := c.lastRead + l.keepAlive
	if now < due || c.active == 0 {
		return max(due, now+l.keepAlive/4)
	}
	c.pingAt = now
	c.out = appendPing(c.out, 0, []byte("tatamika"))
	c.schedule()
	return now + l.keepAliveTimeout
}

// decode reads a header block into head.
func (c *conn) decode(p []byte, head *message.Head, kind blockKind) error {
	c.block.start(head, kind)
	_, err := c.dec.Write(p)
	if closeErr := c.dec.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return &connError{codeCompression, err.Error()}
	}
	return nil
}

// skip reads a header block of a stream that nobody wants, for the table's sake.
func (c *conn) skip(p []byte) error { return c.decode(p, &c.scratch, trailerBlock) }

// cheap charges the peer for a frame that costs it nothing.
func (c *conn) cheap(n int64) error {
	if !c.floods.spend(c.loop.Now(), n, c.limits.floods) {
		return errFlood
	}
	return nil
}

// early charges the peer for a stream that ends before its time; nil: one that
// is gone already. After a second it is no attack but impatience, and streams
// that end well pay for as many that do not.
func (c *conn) early(s *h2stream) error {
	if s != nil && c.loop.Now()-s.openedAt > second {
		return nil
	}
	if !c.resets.spend(c.loop.Now(), 1, c.limits.resets) {
		return errResets
	}
	return nil
}

var (
	errResets      = &connError{codeEnhanceYourCalm, "too many streams that end early"}
	errFlood       = &connError{codeEnhanceYourCalm, "too many frames without use"}
	errHeaderFlood = &connError{codeEnhanceYourCalm, "header block without end"}
)

// streamError resets a stream because the peer broke the rules of streams. s
// may be nil when it is gone already.
func (c *conn) streamError(id uint32, s *h2stream, code errCode) error {
	c.limits.stats.Malformed.Add(1)
	c.reserve(16)
	c.out = appendRSTStream(c.out, id, code)
	c.schedule()
	if s != nil {
		s.vanish(causeUs, stream.ReasonProtocol)
	}
	if c.state != connOpen {
		return nil
	}
	// MadeYouReset: the work of a stream that we reset is wasted as well.
	return c.early(s)
}

// newStream takes a stream from the pool.
func (c *conn) newStream(id uint32) *h2stream {
	var s *h2stream
	if n := len(c.free); n > 0 {
		s = c.free[n-1]
		c.free[n-1] = nil
		c.free = c.free[:n-1]
	} else {
		s = &h2stream{c: c}
	}
	s.id = id
	s.openedAt = c.loop.Now()
	s.sendWindow = c.peer.initialWindow
	s.recvWindow = c.limits.streamWindow
	s.bodyLeft = message.LengthUnknown
	c.add(s)
	return s
}

// recycle makes the streams that ended in this turn available again. Until then
// a call that comes too late finds them dead, and their heads can be read.
func (c *conn) recycle() {
	for i, s := range c.dead {
		c.dead[i] = nil
		if len(c.free) < maxFree && c.state == connOpen {
			s.recycle()
			c.free = append(c.free, s)
		}
	}
	c.dead = c.dead[:0]
}

const maxFree = 128
