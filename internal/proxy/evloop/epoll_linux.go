package evloop

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	maxEvents = 1024
	// acceptBatch bounds how many connections are accepted in one turn, so that
	// a flood of new ones does not starve those that exist.
	acceptBatch = 64
	watched     = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
)

// epoll is the native poller. A file descriptor is registered once, for both
// directions and at edges, and never touched again: reading and writing are the
// only system calls of a connection's life.
type epoll struct {
	loop  *Loop
	fd    int
	waker int
	woken atomic.Bool
	// mu keeps wake from writing to a descriptor that was closed, and is another's.
	mu     sync.Mutex
	gone   bool
	events [maxEvents]unix.EpollEvent
	// files by descriptor. An event carries the generation of its file, since a
	// descriptor may be closed and used again within one turn.
	files []file
}

type file struct {
	gen uint32
	on  interface{ ready(events uint32) }
}

func newPoller(l *Loop, kind Kind) (poller, error) {
	if kind == Portable {
		return newPortable(l), nil
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &epoll{loop: l, fd: fd, waker: waker}
	if err := p.register(waker, unix.EPOLLIN, p); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *epoll) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	_ = unix.Close(p.waker)
	_ = unix.Close(p.fd)
}

func (p *epoll) wake() {
	if p.woken.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return
	}
	one := [8]byte{1} // of a counter: any value but 0 in any byte order
	_, _ = unix.Write(p.waker, one[:])
}

// ready is the eventfd: somebody called wake.
func (p *epoll) ready(uint32) {
	var count [8]byte
	_, _ = unix.Read(p.waker, count[:])
	p.woken.Store(false)
}

func (p *epoll) register(fd int, events uint32, on interface{ ready(uint32) }) error {
	for fd >= len(p.files) {
		p.files = append(p.files, make([]file, 64)...)
	}
	f := &p.files[fd]
	f.gen++
	f.on = on
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: int32(f.gen)}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		f.on = nil
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// forget is called before a descriptor is closed, which unregisters it.
func (p *epoll) forget(fd int) {
	p.files[fd].on = nil
	p.files[fd].gen++
}

func (p *epoll) wait(wait int64) error {
	n, err := p.poll(wait)
	p.loop.now = Clock()
	if n < maxEvents {
		p.loop.drained = p.loop.now
	}
	if err != nil {
		return err
	}
	for i := range n {
		ev := &p.events[i]
		f := &p.files[ev.Fd]
		if f.on != nil && f.gen == uint32(ev.Pad) {
			f.on.ready(ev.Events)
		}
	}
	return nil
}

// patience is how long a loop waits without telling the scheduler, in ms.
//
// A wait that the scheduler knows of costs more than it seems: after 20 us the
// runtime's monitor gives the processor to another thread, and because it found
// something to do it looks again every 20 us. That was 15 % of all time under
// load. A wait that it does not know of keeps the processor, for which Group makes
// room, and is left for the other kind as soon as nothing happens.
const patience = 2

func (p *epoll) poll(wait int64) (int, error) {
	msec := int64(-1)
	if wait >= 0 {
		msec = (wait + 999_999) / 1_000_000
	}
	quick := int64(patience)
	if msec >= 0 {
		quick = min(msec, patience)
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.fd),
		uintptr(unsafe.Pointer(&p.events[0])), maxEvents, uintptr(quick), 0, 0) //nolint:gosec // the kernel fills it during the call
	if errno == 0 && n > 0 {
		return int(n), nil
	}
	if errno == syscall.EINTR || quick == msec {
		return 0, nil
	}
	got, err := unix.EpollWait(p.fd, p.events[:], int(max(msec-quick, -1)))
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("epoll_wait: %w", err)
	}
	return got, nil
}

func (p *epoll) adopt(c net.Conn) (Conn, error) {
	local, remote := c.LocalAddr(), c.RemoteAddr()
	fd, err := duplicate(c)
	_ = c.Close()
	if err != nil {
		return nil, fmt.Errorf("adopt: %w", err)
	}
	conn := &fdConn{poll: p, fd: fd, info: infoOf(local, remote), state: readable | writable, events: silent{}}
	if err := p.own(conn); err != nil {
		return nil, err
	}
	return conn, nil
}

// duplicate returns a descriptor of its own for a socket of package net, whose
// own is never made blocking in between: another loop may be accepting from it.
func duplicate(of any) (int, error) {
	sc, ok := of.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("%T has no descriptor", of)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(from uintptr) {
		fd, dupErr = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return -1, err
	}
	return fd, dupErr
}

// own registers a connection, or closes it.
func (p *epoll) own(c *fdConn) error {
	if err := p.register(c.fd, watched, c); err != nil {
		_ = unix.Close(c.fd)
		c.state |= closed
		return err
	}
	p.loop.conns.Add(1)
	return nil
}

func (p *epoll) dial(network, path string, addr netip.AddrPort) (Conn, error) {
	family := unix.AF_INET
	var to unix.Sockaddr
	switch {
	case network == "unix":
		family = unix.AF_UNIX
		to = &unix.SockaddrUnix{Name: path}
	case addr.Addr().Is4() || addr.Addr().Is4In6():
		to = &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	default:
		family = unix.AF_INET6
		to = &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if family != unix.AF_UNIX {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	c := &fdConn{poll: p, fd: fd, state: connecting, events: silent{}}
	c.info.Remote = addr
	if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := p.own(c); err != nil {
		return nil, err
	}
	return c, nil
}
