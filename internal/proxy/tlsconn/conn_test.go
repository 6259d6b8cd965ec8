package tlsconn_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn/tlstest"
)

// config is a server's and its client's configuration.
func configs(tb testing.TB, version uint16) (server, client *tls.Config) {
	tb.Helper()
	ca := tlstest.NewAuthority(tb, "ca")
	server = &tls.Config{
		Certificates: []tls.Certificate{ca.Certificate(tlstest.Leaf{DNS: []string{"a.test"}})},
		NextProtos:   []string{"h2", "http/1.1"}, MinVersion: version, MaxVersion: version,
		DynamicRecordSizingDisabled: true,
	}
	client = &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test", MinVersion: version, MaxVersion: version}
	return server, client
}

type result struct {
	conn evloop.Conn
	err  error
}

// serve does the server's handshake on a connection that a client has just made.
func serve(tb testing.TB, l *evloop.Loop, h *tlsconn.Handshaker, config *tls.Config, owner func(evloop.Conn)) (net.Conn, <-chan result) {
	tb.Helper()
	lower, peer := evlooptest.Pair(tb, l, "tcp")
	done := make(chan result, 1)
	evlooptest.On(tb, l, func() {
		h.Server(l, lower, config, func(c evloop.Conn, err error) {
			if err == nil && owner != nil {
				owner(c)
			}
			done <- result{c, err}
		})
	})
	return peer, done
}

// mover echoes, or only keeps what comes.
type mover struct {
	conn evloop.Conn
	echo bool
	held []byte
	got  []byte
	buf  []byte
	eof  bool
	end  chan error
}

func newMover(echo bool) *mover {
	return &mover{echo: echo, buf: make([]byte, 40_000), end: make(chan error, 4)}
}

func (m *mover) own(c evloop.Conn) { m.conn = c; c.Handle(m) }

func (m *mover) Readable()        { m.move() }
func (m *mover) Writable()        { m.move() }
func (m *mover) Hangup(err error) { m.conn.Close(); m.end <- err }

func (m *mover) move() {
	for {
		for len(m.held) > 0 {
			third := len(m.held) / 3
			n, err := m.conn.Write(m.held[:third], m.held[third:])
			m.held = m.held[n:]
			if errors.Is(err, evloop.ErrAgain) {
				return
			}
			if err != nil {
				m.Hangup(err)
				return
			}
		}
		if m.eof {
			return
		}
		n, err := m.conn.Read(m.buf)
		if m.echo {
			m.held = m.buf[:n]
		} else {
			m.got = append(m.got, m.buf[:n]...)
		}
		switch {
		case errors.Is(err, evloop.ErrAgain):
			return
		case errors.Is(err, io.EOF):
			m.eof = true
			if err := m.conn.CloseWrite(); err != nil {
				m.end <- err
			}
			m.conn.Close()
			m.end <- io.EOF
			return
		case err != nil:
			m.Hangup(err)
			return
		}
	}
}

func noise(size int) []byte {
	p := make([]byte, size)
	x := uint32(size) | 1
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func TestEcho(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, version := range versions {
				for _, size := range []int{1, 16 << 10, 8 << 20} {
					t.Run(name, func(t *testing.T) {
						l := evlooptest.Loop(t, kind)
						h := tlsconn.NewHandshaker(0, 0)
						server, client := configs(t, version)
						m := newMover(true)
						peer, done := serve(t, l, h, server, m.own)
						client.NextProtos = []string{"http/1.1"}
						c := tls.Client(peer, client)
						data := noise(size)
						go func() {
							_, _ = c.Write(data)
							_ = c.CloseWrite()
						}()
						got, err := io.ReadAll(c)
						if err != nil || !bytes.Equal(got, data) {
							t.Errorf("came back: %d bytes of %d, %v", len(got), len(data), err)
						}
						r := evlooptest.Wait(t, "the handshake", done)
						if r.err != nil {
							t.Fatal(r.err)
						}
						if err := evlooptest.Wait(t, "the end", m.end); !errors.Is(err, io.EOF) {
							t.Errorf("the end: %v", err)
						}
						info := r.conn.Info()
						if !info.Encrypted || info.ServerName != "a.test" || info.ALPN != "http/1.1" || !info.Remote.IsValid() || info.PeerID != "" {
							t.Errorf("info: %+v", info)
						}
					})
				}
			}
		})
	}
}

// TestClient talks to crypto/tls as the server, and to itself on both ends.
func TestClient(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, version := range versions {
				t.Run(name, func(t *testing.T) {
					l := evlooptest.Loop(t, kind)
					h := tlsconn.NewHandshaker(0, 0)
					server, client := configs(t, version)
					client.NextProtos = []string{"h2"}
					lower, peer := evlooptest.Pair(t, l, "tcp")
					m := newMover(false)
					data := noise(3 << 20)
					stood := make(chan result, 1)
					evlooptest.On(t, l, func() {
						h.Client(l, lower, client, func(c evloop.Conn, err error) {
							if err == nil {
								m.held = data
								m.own(c)
							}
							stood <- result{c, err}
						})
					})
					c := tls.Server(peer, server)
					got := make([]byte, len(data))
					if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
						t.Fatalf("the server got something else: %v", err)
					}
					r := evlooptest.Wait(t, "the handshake", stood)
					if info := r.conn.Info(); info.ALPN != "h2" || info.PeerID != "a.test" || info.ServerName != "a.test" {
						t.Errorf("info: %+v", info)
					}
					_, _ = c.Write(data)
					_ = c.CloseWrite()
					if err := evlooptest.Wait(t, "the end", m.end); !errors.Is(err, io.EOF) || !bytes.Equal(m.got, data) {
						t.Errorf("got %d bytes, %v", len(m.got), err)
					}
				})
			}
		})
	}
}

// TestTruncation: only close_notify is an orderly end.
func TestTruncation(t *testing.T) {
	tests := map[string]struct {
		end  func(c *tls.Conn, peer net.Conn)
		want func(err error) bool
	}{
		"close_notify": {func(c *tls.Conn, _ net.Conn) { _ = c.CloseWrite() }, func(err error) bool { return errors.Is(err, io.EOF) }},
		"end without":  {func(_ *tls.Conn, p net.Conn) { _ = p.(*net.TCPConn).CloseWrite() }, func(err error) bool { return errors.Is(err, tlsconn.ErrTruncated) }},
		"reset": {func(_ *tls.Conn, p net.Conn) { _ = p.(*net.TCPConn).SetLinger(0); _ = p.Close() }, func(err error) bool {
			return err != nil && !errors.Is(err, io.EOF)
		}},
		"half a record": {func(_ *tls.Conn, p net.Conn) {
			_, _ = p.Write([]byte{23, 3, 3, 1, 0, 1, 2, 3})
			_ = p.(*net.TCPConn).CloseWrite()
		}, func(err error) bool { return errors.Is(err, tlsconn.ErrTruncated) }},
		"garbage": {func(_ *tls.Conn, p net.Conn) { _, _ = p.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }, func(err error) bool {
			return err != nil && !errors.Is(err, io.EOF)
		}},
	}
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, test := range tests {
				for vname, version := range versions {
					t.Run(name+" "+vname, func(t *testing.T) {
						l := evlooptest.Loop(t, kind)
						server, client := configs(t, version)
						m := newMover(false)
						peer, done := serve(t, l, tlsconn.NewHandshaker(0, 0), server, m.own)
						c := tls.Client(peer, client)
						if _, err := c.Write([]byte("hello")); err != nil {
							t.Fatal(err)
						}
						evlooptest.Wait(t, "the handshake", done)
						time.Sleep(5 * time.Millisecond)
						test.end(c, peer)
						err := evlooptest.Wait(t, "the end", m.end)
						if !test.want(err) || string(m.got) != "hello" {
							t.Errorf("got %q and %v", m.got, err)
						}
					})
				}
			}
		})
	}
}

// slow hands out what it has in pieces of one byte and more.
type slow struct {
	net.Conn
	step int
}

func (s *slow) Write(p []byte) (int, error) {
	for i := 0; i < len(p); i += s.step {
		if _, err := s.Conn.Write(p[i:min(i+s.step, len(p))]); err != nil {
			return i, err
		}
		if i%(16*s.step) == 0 {
			time.Sleep(50 * time.Microsecond)
		}
	}
	return len(p), nil
}

// TestFragments: records and handshake messages that arrive byte by byte.
func TestFragments(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, version := range versions {
				for _, step := range []int{1, 5, 700} {
					t.Run(name, func(t *testing.T) {
						l := evlooptest.Loop(t, kind)
						server, client := configs(t, version)
						m := newMover(true)
						peer, _ := serve(t, l, tlsconn.NewHandshaker(0, 0), server, m.own)
						c := tls.Client(&slow{peer, step}, client)
						data := noise(2000)
						if _, err := c.Write(data); err != nil {
							t.Fatal(err)
						}
						got := make([]byte, len(data))
						if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
							t.Errorf("came back: %v", err)
						}
						_ = c.CloseWrite()
						if err := evlooptest.Wait(t, "the end", m.end); !errors.Is(err, io.EOF) {
							t.Errorf("the end: %v", err)
						}
					})
				}
			}
		})
	}
}

// TestBackPressure: a peer that reads nothing stops Write, and all that was taken
// is delivered after Close.
func TestBackPressure(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			server, client := configs(t, tls.VersionTLS13)
			m := newMover(false)
			peer, done := serve(t, l, tlsconn.NewHandshaker(0, 0), server, m.own)
			c := tls.Client(peer, client)
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			r := evlooptest.Wait(t, "the handshake", done)
			data := noise(32 << 20)
			taken := 0
			evlooptest.On(t, l, func() {
				n, err := r.conn.Write(data[:100], data[100:])
				if taken = n; n == len(data) || !errors.Is(err, evloop.ErrAgain) {
					t.Errorf("took %d, %v", n, err)
				}
				if n, err := r.conn.Write(data, nil); n != 0 || !errors.Is(err, evloop.ErrAgain) {
					t.Errorf("took %d more, %v", n, err)
				}
				r.conn.Close()
				if _, err := r.conn.Write(data, nil); !errors.Is(err, evloop.ErrClosed) {
					t.Errorf("after Close: %v", err)
				}
			})
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, data[:taken]) {
				t.Errorf("got %d of %d, %v", len(got), taken, err)
			}
			eventually(t, "the lower connection is closed", func() bool { return l.Conns() == 0 })
		})
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(evlooptest.Patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if f() {
			return
		}
	}
	t.Errorf("never: %s", what)
}

// TestOneRecord: a head and a short body are one record and one packet.
func TestOneRecord(t *testing.T) {
	l := evlooptest.Loop(t, evloop.Native)
	server, client := configs(t, tls.VersionTLS13)
	peer, done := serve(t, l, tlsconn.NewHandshaker(0, 0), server, nil)
	raw := &counting{Conn: peer}
	c := tls.Client(raw, client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	r := evlooptest.Wait(t, "the handshake", done)
	for _, test := range []struct{ a, b, records int }{{10, 0, 1}, {200, 5000, 1}, {200, 16184, 1}, {200, 20_000, 2}, {40_000, 40_000, 5}} {
		data := noise(test.a + test.b)
		evlooptest.On(t, l, func() {
			if n, err := r.conn.Write(data[:test.a], data[test.a:]); n != len(data) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
		})
		raw.bytes = 0
		got := make([]byte, len(data))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
			t.Fatal(err)
		}
		// A record adds 5 bytes of header, 1 of type and 16 of tag; the first read
		// also brought the session ticket.
		if over := raw.bytes - len(data); test.a != 10 && over != 22*test.records {
			t.Errorf("%d and %d bytes took %d more, not %d records", test.a, test.b, over, test.records)
		}
	}
	evlooptest.On(t, l, r.conn.Close)
}

type counting struct {
	net.Conn
	bytes int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes += n
	return n, err
}

// TestSessions: the second handshake resumes the first's session, on another loop.
func TestSessions(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, version := range versions {
				t.Run(name, func(t *testing.T) {
					server, client := configs(t, version)
					client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
					h := tlsconn.NewHandshaker(0, 0)
					for i := range 3 {
						l := evlooptest.Loop(t, kind)
						m := newMover(true)
						peer, _ := serve(t, l, h, server, m.own)
						c := tls.Client(peer, client)
						if _, err := c.Write([]byte("x")); err != nil {
							t.Fatal(err)
						}
						if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
							t.Fatal(err)
						}
						if resumed := c.ConnectionState().DidResume; resumed != (i > 0) {
							t.Errorf("connection %d: resumed is %v", i, resumed)
						}
						_ = c.CloseWrite()
						if err := evlooptest.Wait(t, "the end", m.end); !errors.Is(err, io.EOF) {
							t.Errorf("the end: %v", err)
						}
					}
				})
			}
		})
	}
}

func TestPeerID(t *testing.T) {
	ca := tlstest.NewAuthority(t, "ca")
	for name, test := range map[string]struct {
		leaf tlstest.Leaf
		auth tls.ClientAuthType
		want string
	}{
		"SPIFFE":       {tlstest.Leaf{URIs: []string{"spiffe://td/ns/a"}, DNS: []string{"b"}}, tls.RequireAndVerifyClientCert, "spiffe://td/ns/a"},
		"DNS name":     {tlstest.Leaf{DNS: []string{"b", "c"}}, tls.VerifyClientCertIfGiven, "b"},
		"not verified": {tlstest.Leaf{DNS: []string{"b", "c"}}, tls.RequestClientCert, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := evlooptest.Loop(t, evloop.Native)
			server, client := configs(t, tls.VersionTLS13)
			server.ClientAuth, server.ClientCAs = test.auth, ca.Pool()
			client.Certificates = []tls.Certificate{ca.Certificate(test.leaf)}
			m := newMover(true)
			peer, done := serve(t, l, tlsconn.NewHandshaker(0, 0), server, m.own)
			c := tls.Client(peer, client)
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			r := evlooptest.Wait(t, "the handshake", done)
			if r.err != nil || r.conn.Info().PeerID != test.want {
				t.Errorf("%+v", r)
			}
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c) // the tickets: unread, they would make Close a reset
			if err := evlooptest.Wait(t, "the end", m.end); !errors.Is(err, io.EOF) {
				t.Errorf("the end: %v", err)
			}
		})
	}
}

// TestChaos: many clients that end in any way, at any time.
func TestChaos(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			g, err := evloop.NewGroup(2, kind)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = g.Stop() }()
			h := tlsconn.NewHandshaker(4, 0)
			server, client := configs(t, tls.VersionTLS13)
			client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			ln := evlooptest.Listen(t, "tcp")
			stop, err := g.Listen(ln, func(l *evloop.Loop, lower evloop.Conn) {
				h.Server(l, lower, server, func(c evloop.Conn, err error) {
					if err == nil {
						newMover(true).own(c)
					}
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			var all sync.WaitGroup
			for worker := range 8 {
				all.Go(func() {
					for i := range 25 {
						peer, err := net.Dial("tcp", ln.Addr().String())
						if err != nil {
							t.Error(err)
							return
						}
						chaosClient(t, peer, client, worker*31+i)
						_ = peer.Close()
					}
				})
			}
			all.Wait()
			for _, l := range g.Loops() {
				eventually(t, "all are closed", func() bool { return l.Conns() == 0 })
			}
			eventually(t, "no handshake runs", func() bool { return h.Active() == 0 })
		})
	}
}

func chaosClient(t *testing.T, peer net.Conn, config *tls.Config, i int) {
	t.Helper()
	_ = peer.SetDeadline(time.Now().Add(evlooptest.Patience))
	data := noise(1 + i*7919%100_000)
	if i%5 == 4 {
		_, _ = peer.Write(data[:min(len(data), 20)]) // no handshake at all
		return
	}
	c := tls.Client(peer, config)
	sent := make(chan error, 1)
	go func() { _, err := c.Write(data); sent <- err }()
	switch i % 5 {
	case 0, 1:
		got := make([]byte, len(data))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
			t.Errorf("client %d: %v", i, err)
		}
		_ = c.CloseWrite()
		if n, err := c.Read(got); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("client %d, the end: %d, %v", i, n, err)
		}
	case 2:
		_, _ = c.Read(data[:1:1])
		_ = peer.(*net.TCPConn).SetLinger(0)
	default:
		time.Sleep(time.Duration(i%7) * 100 * time.Microsecond)
	}
	_ = peer.Close()
	if err := <-sent; err != nil && i%5 < 2 {
		t.Errorf("client %d: %v", i, err)
	}
}
