package upstream

import (
	"errors"
	"slices"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// The reasons for which no connection is given.
var (
	ErrPending = errors.New("too many requests wait for a connection")
	ErrClosed  = errors.New("the endpoint was removed")
	ErrConnect = errors.New("cannot connect")
	ErrTimeout = errors.New("connecting took too long")
)

// Waiter is told when a connection is there.
type Waiter interface {
	// ConnReady gives a connection with room; Open must be called at once.
	ConnReady(c stream.Client)
	// ConnFailed says that there will be none.
	ConnFailed(err error)
}

// Wait is a waiter's place in the queue; the zero value is in no queue. It lies
// within the waiter, so that queueing allocates nothing.
type Wait struct {
	Waiter     Waiter
	pool       *Pool
	next, prev *Wait
}

// Cancel leaves the queue, if it is in one.
func (w *Wait) Cancel() {
	if w.pool != nil {
		w.pool.unlink(w)
	}
}

// Limits are counted over all loops; a Pool asks them before it connects or lets
// anybody wait.
type Limits interface {
	TryConn() bool
	ConnClosed()
	TryPending() bool
	PendingDone()
}

// Pool is the connections of one loop to one endpoint.
type Pool struct {
	loop   *evloop.Loop
	target *Target
	limits Limits

	// ready have room, the most recently used last: that one's path is warm, and
	// the others can grow old and be closed.
	ready []readyConn
	// clients are those that are established, with the number of requests that
	// they were given where that is limited; dialing counts those that are not yet.
	clients map[stream.Client]int
	dialing int
	waiting int
	first   *Wait
	last    *Wait
	// http2 is known after the first connection where it is negotiated.
	http2  tristate
	closed bool
}

type readyConn struct {
	client stream.Client
	since  int64
}

type tristate uint8

const (
	unknown tristate = iota
	no
	yes
)

// NewPool makes an empty pool.
func NewPool(loop *evloop.Loop, target *Target, limits Limits) *Pool {
	p := &Pool{loop: loop, target: target, limits: limits, clients: map[stream.Client]int{}}
	switch target.Protocol {
	case HTTP1:
		p.http2 = no
	case HTTP2:
		p.http2 = yes
	default:
		if target.TLS == nil {
			p.http2 = no
		}
	}
	return p
}

// Retarget changes how further connections are made. Those that were made the old
// way are closed when they are idle.
func (p *Pool) Retarget(target *Target) {
	p.target = target
	p.drainAll()
}

// Get returns a connection with room, or nil: then w waits for one, and is told,
// perhaps before Get returns only if it cannot wait: the error says so.
func (p *Pool) Get(w *Wait) (stream.Client, error) {
	for n := len(p.ready); n > 0; n = len(p.ready) {
		c := p.ready[n-1].client
		room := c.Room()
		worn := room > 0 && p.give(c)
		if room <= 1 || worn || p.http2 != yes {
			p.ready[n-1] = readyConn{}
			p.ready = p.ready[:n-1]
		} else {
			p.ready[n-1].since = p.loop.Now()
		}
		if room > 0 {
			return c, nil
		}
	}
	if p.closed {
		return nil, ErrClosed
	}
	if !p.limits.TryPending() {
		return nil, ErrPending
	}
	p.link(w)
	if err := p.grow(); err != nil {
		w.Cancel()
		return nil, err
	}
	return nil, nil //nolint:nilnil // nil means: wait
}

// grow connects if those that wait need more connections than are being made.
func (p *Pool) grow() error {
	want := p.waiting
	if p.http2 != no {
		// One connection carries many requests; and before it is known which
		// protocol it will be, one finds out.
		want = min(want, 1)
	}
	for p.dialing < want {
		if !p.limits.TryConn() {
			if len(p.clients)+p.dialing > 0 {
				return nil // one of those will be free some day
			}
			return ErrPending
		}
		p.dialing++
		if err := p.dial(); err != nil {
			p.dialing--
			p.limits.ConnClosed()
			return errors.Join(ErrConnect, err)
		}
	}
	return nil
}

// established takes over a connection that was dialled.
func (p *Pool) established(c stream.Client, http2 bool) {
	p.dialing--
	p.clients[c] = 0
	p.http2 = no
	if http2 {
		p.http2 = yes
	}
	p.ClientRoom(c)
	if p.waiting > 0 {
		_ = p.grow()
	}
}

// failed ends a dial. Everybody who waits hears of it: each decides for itself
// whether to try elsewhere.
func (p *Pool) failed(err error) {
	p.dialing--
	p.limits.ConnClosed()
	if p.dialing > 0 && p.http2 == no {
		p.failOne(err)
		return
	}
	p.failAll(err)
}

func (p *Pool) failOne(err error) {
	if w := p.first; w != nil {
		p.unlink(w)
		w.Waiter.ConnFailed(err)
	}
}

func (p *Pool) failAll(err error) {
	// Only those that are there now: who fails may come back at once.
	for n := p.waiting; n > 0 && p.first != nil; n-- {
		p.failOne(err)
	}
}

// ClientRoom gives the connection to those that wait, or keeps it.
func (p *Pool) ClientRoom(c stream.Client) {
	worn := p.worn(c)
	for p.first != nil && c.Room() > 0 && !worn {
		w := p.first
		p.unlink(w)
		worn = p.give(c)
		w.Waiter.ConnReady(c)
	}
	if c.Room() <= 0 {
		return
	}
	if p.closed || worn {
		c.Drain()
		return
	}
	if p.http2 == yes {
		if i := p.index(c); i >= 0 {
			p.ready[i].since = p.loop.Now()
			return
		}
	}
	p.ready = append(p.ready, readyConn{client: c, since: p.loop.Now()})
}

// give counts a request that c is given, and says whether it was its last.
func (p *Pool) give(c stream.Client) (worn bool) {
	if p.target.MaxRequests > 0 {
		p.clients[c]++
	}
	return p.worn(c)
}

// worn says that c has had as many requests as it may.
func (p *Pool) worn(c stream.Client) bool {
	limit := p.target.MaxRequests
	return limit > 0 && p.clients[c] >= limit
}

// ClientGone forgets a connection.
func (p *Pool) ClientGone(c stream.Client) {
	if i := p.index(c); i >= 0 {
		p.ready = slices.Delete(p.ready, i, i+1)
	}
	delete(p.clients, c)
	p.limits.ConnClosed()
	if p.waiting > 0 {
		if err := p.grow(); err != nil {
			p.failAll(err)
		}
	}
}

// index finds a connection among those that are ready, from the end, where it
// most often is; -1 when it is not.
func (p *Pool) index(c stream.Client) int {
	for i, r := range slices.Backward(p.ready) {
		if r.client == c {
			return i
		}
	}
	return -1
}

// Expire closes connections that nobody used for idle nanoseconds.
func (p *Pool) Expire(now, idle int64) {
	var old []stream.Client
	p.ready = slices.DeleteFunc(p.ready, func(r readyConn) bool {
		expired := now-r.since > idle && r.client.Active() == 0
		if expired {
			old = append(old, r.client)
		}
		return expired
	})
	for _, c := range old {
		c.Drain()
	}
}

// Close takes no more requests. Those that wait are served, for they chose the
// endpoint while it was there; idle connections end now, others with their last
// request.
func (p *Pool) Close() {
	p.closed = true
	p.drainAll()
}

// Distrust closes the idle connections, of which one was found dead.
func (p *Pool) Distrust() {
	old := p.ready
	p.ready = nil
	for _, r := range old {
		r.client.Drain()
	}
}

// drainAll lets all connections end, also those that are busy now.
func (p *Pool) drainAll() {
	p.ready = nil
	for c := range p.clients {
		c.Drain() // and perhaps it is gone from the map
	}
}

func (p *Pool) link(w *Wait) {
	w.pool, w.prev, w.next = p, p.last, nil
	if p.last != nil {
		p.last.next = w
	} else {
		p.first = w
	}
	p.last = w
	p.waiting++
}

func (p *Pool) unlink(w *Wait) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		p.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		p.last = w.prev
	}
	w.pool, w.next, w.prev = nil, nil, nil
	p.waiting--
	p.limits.PendingDone()
}
