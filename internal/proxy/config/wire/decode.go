package wire

import (
	"math"
	"net/netip"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// The versions of TLS as they stand on the wire.
const (
	versionTLS12 = 0x0303
	versionTLS13 = 0x0304
	unknown      = math.MaxUint8
)

// PortError says that a port is none. The other values that a field of connect
// cannot hold become ones that connect.Validate refuses; of ports all are valid.
type PortError struct {
	// Field is the path within the resource.
	Field string
	Port  uint32
}

// enum keeps values that are not known unknown.
func enum[T ~uint8, E ~int32](value E) T {
	if value < 0 || value > unknown {
		return T(unknown)
	}
	return T(value)
}

func duration(d *durationpb.Duration) time.Duration { return d.AsDuration() }

func created(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// each maps a list; an empty one is nil.
func each[A, B any](list []A, f func(A) B) []B {
	if len(list) == 0 {
		return nil
	}
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = f(a)
	}
	return out
}

// list copies names, so that no value of ours shares memory with a message.
func list(names []string) []string { return each(names, func(s string) string { return s }) }

// Node translates who and where the proxy is.
func Node(m *pb.Node) connect.Node {
	n := connect.Node{
		Name: m.GetName(), Service: m.GetService(), Zone: m.GetZone(),
		AccessLog: connect.AccessLog{
			Mode:   enum[connect.LogMode](m.GetAccessLog().GetMode()),
			Format: enum[connect.LogFormat](m.GetAccessLog().GetFormat()),
			Query:  m.GetAccessLog().GetQuery(),
		},
	}
	if t := m.GetTracing(); t != nil {
		n.Tracing = &connect.Tracing{Endpoint: t.GetEndpoint(), Sample: t.GetSample()}
	}
	return n
}

// Listener translates a listener.
func Listener(m *pb.Listener) *connect.Listener {
	h := m.GetHttp()
	l := &connect.Listener{
		Name: m.GetName(), Address: m.GetAddress(), Hostname: m.GetHostname(),
		Protocol:       enum[connect.Protocol](m.GetProtocol()),
		ProxyProtocol:  m.GetProxyProtocol(),
		MaxConnections: int(m.GetMaxConnections()),
		HTTP: connect.HTTPOptions{
			AllowConnect:   h.GetAllowConnect(),
			MaxHeaderBytes: int(h.GetMaxHeaderBytes()),
			MaxHeaders:     int(h.GetMaxHeaders()),
			MaxURIBytes:    int(h.GetMaxUriBytes()),
			MaxBodyBytes:   int64(min(h.GetMaxBodyBytes(), math.MaxInt64)),
			HeaderTimeout:  duration(h.GetHeaderTimeout()),
			IdleTimeout:    duration(h.GetIdleTimeout()),
			MaxStreams:     h.GetMaxStreams(),
			MaxRequests:    int(h.GetMaxRequests()),
			ForwardedHops:  int(h.GetForwardedHops()),
			ErrorDetail:    h.GetErrorDetail(),
		},
	}
	if t := m.GetTls(); t != nil {
		l.TLS = &connect.ServerTLS{
			Certificates: list(t.GetCertificates()),
			ClientTrust:  t.GetClientTrust(),
			ClientAuth:   enum[connect.ClientAuth](t.GetClientAuth()),
			MinVersion:   tlsVersion(t.GetMinVersion()),
			ALPN:         list(t.GetAlpn()),
			AllowedIDs:   list(t.GetAllowedIds()),
		}
	}
	return l
}

func tlsVersion(v pb.ServerTLS_Version) uint16 {
	switch v {
	case pb.ServerTLS_TLS12:
		return versionTLS12
	case pb.ServerTLS_TLS13:
		return versionTLS13
	}
	return unknown
}

// Certificate translates a certificate; files are not read.
func Certificate(m *pb.Certificate) *connect.Certificate {
	return &connect.Certificate{
		Name: m.GetName(), ChainPEM: m.GetChainPem(), KeyPEM: m.GetKeyPem(),
		ChainFile: m.GetChainFile(), KeyFile: m.GetKeyFile(),
	}
}

// TrustBundle translates a bundle; files are not read.
func TrustBundle(m *pb.TrustBundle) *connect.TrustBundle {
	return &connect.TrustBundle{Name: m.GetName(), PEM: m.GetPem(), File: m.GetFile()}
}

// Cluster translates a cluster; the port of its health check may be none.
func Cluster(m *pb.Cluster) (*connect.Cluster, []PortError) {
	c := &connect.Cluster{
		Name: m.GetName(), Service: m.GetService(),
		Endpoints: each(m.GetEndpoints(), endpoint),
		Protocol:  enum[connect.UpstreamProtocol](m.GetProtocol()),
		Balance: connect.Balance{
			Policy: enum[connect.Policy](m.GetBalance().GetPolicy()),
			HashOn: connect.HashKey{
				Header: m.GetBalance().GetHashOn().GetHeader(),
				Cookie: m.GetBalance().GetHashOn().GetCookie(),
			},
			ZoneAware: m.GetBalance().GetZoneAware(),
			SpillAt:   m.GetBalance().GetSpillAt(),
		},
		Outlier: outlier(m.GetOutlier()),
		Breaker: connect.Breaker{
			MaxConnections: int(m.GetBreaker().GetMaxConnections()),
			MaxPending:     int(m.GetBreaker().GetMaxPending()),
			MaxRequests:    int(m.GetBreaker().GetMaxRequests()),
			Adaptive:       m.GetBreaker().GetAdaptive(),
			RetryBudget:    int(m.GetBreaker().GetRetryBudget()),
		},
		ProxyProtocol:  uint8(min(m.GetProxyProtocol(), unknown)),
		ConnectTimeout: duration(m.GetConnectTimeout()),
		IdleTimeout:    duration(m.GetIdleTimeout()),
		MaxRequests:    int(m.GetMaxRequests()),
	}
	if t := m.GetTls(); t != nil {
		c.TLS = &connect.ClientTLS{
			ServerName: t.GetServerName(), Trust: t.GetTrust(), SubjectAltNames: list(t.GetSubjectAltNames()),
			Certificate: t.GetCertificate(), Insecure: t.GetInsecure(),
		}
	}
	if m.GetHealthCheck() == nil {
		return c, nil
	}
	c.HealthCheck = healthCheck(m.GetHealthCheck())
	if port := m.GetHealthCheck().GetPort(); port > math.MaxUint16 {
		return c, []PortError{{Field: "healthCheck.port", Port: port}}
	}
	return c, nil
}

func endpoint(m *pb.Endpoint) connect.Endpoint {
	addr, err := netip.ParseAddrPort(m.GetAddress())
	if err != nil {
		addr = netip.AddrPort{} // A Unix socket, or what Validate refuses.
	}
	return connect.Endpoint{Address: m.GetAddress(), Addr: addr, Zone: m.GetZone(), Weight: m.GetWeight(), Draining: m.GetDraining()}
}

func outlier(m *pb.Outlier) *connect.Outlier {
	if m == nil {
		return nil
	}
	return &connect.Outlier{
		Failures: int(m.GetFailures()), AllServerErrors: m.GetAllServerErrors(),
		BaseTime: duration(m.GetBaseTime()), MaxTime: duration(m.GetMaxTime()), MaxPercent: int(m.GetMaxPercent()),
	}
}

func healthCheck(m *pb.HealthCheck) *connect.HealthCheck {
	h := &connect.HealthCheck{
		Protocol: enum[connect.CheckProtocol](m.GetProtocol()),
		Path:     m.GetPath(), Host: m.GetHost(), Service: m.GetService(),
		ExpectFirst: int(m.GetExpectFirst()), ExpectLast: int(m.GetExpectLast()),
		Interval: duration(m.GetInterval()), Timeout: duration(m.GetTimeout()),
		Healthy: int(m.GetHealthy()), Unhealthy: int(m.GetUnhealthy()),
		Port: uint16(min(m.GetPort(), math.MaxUint16)),
	}
	// One end of the range alone leaves the other at its default.
	if h.ExpectFirst == 0 && h.ExpectLast != 0 {
		h.ExpectFirst = 200
	}
	if h.ExpectLast == 0 && h.ExpectFirst != 0 {
		h.ExpectLast = max(299, h.ExpectFirst)
	}
	return h
}
