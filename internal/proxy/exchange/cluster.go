package exchange

import (
	"crypto/tls"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/balance"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/proxyproto"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
	"github.com/tatami-platform/tatami/internal/proxy/upstream"
)

// Snapshot is a configuration in the form that requests are served from. It is
// immutable; each loop changes to a new one between two events.
type Snapshot struct {
	Config   *connect.Config
	Table    *route.Table
	Clusters map[string]*Cluster
}

// Cluster is what all loops share about one cluster. A change of the
// configuration makes a new value; hosts and counters live on in its Set.
type Cluster struct {
	Config *connect.Cluster
	// Service is the label of metrics.
	Service string
	Set     *balance.Set
	// TLS is nil for plain text.
	TLS *tls.Config
}

const (
	defaultConnectTimeout = time.Second
	defaultIdleUpstream   = time.Minute
)

// target says how to connect to one of the hosts.
func (c *Cluster) target(h *balance.Host, hand *tlsconn.Handshaker) *upstream.Target {
	t := &upstream.Target{
		Addr: h.Addr(), TLS: c.TLS, Handshaker: hand, Codec: c.codec,
		ConnectTimeout: int64(c.Config.ConnectTimeout), MaxRequests: c.Config.MaxRequests,
	}
	if path, ok := strings.CutPrefix(h.Address(), "unix:"); ok {
		t.Unix = path
	}
	if t.ConnectTimeout == 0 {
		t.ConnectTimeout = int64(defaultConnectTimeout)
	}
	switch c.Config.Protocol {
	case connect.UpstreamHTTP1:
		t.Protocol = upstream.HTTP1
	case connect.UpstreamHTTP2:
		t.Protocol = upstream.HTTP2
	case connect.UpstreamAuto:
		t.Protocol = upstream.Auto
	}
	if v := c.Config.ProxyProtocol; v > 0 {
		// A pooled connection serves many clients, so it speaks for itself.
		t.Preamble = proxyHeader(v, proxyproto.Header{Local: true})
	}
	return t
}

func proxyHeader(version uint8, h proxyproto.Header) []byte {
	if version == 1 {
		return proxyproto.AppendV1(nil, h)
	}
	return proxyproto.AppendV2(nil, h, false)
}

// sameWay says that connections to old and new are made in the same way.
func sameWay(a, b *Cluster) bool {
	return a != nil && a.TLS == b.TLS && a.Config.Protocol == b.Config.Protocol && a.Config.MaxRequests == b.Config.MaxRequests &&
		a.Config.ProxyProtocol == b.Config.ProxyProtocol && a.Config.ConnectTimeout == b.Config.ConnectTimeout
}

// limits makes the breaker's limits those of one host's pools. It follows the
// cluster through changes of the configuration.
type limits struct {
	cluster *Cluster
	host    *balance.Host
	count   *metrics.Cluster
}

// TryConn takes a connection of the host.
func (l *limits) TryConn() bool {
	ok := l.cluster.Set.Breaker().AcquireConnection(&l.host.Connections)
	if ok {
		l.count.Open()
	}
	return ok
}

// ConnClosed gives it back.
func (l *limits) ConnClosed() {
	l.count.Close()
	l.host.Connections.Release()
}

// TryPending takes a place among the cluster's waiting requests.
func (l *limits) TryPending() bool {
	ok := l.cluster.Set.Breaker().AcquirePending()
	if ok {
		l.count.Wait()
	}
	return ok
}

// PendingDone gives it back.
func (l *limits) PendingDone() {
	l.count.Resume()
	l.cluster.Set.Breaker().ReleasePending()
}
