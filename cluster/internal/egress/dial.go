package egress

import (
	"context"
	"net"
	"net/netip"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

// Dial opens a connection from the host's network.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// maxDials bounds the connections that are being made: each holds a thread of
// the host's network while it waits.
const maxDials = 128

func limit(dial Dial) Dial {
	slots := make(chan struct{}, maxDials)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			return dial(ctx, network, addr)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// allowed refuses who talks to the proxy itself, and the host's loopback.
func allowed(target netip.AddrPort) bool {
	a := target.Addr()
	return !a.IsLoopback() && !a.IsUnspecified() && !a.IsMulticast() &&
		!instance.PodCIDR.Contains(a) && !instance.ServiceCIDR.Contains(a)
}
