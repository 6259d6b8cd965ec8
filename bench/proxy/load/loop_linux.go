package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// loop is one thread that waits on all connections at once: on a small machine
// the client must leave the cores to what is measured.
type loop struct {
	h    HTTP1
	p    Plan
	addr unix.Sockaddr

	epoll, timer int
	conns        map[int32]*conn
	buf          []byte

	base    time.Time
	counts  bool // whether requests are measured, after each connection had one
	asked   int
	warm    int
	latency []time.Duration

	// At a rate: connections without a request, and when the next one is due.
	idle     []*conn
	due      time.Duration
	interval *rand.Rand
}

// conn is one connection; began is when its request was sent, or was due.
type conn struct {
	fd       int
	in       response
	began    time.Duration
	answered bool
}

func (h HTTP1) plain(ctx context.Context, addr string, p Plan) (_ Result, err error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || !ap.Addr().Is4() {
		return Result{}, fmt.Errorf("%s: an IPv4 address and a port are needed", addr)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &loop{
		h: h, p: p, addr: &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()},
		conns: map[int32]*conn{}, buf: make([]byte, 128<<10), base: time.Now(), timer: -1,
		latency:  make([]time.Duration, 0, p.Requests),
		interval: rand.New(rand.NewPCG(1, 2)), // the same moments for every server
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return Result{}, err
	}
	defer l.close()
	for range p.Connections {
		if err := l.open(&conn{}); err != nil {
			return Result{}, err
		}
	}
	if err := l.wait(ctx, func() bool { return l.warm == p.Connections }); err != nil {
		return Result{}, err
	}
	if err := l.start(); err != nil {
		return Result{}, err
	}
	if err := l.wait(ctx, func() bool { return len(l.latency) == l.p.Requests }); err != nil {
		return Result{}, err
	}
	return newResult(l.now(), l.latency), nil
}

func (l *loop) now() time.Duration { return time.Since(l.base) }

func (l *loop) close() {
	for _, c := range l.conns {
		_ = unix.Close(c.fd)
	}
	if l.timer >= 0 {
		_ = unix.Close(l.timer)
	}
	_ = unix.Close(l.epoll)
}

// start begins to count, with all connections up.
func (l *loop) start() error {
	if err := l.p.begin(); err != nil {
		return err
	}
	l.counts, l.asked, l.base = true, 0, time.Now()
	if l.p.Rate > 0 {
		return l.startRate()
	}
	idle := l.idle
	l.idle = nil
	for _, c := range idle {
		if err := l.next(c); err != nil {
			return err
		}
	}
	return nil
}

// startRate makes the timer that says when requests are due.
func (l *loop) startRate() (err error) {
	// The kernel may otherwise be 50 microseconds late.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("timer slack: %w", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.timer)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.timer, &event); err != nil {
		return err
	}
	l.advance()
	return l.arm()
}

// advance moves to when the next request is due.
func (l *loop) advance() {
	l.due += time.Duration(l.interval.ExpFloat64() / l.p.Rate * float64(time.Second))
}

func (l *loop) arm() error {
	until := max(l.due-l.now(), time.Nanosecond)
	return unix.TimerfdSettime(l.timer, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(until))}, nil)
}

// open connects, which on loopback does not wait, and sends the first request.
func (l *loop) open(c *conn) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c.fd, c.answered = fd, false
	l.conns[int32(fd)] = c
	began := l.now()
	if err := unix.Connect(fd, l.addr); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return err
	}
	return l.send(c, began)
}

func (l *loop) send(c *conn, began time.Duration) error {
	request := l.h.Requests[l.asked%len(l.h.Requests)]
	l.asked++
	c.began = began
	if n, err := unix.Write(c.fd, request); err != nil || n < len(request) {
		return fmt.Errorf("asking, %d of %d bytes: %w", n, len(request), err)
	}
	return nil
}

// wait handles events until done says so.
func (l *loop) wait(ctx context.Context, done func() bool) error {
	events := make([]unix.EpollEvent, 256)
	last := time.Now()
	for !done() {
		n, err := unix.EpollWait(l.epoll, events, 200)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		l.heed()
		if n > 0 {
			last = time.Now()
		} else if time.Since(last) > stall {
			return fmt.Errorf("no answer for %s, after %d", stall, len(l.latency))
		}
		for _, event := range events[:max(n, 0)] {
			if err := l.handle(event.Fd); err != nil {
				return err
			}
		}
	}
	return nil
}

// heed ends the run when its event is there: what was asked is all there is.
func (l *loop) heed() {
	if !l.counts {
		return
	}
	select {
	case <-l.p.Until:
		l.p.Requests = min(l.p.Requests, l.asked)
	default:
	}
}

func (l *loop) handle(fd int32) error {
	if int(fd) == l.timer {
		return l.tick()
	}
	c := l.conns[fd]
	if c == nil {
		return nil
	}
	for {
		n, err := unix.Read(c.fd, l.buf)
		switch {
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
			return nil
		case err != nil:
			return fmt.Errorf("reading the answer: %w", err)
		case n == 0:
			return l.closed(c)
		}
		done, err := c.in.feed(l.buf[:n], l.h.BodyBytes)
		if err != nil {
			return err
		}
		if done {
			return l.answered(c)
		}
		if n < len(l.buf) {
			return nil
		}
	}
}

// tick sends what is due; without an idle connection it waits for one, and the
// wait counts.
func (l *loop) tick() error {
	var expirations [8]byte
	if _, err := unix.Read(l.timer, expirations[:]); err != nil && !errors.Is(err, unix.EAGAIN) {
		return err
	}
	return l.sendDue()
}

func (l *loop) sendDue() error {
	for l.due <= l.now() && l.asked < l.p.Requests {
		if len(l.idle) == 0 {
			return nil // the next answer comes back here
		}
		// The one that has been idle for longest, so that all are used.
		c := l.idle[0]
		l.idle = l.idle[1:]
		if err := l.send(c, l.due); err != nil {
			return err
		}
		l.advance()
	}
	if l.asked < l.p.Requests {
		return l.arm()
	}
	return nil
}

// answered notes the time and goes on with the connection.
func (l *loop) answered(c *conn) error {
	if l.counts {
		l.latency = append(l.latency, l.now()-c.began)
	} else {
		l.warm++
	}
	if l.h.Close {
		c.answered = true // the server closes now
		return nil
	}
	if l.counts && l.p.Rate == 0 {
		return l.next(c)
	}
	l.idle = append(l.idle, c)
	if l.counts && l.due <= l.now() {
		return l.sendDue()
	}
	return nil
}

// next asks again on a connection, if anything is left to ask.
func (l *loop) next(c *conn) error {
	if l.asked >= l.p.Requests {
		return nil
	}
	if l.h.Close {
		return l.open(c)
	}
	return l.send(c, l.now())
}

// closed is right only where each request has its own connection.
func (l *loop) closed(c *conn) error {
	delete(l.conns, int32(c.fd))
	_ = unix.Close(c.fd)
	if !c.answered {
		return errors.New("the server closed a connection without an answer")
	}
	if l.counts {
		return l.next(c)
	}
	l.idle = append(l.idle, c)
	return nil
}
