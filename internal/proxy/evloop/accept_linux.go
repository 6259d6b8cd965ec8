package evloop

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// acceptPause in nanoseconds is how long a listener rests when there are no more
// descriptors or memory: at levels it would be told again at once, for nothing.
const acceptPause = 20_000_000

// acceptor is a listening socket of the native poller.
type acceptor struct {
	poll   *epoll
	fd     int
	local  netip.AddrPort
	place  func() *Loop
	accept func(*Loop, Conn)
	rest   Timer
}

func (p *epoll) listen(ln net.Listener, place func() *Loop, accept func(*Loop, Conn)) (func(), error) {
	fd, err := duplicate(ln)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if _, tcp := ln.Addr().(*net.TCPAddr); tcp {
		// Inherited by what is accepted: one call for all of them.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	}
	a := &acceptor{poll: p, fd: fd, local: addrPort(ln.Addr()), place: place, accept: accept}
	a.rest.Func = a.watch
	if err := a.register(); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return a.stop, nil
}

// register is exclusive: one loop is woken for a connection, not all. At levels,
// so that what one turn leaves another loop may take.
func (a *acceptor) register() error {
	return a.poll.register(a.fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE, a)
}

func (a *acceptor) unregister() {
	// The listener's other descriptors stay open, so closing does not unregister.
	_ = unix.EpollCtl(a.poll.fd, unix.EPOLL_CTL_DEL, a.fd, nil)
	a.poll.forget(a.fd)
}

func (a *acceptor) watch() {
	if a.register() != nil {
		a.poll.loop.After(acceptPause, &a.rest)
	}
}

func (a *acceptor) stop() {
	if a.fd < 0 {
		return
	}
	if a.rest.Armed() {
		a.rest.Stop()
	} else {
		a.unregister()
	}
	_ = unix.Close(a.fd)
	a.fd = -1
}

func (a *acceptor) ready(uint32) {
	for range acceptBatch {
		if a.fd < 0 {
			return
		}
		fd, remote, err := accept4(a.fd)
		switch err {
		case 0:
			a.hand(fd, remote)
		case unix.EAGAIN:
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			a.unregister()
			a.poll.loop.After(acceptPause, &a.rest)
			return
		default:
			// A connection that its client has given up, or another one's trouble.
		}
	}
}

// hand gives an accepted connection to the loop that place chooses.
func (a *acceptor) hand(fd int, remote netip.AddrPort) {
	c := &fdConn{poll: a.poll, fd: fd, state: readable | writable, events: silent{}}
	c.info.Local, c.info.Remote = a.local, remote
	if a.local.Addr().IsUnspecified() {
		c.info.Local = localAddr(fd, a.local)
	}
	to := a.poll.loop
	if a.place != nil {
		to = a.place()
	}
	if to == a.poll.loop {
		if c.poll.own(c) == nil {
			a.accept(to, c)
		}
		return
	}
	// Counted from now on, so that the next one goes elsewhere.
	to.conns.Add(1)
	moved := to.TryPost(func() {
		c.poll = to.poller.(*epoll)
		to.conns.Add(-1)
		if c.poll.own(c) == nil {
			a.accept(to, c)
		}
	})
	if !moved {
		to.conns.Add(-1)
		_ = unix.Close(fd)
	}
}

// accept4 is the system call with room for an address that is decoded without
// allocating.
func accept4(fd int) (int, netip.AddrPort, syscall.Errno) {
	var raw syscall.RawSockaddrAny
	size := uint32(unsafe.Sizeof(raw))
	got, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&raw)), //nolint:gosec // the kernel fills it during the call
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0) //nolint:gosec // the kernel fills it during the call
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(got), decode(&raw), 0
}

func localAddr(fd int, bound netip.AddrPort) netip.AddrPort {
	var raw syscall.RawSockaddrAny
	size := uint32(unsafe.Sizeof(raw))
	_, _, errno := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size))) //nolint:gosec // the kernel fills it during the call
	if errno != 0 {
		return bound
	}
	return decode(&raw)
}

func decode(raw *syscall.RawSockaddrAny) netip.AddrPort {
	switch raw.Addr.Family {
	case syscall.AF_INET:
		in := (*syscall.RawSockaddrInet4)(unsafe.Pointer(raw)) //nolint:gosec // the family says which it is
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), swap(in.Port))
	case syscall.AF_INET6:
		in := (*syscall.RawSockaddrInet6)(unsafe.Pointer(raw)) //nolint:gosec // the family says which it is
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), swap(in.Port))
	default:
		return netip.AddrPort{}
	}
}

// swap turns network order into this machine's.
func swap(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port)) //nolint:gosec // two bytes of its own
	return uint16(b[0])<<8 | uint16(b[1])
}
