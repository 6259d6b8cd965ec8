package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The exchange is: the new process connects; the old one sends the greeting with
// all descriptors; the new one answers with one byte when it serves; the old one
// stops accepting and drains. Anything else, and the old one goes on as before.
const (
	served = 'S'
	// patience is how long the new process may take to be ready.
	patience = 2 * time.Minute
	// maxSockets is what one message carries (SCM_MAX_FD of Linux).
	maxSockets  = 253
	maxGreeting = 64 << 10
)

// greeting names the sockets, in the order of the descriptors.
type greeting struct {
	Version   int      `json:"version"`
	Addresses []string `json:"addresses"`
}

// Sockets are listening sockets by configured address.
type Sockets map[string]net.Listener

// Giver waits for a successor.
type Giver struct {
	ln *net.UnixListener
}

// Give listens at path for a process that wants to take over. Sockets is asked
// then for what there is; taken is called once, when the successor serves.
func Give(path string, sockets func() Sockets, taken func()) (*Giver, error) {
	ln, err := listen(path)
	if err != nil {
		return nil, err
	}
	g := &Giver{ln: ln}
	go g.run(sockets, taken)
	return g, nil
}

func listen(path string) (*net.UnixListener, error) {
	// A predecessor's socket is in the way; it has answered us by now, or is dead.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("hand-over socket: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("hand-over socket: %w", err)
	}
	// The path belongs to whoever listens there last: closing must not remove the
	// successor's.
	ln.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("hand-over socket: %w", err)
	}
	return ln, nil
}

// Close stops waiting.
func (g *Giver) Close() { _ = g.ln.Close() }

func (g *Giver) run(sockets func() Sockets, taken func()) {
	for {
		c, err := g.ln.AcceptUnix()
		if err != nil {
			return
		}
		ok := give(c, sockets()) == nil
		_ = c.Close()
		if ok {
			_ = g.ln.Close()
			taken()
			return
		}
	}
}

// give serves one successor; nil: it serves now.
func give(c *net.UnixConn, sockets Sockets) error {
	if err := sameUser(c); err != nil {
		return err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if len(sockets) > maxSockets {
		return fmt.Errorf("%d sockets are more than the %d that can be handed over", len(sockets), maxSockets)
	}
	g := greeting{Version: 1}
	var fds []int
	for address, ln := range sockets {
		f, err := file(ln)
		if err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
		defer func() { _ = f.Close() }()
		fd, err := descriptor(f)
		if err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
		g.Addresses = append(g.Addresses, address)
		fds = append(fds, fd)
	}
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	if _, _, err := c.WriteMsgUnix(text, unix.UnixRights(fds...), nil); err != nil {
		return fmt.Errorf("send sockets: %w", err)
	}
	var answer [1]byte
	if _, err := c.Read(answer[:]); err != nil {
		return fmt.Errorf("the successor gave up: %w", err)
	}
	if answer[0] != served {
		return errors.New("the successor answered something else")
	}
	return nil
}

// descriptor is f.Fd without what that does besides: to make the socket block, in
// this process too, whose loop would then stand still in accept.
func descriptor(f *os.File) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	n := -1
	err = raw.Control(func(fd uintptr) { n = int(fd) })
	return n, err
}

func file(ln net.Listener) (*os.File, error) {
	sc, ok := ln.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("%T has no descriptor", ln)
	}
	return sc.File()
}
