package evloop

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// pipeSize is what a pipe is enlarged to, if the user's share of pages allows
	// it: 64 segments instead of 16. A segment is what one buffer of the network
	// carries, between a packet's payload and 32 KiB.
	pipeSize = 256 << 10
	// spliceMax bounds one call, so that a fast sender cannot hold the loop.
	spliceMax = 1 << 20
	// spliceFlags are MOVE and NONBLOCK, of splice(2).
	spliceFlags = 0x1 | 0x2
)

func newPipe() (*Pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("pipe2: %w", err)
	}
	// Refused above the user's share; a small pipe works as well.
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize)
	return &Pipe{read: fds[0], write: fds[1]}, nil
}

func (p *Pipe) close() {
	_ = unix.Close(p.read)
	_ = unix.Close(p.write)
}

func splice(from, to, size int) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(size), spliceFlags)
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}

// SpliceIn moves what is there into an empty pipe: empty, since EAGAIN could mean
// a full pipe otherwise. A short count says nothing, so only EAGAIN ends reading.
func (c *fdConn) SpliceIn(p *Pipe) (int, error) {
	if c.state&(readable|closed) != readable {
		if c.state&closed != 0 {
			return 0, ErrClosed
		}
		return 0, ErrAgain
	}
	if p.held > 0 {
		return 0, ErrAgain
	}
	n, errno := splice(c.fd, p.write, spliceMax)
	switch {
	case errno == syscall.EAGAIN:
		c.state &^= readable
		return 0, ErrAgain
	case errno == syscall.EINVAL || errno == syscall.ENOSYS || errno == syscall.EPERM:
		return 0, errors.ErrUnsupported // a sandbox: the connection is as it was
	case errno != 0:
		return 0, c.broke(errno)
	case n == 0:
		return c.took(0, 1)
	}
	p.held = n
	return n, nil
}

// SpliceOut moves what the pipe holds to the socket.
func (c *fdConn) SpliceOut(p *Pipe) (int, error) {
	total := 0
	for p.held > 0 {
		if c.state&(writable|closed) != writable {
			if c.state&closed != 0 {
				return total, ErrClosed
			}
			return total, ErrAgain
		}
		n, errno := splice(p.read, c.fd, p.held)
		switch errno {
		case 0:
			p.held -= n
			total += n
		case syscall.EAGAIN:
			c.state &^= writable
		default:
			return total, c.broke(errno)
		}
	}
	return total, nil
}
