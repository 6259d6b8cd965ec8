package wire

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// Encode translates a whole configuration; its version is not part of the
// resources. It is the inverse of decoding.
func Encode(c *connect.Config) *pb.Resources {
	return &pb.Resources{
		Node:         EncodeNode(c.Node),
		Listeners:    each(c.Listeners, EncodeListener),
		Routes:       each(c.Routes, EncodeRoute),
		StreamRoutes: each(c.StreamRoutes, EncodeStreamRoute),
		Clusters:     each(c.Clusters, EncodeCluster),
		Certificates: each(c.Certificates, EncodeCertificate),
		TrustBundles: each(c.TrustBundles, EncodeTrustBundle),
	}
}

// span keeps the zero duration absent.
func span(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// EncodeNode translates who and where the proxy is.
func EncodeNode(n connect.Node) *pb.Node {
	m := &pb.Node{Name: n.Name, Service: n.Service, Zone: n.Zone}
	if n.AccessLog != (connect.AccessLog{}) {
		m.AccessLog = &pb.AccessLog{
			Mode:   pb.AccessLog_Mode(n.AccessLog.Mode),
			Format: pb.AccessLog_Format(n.AccessLog.Format),
			Query:  n.AccessLog.Query,
		}
	}
	if t := n.Tracing; t != nil {
		m.Tracing = &pb.Tracing{Endpoint: t.Endpoint, Sample: t.Sample}
	}
	return m
}

// EncodeListener translates a listener.
func EncodeListener(l *connect.Listener) *pb.Listener {
	m := &pb.Listener{
		Name: l.Name, Address: l.Address, Protocol: pb.Listener_Protocol(l.Protocol), Hostname: l.Hostname,
		ProxyProtocol: l.ProxyProtocol, MaxConnections: uint32(l.MaxConnections),
	}
	if h := &l.HTTP; *h != (connect.HTTPOptions{}) {
		m.Http = &pb.HTTPOptions{
			AllowConnect:   h.AllowConnect,
			MaxHeaderBytes: uint32(h.MaxHeaderBytes),
			MaxHeaders:     uint32(h.MaxHeaders),
			MaxUriBytes:    uint32(h.MaxURIBytes),
			MaxBodyBytes:   uint64(h.MaxBodyBytes),
			HeaderTimeout:  span(h.HeaderTimeout),
			IdleTimeout:    span(h.IdleTimeout),
			MaxStreams:     h.MaxStreams,
			MaxRequests:    uint32(h.MaxRequests),
			ForwardedHops:  uint32(h.ForwardedHops),
			ErrorDetail:    h.ErrorDetail,
		}
	}
	if t := l.TLS; t != nil {
		m.Tls = &pb.ServerTLS{
			Certificates: list(t.Certificates), ClientTrust: t.ClientTrust, ClientAuth: pb.ServerTLS_ClientAuth(t.ClientAuth),
			Alpn: list(t.ALPN), AllowedIds: list(t.AllowedIDs),
		}
		if t.MinVersion == versionTLS13 {
			m.Tls.MinVersion = pb.ServerTLS_TLS13
		}
	}
	return m
}

// EncodeCertificate translates a certificate. A file replaces the text, which is
// what was read from it.
func EncodeCertificate(c *connect.Certificate) *pb.Certificate {
	m := &pb.Certificate{Name: c.Name, ChainFile: c.ChainFile, KeyFile: c.KeyFile}
	if c.ChainFile == "" {
		m.ChainPem = c.ChainPEM
	}
	if c.KeyFile == "" {
		m.KeyPem = c.KeyPEM
	}
	return m
}

// EncodeTrustBundle translates a bundle. A file replaces the text, which is what
// was read from it.
func EncodeTrustBundle(b *connect.TrustBundle) *pb.TrustBundle {
	m := &pb.TrustBundle{Name: b.Name, File: b.File}
	if b.File == "" {
		m.Pem = b.PEM
	}
	return m
}

// EncodeCluster translates a cluster.
func EncodeCluster(c *connect.Cluster) *pb.Cluster {
	m := &pb.Cluster{
		Name: c.Name, Service: c.Service, Protocol: pb.Cluster_Protocol(c.Protocol),
		Endpoints:      make([]*pb.Endpoint, 0, len(c.Endpoints)),
		ProxyProtocol:  uint32(c.ProxyProtocol),
		ConnectTimeout: span(c.ConnectTimeout),
		IdleTimeout:    span(c.IdleTimeout),
		MaxRequests:    uint32(c.MaxRequests),
	}
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		m.Endpoints = append(m.Endpoints, &pb.Endpoint{Address: e.Address, Zone: e.Zone, Weight: e.Weight, Draining: e.Draining})
	}
	if t := c.TLS; t != nil {
		m.Tls = &pb.ClientTLS{
			ServerName: t.ServerName, Trust: t.Trust, SubjectAltNames: list(t.SubjectAltNames),
			Certificate: t.Certificate, Insecure: t.Insecure,
		}
	}
	if b := c.Balance; b != (connect.Balance{}) {
		m.Balance = &pb.Balance{Policy: pb.Balance_Policy(b.Policy), ZoneAware: b.ZoneAware, SpillAt: b.SpillAt}
		if b.HashOn != (connect.HashKey{}) {
			m.Balance.HashOn = &pb.HashKey{Header: b.HashOn.Header, Cookie: b.HashOn.Cookie}
		}
	}
	if b := c.Breaker; b != (connect.Breaker{}) {
		m.Breaker = &pb.Breaker{
			MaxConnections: uint32(b.MaxConnections), MaxPending: uint32(b.MaxPending), MaxRequests: uint32(b.MaxRequests),
			Adaptive: b.Adaptive, RetryBudget: uint32(b.RetryBudget),
		}
	}
	encodeChecks(c, m)
	return m
}

func encodeChecks(c *connect.Cluster, m *pb.Cluster) {
	if h := c.HealthCheck; h != nil {
		m.HealthCheck = &pb.HealthCheck{
			Protocol: pb.HealthCheck_Protocol(h.Protocol), Path: h.Path, Host: h.Host, Service: h.Service,
			ExpectFirst: uint32(h.ExpectFirst), ExpectLast: uint32(h.ExpectLast),
			Interval: span(h.Interval), Timeout: span(h.Timeout),
			Healthy: uint32(h.Healthy), Unhealthy: uint32(h.Unhealthy), Port: uint32(h.Port),
		}
	}
	if o := c.Outlier; o != nil {
		m.Outlier = &pb.Outlier{
			Failures: uint32(o.Failures), AllServerErrors: o.AllServerErrors,
			BaseTime: span(o.BaseTime), MaxTime: span(o.MaxTime), MaxPercent: uint32(o.MaxPercent),
		}
	}
}
