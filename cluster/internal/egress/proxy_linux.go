package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/relay"
)

const dialTimeout = 10 * time.Second

// port of the proxy inside the node's network namespace, where nothing else
// listens on ports of this range.
const port = 15001

// Start redirects the node's outgoing TCP connections to a proxy that ends with
// the context. firewall is the path of nft, or of iptables where there is none.
func Start(ctx context.Context, firewall string, dial Dial) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("0.0.0.0", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listen for outgoing connections: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	if err := redirect(ctx, firewall); err != nil {
		_ = l.Close()
		return err
	}
	dial = limit(dial)
	go relay.Accept(l, func(c net.Conn) { serve(ctx, c, dial) })
	return nil
}

func serve(ctx context.Context, c net.Conn, dial Dial) {
	defer c.Close()
	target, err := originalTarget(c)
	if err != nil || !allowed(target) {
		refuse(c)
		return
	}
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	out, err := dial(dialCtx, "tcp4", target.String())
	if err != nil {
		refuse(c)
		return
	}
	relay.Both(ctx, c, out)
}

// refuse resets the connection: a plain close would look like an empty answer.
func refuse(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// originalTarget is where the connection was going before it was redirected.
func originalTarget(c net.Conn) (netip.AddrPort, error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return netip.AddrPort{}, errors.New("not a TCP connection")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	var target netip.AddrPort
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		// A sockaddr_in, which has the size of this structure.
		mreq, e := unix.GetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IP, unix.SO_ORIGINAL_DST)
		if e != nil {
			sockErr = e
			return
		}
		b := (*[8]byte)(unsafe.Pointer(&mreq.Multiaddr[0])) //nolint:gosec // reads the first 8 of 16 bytes
		target = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), uint16(b[2])<<8|uint16(b[3]))
	})
	return target, errors.Join(err, sockErr)
}

// redirect writes the rules into the node's own network namespace.
func redirect(ctx context.Context, firewall string) error {
	inside := []string{instance.PodCIDR.String(), instance.ServiceCIDR.String(), "127.0.0.0/8", "224.0.0.0/4"}
	to := strconv.Itoa(port)
	if strings.HasSuffix(firewall, "nft") {
		rule := fmt.Sprintf("ip daddr != { %s } fib daddr type != local meta l4proto tcp redirect to :%s", strings.Join(inside, ", "), to)
		return run(ctx, fmt.Sprintf(`table ip tatami-egress {
	chain prerouting { type nat hook prerouting priority -100; policy accept; %s; }
	chain output { type nat hook output priority -100; policy accept; %s; }
}
`, rule, rule), firewall, "-f", "-")
	}
	for _, chain := range []string{"PREROUTING", "OUTPUT"} {
		args := []string{"-w", "-t", "nat", "-A", chain, "-p", "tcp", "-m", "addrtype", "!", "--dst-type", "LOCAL"}
		for _, cidr := range inside[:2] {
			if err := run(ctx, "", firewall, "-w", "-t", "nat", "-A", chain, "-p", "tcp", "-d", cidr, "-m", "comment", "--comment", "inside", "-j", "RETURN"); err != nil {
				return err
			}
		}
		if err := run(ctx, "", firewall, append(args, "-j", "REDIRECT", "--to-ports", to)...); err != nil {
			return err
		}
	}
	return nil
}

func run(ctx context.Context, input, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("redirect outgoing connections: %w: %s", err, out)
	}
	return nil
}
