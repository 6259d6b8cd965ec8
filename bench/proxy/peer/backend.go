package peer

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// backendName is nginx as the server behind all others.
const backendName = "backend"

// The lengths of the backend's bodies in bytes: of every path, of /20k and /1m.
const (
	SmallBytes  = 256
	MediumBytes = 20 << 10
	LargeBytes  = 1 << 20
)

// StartBackend runs nginx with the answers that all servers pass on, on n
// addresses from 127.0.0.1 up, of one port. They stay when it ends: stop it.
func StartBackend(ctx context.Context, n int) (run *Process, addresses []string, err error) {
	p, err := installed(ctx, Nginx, "-v")
	if err != nil {
		return nil, nil, err
	}
	p.Name = backendName
	first, err := FreePort(ctx)
	if err != nil {
		return nil, nil, err
	}
	_, port, err := net.SplitHostPort(first)
	if err != nil {
		return nil, nil, err
	}
	for i := range n {
		const inLast = 250 // of 254 that a network of the last byte has
		addresses = append(addresses, net.JoinHostPort(fmt.Sprintf("127.0.%d.%d", i/inLast, i%inLast+1), port))
	}
	run, err = p.start(ctx, values{Addresses: addresses, Small: strings.Repeat("tatami--", SmallBytes/8)})
	return run, addresses, err
}

// writeBodies makes the files that the backend serves.
func writeBodies(dir string) error {
	for name, size := range map[string]int{"20k": MediumBytes, "1m": LargeBytes} {
		if err := write(filepath.Join(dir, name), bytes.Repeat([]byte("tatami--"), size/8)); err != nil {
			return err
		}
	}
	return nil
}
