package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// Simple is the configuration of a person with one backend: what the flags of the
// program say.
type Simple struct {
	// Listen is an address: 127.0.0.1:8080, :8080 for all addresses, localhost:8080,
	// or unix:/path.
	Listen string
	// Backends are addresses that answer for each other; names are resolved once.
	Backends []string
	// TLSCert and TLSKey are PEM files; both or none.
	TLSCert, TLSKey string
	// TLSClientCA is a PEM file; clients must have a certificate that it vouches for.
	TLSClientCA string
	// H2C speaks HTTP/2 in plain text with the backends, TCP passes bytes.
	H2C, TCP bool
	// Name, Service and Zone say who and where the proxy is; all may be empty.
	Name, Service, Zone string
}

// The one resource of each kind.
const simpleName = "main"

// Config is the configuration, checked but for the content of the PEM files, which
// Hold reads and watches. The context bounds the resolution of names.
func (s Simple) Config(ctx context.Context) (*connect.Config, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	listen, err := resolveListen(s.Listen)
	if err != nil {
		return nil, err
	}
	cluster := &connect.Cluster{Name: simpleName, Service: s.Service}
	if s.H2C {
		cluster.Protocol = connect.UpstreamHTTP2
	}
	for _, text := range s.Backends {
		endpoints, err := resolveBackend(ctx, text)
		if err != nil {
			return nil, err
		}
		cluster.Endpoints = append(cluster.Endpoints, endpoints...)
	}
	if len(cluster.Endpoints) > 1 {
		cluster.Outlier = &connect.Outlier{}
	}
	name := s.Name
	if name == "" {
		name = DefaultNode
	}
	c := &connect.Config{
		Version:   "flags",
		Node:      connect.Node{Name: name, Service: s.Service, Zone: s.Zone},
		Listeners: []*connect.Listener{{Name: simpleName, Address: listen}},
		Clusters:  []*connect.Cluster{cluster},
	}
	s.route(c)
	s.tls(c)
	if err := connect.Validate(c); err != nil {
		return nil, err
	}
	return c, nil
}

func (s Simple) check() error {
	switch {
	case s.Listen == "":
		return errors.New("there is nothing to listen on; give --listen, such as --listen 127.0.0.1:8080")
	case len(s.Backends) == 0:
		return errors.New("there is no backend; give --backend, such as --backend 127.0.0.1:9000")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return errors.New("a certificate needs its key; give both --tls-cert and --tls-key")
	case s.TLSClientCA != "" && s.TLSCert == "":
		return errors.New("clients cannot be asked for certificates without TLS; give --tls-cert and --tls-key as well")
	case s.H2C && s.TCP:
		return errors.New("bytes are passed as they come; give --tcp or --h2c, not both")
	}
	return nil
}

func (s Simple) route(c *connect.Config) {
	backends := []connect.Backend{{Cluster: simpleName, Weight: 1}}
	if s.TCP {
		c.Listeners[0].Protocol = connect.ProtocolTCP
		c.StreamRoutes = []*connect.StreamRoute{{Name: simpleName, Backends: backends}}
		return
	}
	c.Routes = []*connect.Route{{Name: simpleName, Rules: []connect.Rule{{Backends: backends}}}}
}

func (s Simple) tls(c *connect.Config) {
	if s.TLSCert == "" {
		return
	}
	l := c.Listeners[0]
	l.Protocol = connect.ProtocolHTTPS
	if s.TCP {
		l.Protocol = connect.ProtocolTLS
	}
	l.TLS = &connect.ServerTLS{Certificates: []string{simpleName}}
	c.Certificates = []*connect.Certificate{{Name: simpleName, ChainFile: s.TLSCert, KeyFile: s.TLSKey}}
	if s.TLSClientCA != "" {
		l.TLS.ClientTrust, l.TLS.ClientAuth = simpleName, connect.ClientAuthRequire
		c.TrustBundles = []*connect.TrustBundle{{Name: simpleName, File: s.TLSClientCA}}
	}
}

// resolveListen allows what people write: an empty host, and localhost.
func resolveListen(text string) (string, error) {
	if strings.HasPrefix(text, "unix:") {
		return text, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("--listen %s: %w; give host:port, such as 127.0.0.1:8080", text, err)
	}
	switch host {
	case "":
		host = "::"
	case "localhost":
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// resolveBackend returns one endpoint per address of a name.
func resolveBackend(ctx context.Context, text string) ([]connect.Endpoint, error) {
	if addr, err := netip.ParseAddrPort(text); err == nil {
		return []connect.Endpoint{{Address: text, Addr: addr}}, nil
	}
	if strings.HasPrefix(text, "unix:") {
		return []connect.Endpoint{{Address: text}}, nil
	}
	host, service, err := net.SplitHostPort(text)
	if err != nil {
		return nil, fmt.Errorf("--backend %s: %w; give host:port, such as 127.0.0.1:9000", text, err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || host == "" {
		return nil, fmt.Errorf("--backend %s: host or port is missing; give both, such as 127.0.0.1:9000", text)
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("--backend %s: %w; give an address, or a name that resolves", text, err)
	}
	// A name with both kinds of address often has a server on one of them only.
	if slices.ContainsFunc(addresses, isIPv4) {
		addresses = slices.DeleteFunc(addresses, func(a netip.Addr) bool { return !isIPv4(a) })
	}
	endpoints := make([]connect.Endpoint, 0, len(addresses))
	for _, a := range addresses {
		addr := netip.AddrPortFrom(a.Unmap(), uint16(port))
		endpoints = append(endpoints, connect.Endpoint{Address: addr.String(), Addr: addr})
	}
	return endpoints, nil
}

func isIPv4(a netip.Addr) bool { return a.Unmap().Is4() }
