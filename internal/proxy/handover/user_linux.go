package handover

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// sameUser refuses processes of other users: who holds a listening socket can
// answer for us.
func sameUser(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("hand-over: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return fmt.Errorf("hand-over: %w", err)
	}
	if credErr != nil {
		return fmt.Errorf("hand-over: %w", credErr)
	}
	if int(cred.Uid) != os.Getuid() {
		return fmt.Errorf("hand-over: the other process belongs to user %d and not to %d", cred.Uid, os.Getuid())
	}
	return nil
}
