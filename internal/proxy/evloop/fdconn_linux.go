package evloop

import (
	"errors"
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

const (
	readable uint8 = 1 << iota
	writable
	connecting
	// ending: the peer has closed or broken the connection, so that a short read
	// does not mean that nothing is left.
	ending
	closed
)

// fdConn is a connection of the native poller.
type fdConn struct {
	poll   *epoll
	fd     int
	state  uint8
	events Events
	// err broke the connection. Asking the socket clears it there, and without it
	// a reset would look like an orderly end.
	err  error
	info stream.ConnInfo
}

// Handle sets who hears of events.
func (c *fdConn) Handle(e Events) { c.events = e }

// Info describes the connection.
func (c *fdConn) Info() *stream.ConnInfo { return &c.info }

func (c *fdConn) ready(events uint32) {
	if c.state&connecting != 0 {
		c.connected(events)
		return
	}
	if events&unix.EPOLLIN != 0 {
		c.state |= readable
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.state |= readable | ending
	}
	if events&unix.EPOLLERR != 0 {
		c.state |= writable
		if err := c.socketError(); err != nil {
			c.err = err
		}
		// A call may have taken the error before.
		if c.err != nil {
			c.events.Hangup(c.err)
			return
		}
	}
	if events&unix.EPOLLOUT != 0 && c.state&writable == 0 {
		c.state |= writable
		c.events.Writable()
	}
	// Writable may have closed the connection, or read all that was there.
	if c.state&(readable|closed) == readable {
		c.events.Readable()
	}
}

func (c *fdConn) connected(events uint32) {
	if err := c.socketError(); err != nil {
		c.err = err
		c.events.Hangup(err)
		return
	}
	const end = unix.EPOLLRDHUP | unix.EPOLLHUP
	if events&(unix.EPOLLOUT|end) == 0 {
		return
	}
	c.state = c.state&^connecting | writable | readable
	// A peer may have accepted, answered and closed by now.
	if events&end != 0 {
		c.state |= ending
	}
	if c.info.Remote.IsValid() {
		c.info.Local = localAddr(c.fd, c.info.Local)
	}
	c.events.Writable()
	if events&(unix.EPOLLIN|end) != 0 && c.state&(readable|closed) == readable {
		c.events.Readable()
	}
}

// socketError takes the error of a broken socket; nil when there is none.
func (c *fdConn) socketError() error {
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if code != 0 {
		return syscall.Errno(code)
	}
	return nil
}

// Read reads without telling the scheduler: the descriptor never waits.
func (c *fdConn) Read(p []byte) (int, error) {
	if c.state&(readable|closed) != readable {
		if c.state&closed != 0 {
			return 0, ErrClosed
		}
		return 0, ErrAgain
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		// recv, not read: it goes to the socket without passing the file system.
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0) //nolint:gosec // memory that lives during the call
		switch errno {
		case 0:
			return c.took(int(n), len(p))
		case syscall.EINTR:
		case syscall.EAGAIN:
			c.state &^= readable
			return 0, ErrAgain
		default:
			return 0, c.broke(errno)
		}
	}
}

// Quiet asks the socket without taking anything out of it.
func (c *fdConn) Quiet() bool {
	var one [1]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&one[0])), 1, //nolint:gosec // memory that lives during the call
		unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 && errno != syscall.EAGAIN && errno != syscall.EINTR {
		_ = c.broke(errno) // peeking takes an error all the same
	}
	return errno == syscall.EAGAIN
}

// took draws the conclusion from a read: a short one emptied the socket, so the
// next edge will tell, unless the end has been announced already.
func (c *fdConn) took(n, room int) (int, error) {
	if n == 0 {
		// EPIPE is a reset that came after the orderly end of what we read.
		if c.err != nil && !errors.Is(c.err, unix.EPIPE) {
			return 0, c.err
		}
		return 0, io.EOF
	}
	if n < room && c.state&ending == 0 {
		c.state &^= readable
	}
	return n, nil
}

// broke keeps the error that ended the connection: the call that returned it has
// taken it from the socket.
func (c *fdConn) broke(errno syscall.Errno) error {
	if c.err == nil {
		c.err = errno
	}
	return errno
}

// Write writes both with one call.
func (c *fdConn) Write(a, b []byte) (int, error) {
	if c.state&(writable|closed) != writable {
		if c.state&closed != 0 {
			return 0, ErrClosed
		}
		return 0, ErrAgain
	}
	total := len(a) + len(b)
	if total == 0 {
		return 0, nil
	}
	n, errno := c.write(a, b)
	switch {
	case errno == syscall.EAGAIN:
		c.state &^= writable
		return 0, ErrAgain
	case errno != 0:
		return 0, c.broke(errno)
	case n < total:
		// The socket is full: it will tell when it is not.
		c.state &^= writable
		return n, ErrAgain
	}
	return n, nil
}

func (c *fdConn) write(a, b []byte) (int, syscall.Errno) {
	for {
		var n uintptr
		var errno syscall.Errno
		switch {
		case len(b) == 0:
			n, errno = c.send(a)
		case len(a) == 0:
			n, errno = c.send(b)
		default:
			parts := [2]syscall.Iovec{{Base: &a[0]}, {Base: &b[0]}}
			parts[0].SetLen(len(a))
			parts[1].SetLen(len(b))
			msg := syscall.Msghdr{Iov: &parts[0], Iovlen: 2}
			n, _, errno = syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL) //nolint:gosec // memory that lives during the call
		}
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}

func (c *fdConn) send(p []byte) (uintptr, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&p[0])), //nolint:gosec // memory that lives during the call
		uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	return n, errno
}

// CloseWrite sends the end of our direction.
func (c *fdConn) CloseWrite() error {
	if c.state&closed != 0 {
		return ErrClosed
	}
	return unix.Shutdown(c.fd, unix.SHUT_WR)
}

// Reset closes the descriptor so that the peer gets a reset.
func (c *fdConn) Reset() {
	if c.state&closed != 0 {
		return
	}
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	c.Close()
}

// Close closes the descriptor.
func (c *fdConn) Close() {
	if c.state&closed != 0 {
		return
	}
	c.state = closed
	c.poll.forget(c.fd)
	_ = unix.Close(c.fd)
	c.poll.loop.conns.Add(-1)
}
