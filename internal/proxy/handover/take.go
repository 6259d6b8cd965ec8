package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Taker holds what a predecessor gave.
type Taker struct {
	// Sockets by configured address; they are the caller's.
	Sockets Sockets
	conn    *net.UnixConn
}

// Take asks the process at path for its sockets. Without one there is nothing to
// take, which is no error: Sockets is empty.
func Take(path string) (*Taker, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return &Taker{Sockets: Sockets{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("hand-over: %w", err)
	}
	if err := sameUser(c); err != nil {
		_ = c.Close()
		return nil, err
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	text, rights := make([]byte, maxGreeting), make([]byte, unix.CmsgSpace(4*maxSockets))
	n, m, _, _, err := c.ReadMsgUnix(text, rights)
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("hand-over: %w", err)
	}
	sockets, err := unpack(text[:n], rights[:m])
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("hand-over: %w", err)
	}
	return &Taker{Sockets: sockets, conn: c}, nil
}

// Found says that there is a predecessor.
func (t *Taker) Found() bool { return t.conn != nil }

// Served tells the predecessor that we serve: it stops accepting and drains.
func (t *Taker) Served() error {
	if t.conn == nil {
		return nil
	}
	_, err := t.conn.Write([]byte{served})
	t.close()
	return err
}

// GiveUp lets the predecessor go on as if nothing had been.
func (t *Taker) GiveUp() { t.close() }

func (t *Taker) close() {
	if t.conn != nil {
		_ = t.conn.Close()
		t.conn = nil
	}
}

// unpack turns descriptors into listeners, and closes all of them on an error.
func unpack(text, rights []byte) (Sockets, error) {
	fds, err := descriptors(rights)
	if err != nil {
		return nil, err
	}
	files := make([]*os.File, len(fds))
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		files[i] = os.NewFile(uintptr(fd), "handed over")
	}
	// FileListener has a descriptor of its own.
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	var g greeting
	if err := json.Unmarshal(text, &g); err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	if g.Version != 1 || len(g.Addresses) != len(files) {
		return nil, fmt.Errorf("greeting of version %d names %d sockets, and %d came", g.Version, len(g.Addresses), len(files))
	}
	sockets := Sockets{}
	for i, f := range files {
		ln, err := net.FileListener(f)
		if err != nil {
			for _, other := range sockets {
				_ = other.Close()
			}
			return nil, fmt.Errorf("%s: %w", g.Addresses[i], err)
		}
		sockets[g.Addresses[i]] = ln
	}
	return sockets, nil
}

func descriptors(rights []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	var fds []int
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, err
		}
		fds = append(fds, got...)
	}
	return fds, nil
}
