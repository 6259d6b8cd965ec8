package health

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

const (
	protoHTTP1 = "http/1.1"
	protoHTTP2 = "h2"
)

// dialAddress is where a check connects to. A port of the check replaces the
// endpoint's; Unix sockets have none.
func dialAddress(e *connect.Endpoint, port uint16) (network, address string) {
	if path, ok := strings.CutPrefix(e.Address, "unix:"); ok {
		return "unix", path
	}
	if port == 0 {
		return "tcp", e.Address
	}
	if a, err := netip.ParseAddrPort(e.Address); err == nil {
		return "tcp", netip.AddrPortFrom(a.Addr(), port).String()
	}
	host, _, err := net.SplitHostPort(e.Address)
	if err != nil {
		host = e.Address
	}
	return "tcp", net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// connect makes a connection that speaks what the check needs.
func (c *Checker) connect(ctx context.Context, t *target) (conn, error) {
	limit := t.spec.connectTimeout
	if limit <= 0 {
		limit = defaultConnect
	}
	dialing, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	raw, err := c.dialer.DialContext(dialing, t.network, t.dial)
	if err != nil {
		return nil, err
	}
	protocol := plainProtocol(t)
	if t.spec.tls != nil {
		secure, err := c.secure(ctx, t, raw)
		if err != nil {
			raw.Close()
			return nil, err
		}
		if negotiated := secure.ConnectionState().NegotiatedProtocol; negotiated != "" {
			protocol = negotiated
		}
		raw = secure
	}
	if protocol == protoHTTP2 {
		return newHTTP2(raw), nil
	}
	return &http1{Conn: raw}, nil
}

// plainProtocol is what is spoken where ALPN does not decide.
func plainProtocol(t *target) string {
	if t.check.Protocol == connect.CheckGRPC || t.spec.protocol == connect.UpstreamHTTP2 {
		return protoHTTP2
	}
	return protoHTTP1
}

func (c *Checker) secure(ctx context.Context, t *target, raw net.Conn) (*tls.Conn, error) {
	if c.options.TLS == nil {
		return nil, ErrNoTLS
	}
	made, err := c.options.TLS(t.spec.tls)
	if err != nil {
		return nil, err
	}
	config := made.Clone()
	switch {
	case t.check.Protocol == connect.CheckTCP:
		config.NextProtos = nil
	case plainProtocol(t) == protoHTTP2:
		config.NextProtos = []string{protoHTTP2}
	case t.spec.protocol == connect.UpstreamHTTP1:
		config.NextProtos = []string{protoHTTP1}
	default:
		config.NextProtos = []string{protoHTTP2, protoHTTP1}
	}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, nil
}

// authority is what the check asks for: its Host, the cluster's server name, or
// the address.
func (t *target) authority() string {
	switch {
	case t.check.Host != "":
		return t.check.Host
	case t.spec.tls != nil && t.spec.tls.ServerName != "":
		return t.spec.tls.ServerName
	case t.network == "unix":
		return "localhost"
	default:
		return t.dial
	}
}

func (t *target) expects(status int) bool {
	return status >= t.check.ExpectFirst && status <= t.check.ExpectLast
}

func (t *target) scheme() string {
	if t.spec.tls != nil {
		return "https"
	}
	return "http"
}
