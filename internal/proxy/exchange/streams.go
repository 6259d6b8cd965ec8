package exchange

import (
	"errors"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/balance"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/proxyproto"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/metrics"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
	"github.com/tatami-platform/tatami/internal/proxy/tunnel"
	"github.com/tatami-platform/tatami/internal/proxy/upstream"
)

// byteStream is a connection of a stream route: bytes both ways, and nothing that
// could be asked again once a byte went through.
type byteStream struct {
	Inbound
	w   *Worker
	rec record.Record

	cluster *Cluster
	picked  balance.Picked
	began   int64
	up      evloop.Conn
	timer   evloop.Timer
	tried   []*balance.Host
	joined  *tunnel.Tunnel
	member  Member
	ended   bool
}

// maxDials is how many endpoints are tried for one connection.
const maxDials = 3

const defaultStreamIdle = time.Hour

// Inbound is a client's connection of a stream route.
type Inbound struct {
	// Address that was connected to, as the routes have it.
	Address string
	Conn    evloop.Conn
	// Initial was read from Conn by now.
	Initial []byte
	// Route is the one to follow, Snapshot the configuration that it is of.
	Route    *route.Stream
	Snapshot *Snapshot
	// Closed is called when it is over.
	Closed func()
}

// Tunnel joins a client's connection with an endpoint of its route.
func (w *Worker) Tunnel(in Inbound) {
	b := &byteStream{Inbound: in, w: w}
	now := w.loop.Now()
	info := in.Conn.Info()
	b.rec = record.Record{
		Start: evloop.Wall(now).UnixNano(), Began: now, Protocol: metrics.ProtocolTCP,
		Client: info.Remote, Peer: info.PeerID, Authority: info.ServerName, Route: in.Route.Config.Name,
	}
	b.member.Address, b.member.Owner = in.Address, b
	w.Join(&b.member)
	b.timer.Func = func() { b.dialFailed(upstream.ErrTimeout) }
	in.Conn.Handle(waitingClient{b})
	backend := in.Route.Pick()
	if backend == nil || backend.Invalid || in.Snapshot.Clusters[backend.Cluster] == nil {
		b.end(record.NoCluster)
		return
	}
	b.cluster = in.Snapshot.Clusters[backend.Cluster]
	b.rec.Cluster = b.cluster.Config.Name
	b.dial()
}

func (b *byteStream) dial() {
	b.began = b.w.loop.Now()
	b.picked = balance.Picked{}
	if len(b.tried) < maxDials {
		b.picked = b.cluster.Set.Pick(b.began, &balance.Choice{Random: b.w.random(), Tried: b.tried})
	}
	host := b.picked.Host
	if host == nil || b.picked.Again {
		b.picked.Host = nil
		flag := record.UpstreamConnectFailure
		if len(b.tried) == 0 {
			flag = record.NoHealthyUpstream
		}
		b.end(flag)
		return
	}
	b.tried = append(b.tried, host)
	host.Begin()
	b.rec.Upstream = host.Address()
	b.rec.Attempts++
	if !b.cluster.Set.Breaker().AcquireConnection(&host.Connections) {
		b.giveBack(resilience.FailureCancelled)
		b.end(record.CircuitOpen)
		return
	}
	path, isUnix := strings.CutPrefix(host.Address(), "unix:")
	if !isUnix {
		path = ""
	}
	up, err := b.w.loop.Dial(host.Addr(), path)
	if err != nil {
		b.dialFailed(err)
		return
	}
	b.up = up
	up.Handle(b)
	timeout := b.cluster.Config.ConnectTimeout
	if timeout == 0 {
		timeout = defaultConnectTimeout
	}
	b.w.loop.After(int64(timeout), &b.timer)
}

// giveBack reports the outcome of one endpoint.
func (b *byteStream) giveBack(f resilience.Failure) {
	now := evloop.Clock()
	b.cluster.Set.Observe(now, b.picked, &balance.Outcome{Latency: time.Duration(now - b.began), Failure: f, Random: b.w.random()})
	b.picked.Host.End()
}

func (b *byteStream) dialFailed(error) {
	if b.ended {
		return
	}
	b.timer.Stop()
	if b.up != nil {
		b.up.Close()
		b.up = nil
	}
	b.picked.Host.Connections.Release()
	b.giveBack(resilience.FailureConnect)
	b.w.seriesOf(b.w.local(b.cluster, b.picked.Host), metrics.ProtocolTCP).Retry()
	b.dial()
}

// Writable: the connection to the endpoint stands.
func (b *byteStream) Writable() {
	if v := b.cluster.Config.ProxyProtocol; v > 0 {
		info := b.Conn.Info()
		header := proxyHeader(v, proxyproto.Header{Source: info.Remote, Destination: info.Local})
		if n, err := b.up.Write(header, nil); n < len(header) {
			b.dialFailed(err)
			return
		}
	}
	if b.cluster.TLS == nil {
		b.join()
		return
	}
	// Closing it gives the handshake up: what becomes of it is not told then.
	b.up = b.w.hand.Client(b.w.loop, b.up, b.cluster.TLS, func(c evloop.Conn, err error) {
		if err != nil {
			b.dialFailed(err)
			return
		}
		b.up = c
		b.join()
	})
}

// Readable is for whoever joins both.
func (b *byteStream) Readable() {}

// Hangup: the endpoint refused.
func (b *byteStream) Hangup(err error) { b.dialFailed(err) }

func (b *byteStream) join() {
	b.timer.Stop()
	now := evloop.Clock()
	b.cluster.Set.Observe(now, b.picked, &balance.Outcome{Latency: time.Duration(now - b.began), Random: b.w.random()})
	idle := b.Route.Config.IdleTimeout
	if idle == 0 {
		idle = defaultStreamIdle
	}
	b.joined = tunnel.Start(b.w.loop, b.Conn, b.up, tunnel.Options{Idle: idle, InitialA: b.Initial, Done: b.done})
	b.Initial = nil
}

func (b *byteStream) done(r tunnel.Result) {
	b.rec.BytesIn, b.rec.BytesOut = r.AToB, r.BToA
	b.picked.Host.Connections.Release()
	b.picked.Host.End()
	var flags record.Flag
	switch {
	case errors.Is(r.Err, tunnel.ErrIdle):
		flags = record.IdleTimeout
	case r.Err != nil && r.BrokenA:
		flags = record.ClientClosed
	case r.Err != nil:
		flags = record.UpstreamReset
	}
	b.finish(flags)
}

// end closes the client's connection, for which there is no endpoint.
func (b *byteStream) end(flags record.Flag) {
	b.Conn.Close()
	b.finish(flags)
}

func (b *byteStream) finish(flags record.Flag) {
	if b.ended {
		return
	}
	b.ended = true
	b.member.Leave()
	b.rec.Flags |= flags
	if b.picked.Host != nil {
		b.rec.Series = b.w.seriesOf(b.w.local(b.cluster, b.picked.Host), metrics.ProtocolTCP)
	}
	b.w.shard.Done(evloop.Clock(), &b.rec)
	b.Closed()
}

// Drain lets the two ends talk on: nothing that they understand says that it is
// time to go.
func (b *byteStream) Drain() {}

// Close ends both connections at once.
func (b *byteStream) Close() {
	if b.joined != nil {
		b.joined.Close()
		return
	}
	waitingClient{b}.Hangup(nil)
}

// waitingClient is the client while its endpoint is being connected to.
type waitingClient struct{ b *byteStream }

// Readable: bytes wait in the kernel until both are joined.
func (c waitingClient) Readable() {}

// Writable is not waited for.
func (c waitingClient) Writable() {}

// Hangup: the client left.
func (c waitingClient) Hangup(error) {
	b := c.b
	if b.ended {
		return
	}
	b.timer.Stop()
	if b.up != nil {
		b.up.Close()
	}
	if b.picked.Host != nil {
		b.picked.Host.Connections.Release()
		b.giveBack(resilience.FailureCancelled)
	}
	b.end(record.ClientClosed)
}
