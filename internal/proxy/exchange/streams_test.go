package exchange_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/balance"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/exchange"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn/tlstest"
)

func listening(t *testing.T, serve func(c net.Conn)) connect.Endpoint {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			go serve(c)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	a := ln.Addr().String()
	return connect.Endpoint{Address: a, Addr: netip.MustParseAddrPort(a)}
}

// TestHandshakeThatWasGivenUp has an endpoint that does not answer the TLS
// handshake. When its time is over another one is asked, and what becomes of the
// first handshake must not touch the connection that stands by then.
func TestHandshakeThatWasGivenUp(t *testing.T) {
	cert := tlstest.NewAuthority(t, "test").Certificate(tlstest.Leaf{DNS: []string{"x"}})
	silent := listening(t, func(net.Conn) {})
	echo := listening(t, func(c net.Conn) {
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
		_, _ = io.Copy(s, s)
	})
	config := &connect.Config{
		Listeners:    []*connect.Listener{{Name: "in", Address: "127.0.0.1:0", Protocol: connect.ProtocolTCP}},
		StreamRoutes: []*connect.StreamRoute{{Name: "all", Backends: []connect.Backend{{Cluster: "main", Weight: 1}}}},
		Clusters: []*connect.Cluster{{
			Name: "main", Endpoints: []connect.Endpoint{silent, echo}, ConnectTimeout: 50 * time.Millisecond,
			Balance: connect.Balance{Policy: connect.PolicyRoundRobin},
		}},
	}
	table, err := route.Compile(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	snap := &exchange.Snapshot{Config: config, Table: table, Clusters: map[string]*exchange.Cluster{"main": {
		Config: config.Clusters[0], Service: "main", Set: balance.Build(config.Clusters[0], nil, ""),
		TLS: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13},
	}}}
	group, err := evloop.NewGroup(1, evloop.Native)
	if err != nil {
		t.Fatal(err)
	}
	tele := telemetry.New(telemetry.Options{Start: time.Now()})
	hand := tlsconn.NewHandshaker(0, 300*time.Millisecond)
	loop := group.Loops()[0]
	w := exchange.NewWorker(loop, tele.Shard(), hand)
	t.Cleanup(func() {
		loop.Call(w.CloseAll)
		_ = group.Stop()
		_ = tele.Close(context.Background())
	})
	clients := listening(t, func(c net.Conn) {
		loop.Call(func() {
			w.Use(snap)
			conn, err := loop.Adopt(c)
			if err != nil {
				t.Error(err)
				return
			}
			s := table.Address("127.0.0.1:0").MatchStream("").Stream
			w.Tunnel(exchange.Inbound{Address: "127.0.0.1:0", Conn: conn, Route: s, Snapshot: snap, Closed: func() {}})
		})
	})
	for range 2 { // one of them meets the silent endpoint first
		c, err := net.Dial("tcp", clients.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		for range 6 {
			got := make([]byte, 4)
			_, _ = io.WriteString(c, "ping")
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "ping" {
				t.Fatalf("the tunnel broke: %q, %v", got, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	if n := hand.Active(); n != 0 {
		t.Errorf("%d handshakes that nobody waits for are still under way", n)
	}
}
