package egress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/cluster/internal/relay"
)

const (
	questionTimeout = 3 * time.Second
	maxMessage      = 65535
	dnsPort         = "53"
)

// Resolvers reads the host's resolvers, each time anew: a laptop changes them
// with every network.
type Resolvers func() []string

// ServeDNS answers DNS questions on addr, over UDP and TCP, by asking the host's
// resolvers in turn. It returns when both sockets are open.
func ServeDNS(ctx context.Context, addr string, resolvers Resolvers, dial Dial) error {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, "udp4", addr)
	if err != nil {
		return fmt.Errorf("listen for DNS: %w", err)
	}
	l, err := lc.Listen(ctx, "tcp4", addr)
	if err != nil {
		_ = pc.Close()
		return fmt.Errorf("listen for DNS: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = pc.Close(); _ = l.Close() })
	go serveUDP(ctx, pc, resolvers, dial)
	go relay.Accept(l, func(c net.Conn) { serveTCP(ctx, c, resolvers, dial) })
	return nil
}

func serveUDP(ctx context.Context, pc net.PacketConn, resolvers Resolvers, dial Dial) {
	buf := make([]byte, maxMessage)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		question := append([]byte(nil), buf[:n]...)
		go func() {
			if answer, err := ask(ctx, question, resolvers(), dial); err == nil {
				_, _ = pc.WriteTo(answer, from)
			}
		}()
	}
}

// ask tries one resolver after the other. Silence is the answer when none has
// one: who asked has a timeout, and asks again.
func ask(ctx context.Context, question []byte, resolvers []string, dial Dial) ([]byte, error) {
	err := fmt.Errorf("the host has no resolver")
	for _, r := range resolvers {
		var answer []byte
		if answer, err = exchange(ctx, question, r, dial); err == nil {
			return answer, nil
		}
	}
	return nil, err
}

func exchange(ctx context.Context, question []byte, resolver string, dial Dial) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	c, err := dial(ctx, "udp", net.JoinHostPort(resolver, dnsPort))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(questionTimeout)); err != nil {
		return nil, err
	}
	if _, err := c.Write(question); err != nil {
		return nil, err
	}
	answer := make([]byte, maxMessage)
	n, err := c.Read(answer)
	return answer[:n], err
}

func serveTCP(ctx context.Context, c net.Conn, resolvers Resolvers, dial Dial) {
	defer c.Close()
	for _, r := range resolvers() {
		out, err := dial(ctx, "tcp", net.JoinHostPort(r, dnsPort))
		if err == nil {
			relay.Both(ctx, c, out)
			return
		}
	}
}

// ParseResolvers reads the name servers from a resolv.conf.
func ParseResolvers(r io.Reader) []string {
	var all []string
	for lines := bufio.NewScanner(r); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "nameserver" && net.ParseIP(fields[1]) != nil {
			all = append(all, fields[1])
		}
	}
	return all
}
