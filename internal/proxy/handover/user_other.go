//go:build !linux

package handover

import "net"

// sameUser relies on the mode of the socket, 0600, where the kernel is not asked.
func sameUser(*net.UnixConn) error { return nil }
