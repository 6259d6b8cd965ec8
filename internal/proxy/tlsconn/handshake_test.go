package tlsconn_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn/tlstest"
)

func TestHandshakeFails(t *testing.T) {
	ca := tlstest.NewAuthority(t, "ca")
	foreign := tlstest.NewAuthority(t, "other").Certificate(tlstest.Leaf{})
	do := func(c *tls.Config) func(net.Conn) {
		return func(peer net.Conn) {
			tc := tls.Client(peer, c)
			_ = tc.Handshake()
			_, _ = tc.Read(make([]byte, 1))
		}
	}
	tests := map[string]struct {
		client func(peer net.Conn)
		server func(*tls.Config)
		want   tlsconn.Reason
	}{
		"nothing comes":  {client: func(net.Conn) {}, want: tlsconn.ReasonTimeout},
		"half a hello":   {client: func(c net.Conn) { _, _ = c.Write([]byte{22, 3, 1, 1, 0, 1, 0}) }, want: tlsconn.ReasonTimeout},
		"the peer goes":  {client: func(c net.Conn) { _ = c.Close() }, want: tlsconn.ReasonClosed},
		"it goes midway": {client: func(c net.Conn) { _, _ = c.Write([]byte{22, 3, 1, 1, 0, 1, 0}); _ = c.Close() }, want: tlsconn.ReasonClosed},
		"a reset":        {client: func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }, want: tlsconn.ReasonClosed},
		"HTTP":           {client: func(c net.Conn) { _, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")) }, want: tlsconn.ReasonNotTLS},
		"no trust":       {client: do(&tls.Config{ServerName: "a.test"}), want: tlsconn.ReasonRefused},
		"old version":    {client: do(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}), want: tlsconn.ReasonNegotiation},
		"no ALPN":        {client: do(&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"smtp"}}), want: tlsconn.ReasonNegotiation},
		"no certificate": {
			client: do(&tls.Config{InsecureSkipVerify: true}), want: tlsconn.ReasonNoCertificate,
			server: func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool() },
		},
		"untrusted": {
			client: do(&tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &foreign, nil }}),
			server: func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool() },
			want:   tlsconn.ReasonUntrusted,
		},
	}
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					timeout := evlooptest.Patience
					if test.want == tlsconn.ReasonTimeout {
						timeout = 50 * time.Millisecond
					}
					l := evlooptest.Loop(t, kind)
					server, _ := configs(t, 0)
					if test.server != nil {
						test.server(server)
					}
					h := tlsconn.NewHandshaker(0, timeout)
					peer, done := serve(t, l, h, server, nil)
					ended := make(chan bool)
					go func() { test.client(peer); close(ended) }()
					r := evlooptest.Wait(t, "the failure", done)
					var failed *tlsconn.HandshakeError
					if !errors.As(r.err, &failed) || failed.Reason != test.want || r.conn != nil {
						t.Errorf("%v, not %s", r.err, test.want)
					}
					evlooptest.Wait(t, "the client", ended)
					eventually(t, "no connection, no handshake", func() bool { return l.Conns() == 0 && h.Active() == 0 })
					if _, err := io.Copy(io.Discard, peer); errors.Is(err, net.ErrClosed) {
						return
					}
				})
			}
		})
	}
}

// TestAlert: a client that is refused gets to know why, though it sent more.
func TestAlert(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			server, client := configs(t, tls.VersionTLS13)
			server.ClientAuth = tls.RequireAnyClientCert
			peer, done := serve(t, l, tlsconn.NewHandshaker(0, 0), server, nil)
			c := tls.Client(peer, client)
			if err := c.Handshake(); err != nil {
				t.Fatal(err) // in version 1.3 the client is done before the server judges
			}
			_, err := c.Read(make([]byte, 1))
			if err == nil || !strings.Contains(err.Error(), "certificate required") {
				t.Errorf("the client got %v", err)
			}
			evlooptest.Wait(t, "the failure", done)
		})
	}
}

// TestHandshakesAreBounded: what is above the limit waits, what is above the queue
// is refused, and the time-out counts from the begin.
func TestHandshakesAreBounded(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			server, client := configs(t, tls.VersionTLS13)
			h := tlsconn.NewHandshaker(1, 600*time.Millisecond)
			var all []<-chan result
			for range 8 {
				lower, _ := evlooptest.Pair(t, l, "tcp")
				done := make(chan result, 1)
				all = append(all, done)
				evlooptest.On(t, l, func() {
					h.Client(l, lower, client, func(c evloop.Conn, err error) { done <- result{c, err} })
				})
			}
			if n := h.Active(); n != 1 {
				t.Errorf("%d run at once", n)
			}
			begun := time.Now()
			reasons := map[tlsconn.Reason]int{}
			for _, done := range all {
				var failed *tlsconn.HandshakeError
				if r := evlooptest.Wait(t, "an end", done); errors.As(r.err, &failed) {
					reasons[failed.Reason]++
				}
			}
			if reasons[tlsconn.ReasonTimeout] != 5 || reasons[tlsconn.ReasonOverload] != 3 || time.Since(begun) > 5*time.Second {
				t.Errorf("after %v: %v", time.Since(begun), reasons)
			}
			// There is room again.
			peer, done := serve(t, l, h, server, func(c evloop.Conn) { newMover(true).own(c) })
			c := tls.Client(peer, client)
			if err := c.Handshake(); err != nil {
				t.Error(err)
			}
			evlooptest.Wait(t, "a handshake", done)
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		})
	}
}

// TestQueueForgets: a handshake whose peer goes away while it waits ends at once.
func TestQueueForgets(t *testing.T) {
	l := evlooptest.Loop(t, evloop.Native)
	_, client := configs(t, tls.VersionTLS13)
	h := tlsconn.NewHandshaker(1, 0)
	var peers []net.Conn
	ends := make(chan error, 2)
	var first evloop.Conn
	for i := range 2 {
		lower, peer := evlooptest.Pair(t, l, "tcp")
		peers = append(peers, peer)
		evlooptest.On(t, l, func() {
			c := h.Client(l, lower, client, func(_ evloop.Conn, err error) { ends <- err })
			if i == 0 {
				first = c
			}
		})
	}
	_ = peers[1].Close()
	var failed *tlsconn.HandshakeError
	if err := evlooptest.Wait(t, "the second's end", ends); !errors.As(err, &failed) || failed.Reason != tlsconn.ReasonClosed {
		t.Errorf("%v", err)
	}
	if h.Active() != 1 {
		t.Error("the first does not run any more")
	}
	evlooptest.On(t, l, first.Close)
}

// TestCloseWrite: close_notify and the end of the connection below, and the other
// direction goes on.
func TestCloseWrite(t *testing.T) {
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
			evlooptest.On(t, l, func() {
				if err := errors.Join(r.conn.CloseWrite(), r.conn.CloseWrite()); err != nil {
					t.Error(err)
				}
			})
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("TLS: %v", err)
			}
			if n, err := peer.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("below: %d, %v", n, err)
			}
			_, _ = c.Write([]byte("late"))
			_ = c.CloseWrite()
			if err := evlooptest.Wait(t, "the end", m.end); !errors.Is(err, io.EOF) || string(m.got) != "late" {
				t.Errorf("%q, %v", m.got, err)
			}
		})
	}
}

func TestGiveUp(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, give := range map[string]func(evloop.Conn){"close": evloop.Conn.Close, "reset": evloop.Reset} {
				for _, after := range []time.Duration{0, 5 * time.Millisecond} {
					t.Run(name, func(t *testing.T) {
						l := evlooptest.Loop(t, kind)
						_, client := configs(t, tls.VersionTLS13)
						h := tlsconn.NewHandshaker(1, 0)
						for range 3 { // one runs, two wait
							lower, _ := evlooptest.Pair(t, l, "tcp")
							var c evloop.Conn
							evlooptest.On(t, l, func() {
								c = h.Client(l, lower, client, func(_ evloop.Conn, err error) { t.Errorf("done: %v", err) })
								if _, err := c.Read(make([]byte, 1)); !errors.Is(err, evloop.ErrAgain) {
									t.Errorf("Read: %v", err)
								}
							})
							time.Sleep(after)
							evlooptest.On(t, l, func() { give(c); give(c) })
						}
						eventually(t, "no handshake runs", func() bool { return h.Active() == 0 && l.Conns() == 0 })
					})
				}
			}
		})
	}
}

// openssl runs s_client against ours. It sends each line when what the one before
// was to bring has been printed.
func openssl(t *testing.T, addr string, lines []string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed; CI has it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), evlooptest.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"s_client", "-connect", addr}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var printed []byte
	for _, line := range lines {
		want := line
		if strings.EqualFold(line, "k") {
			want = "KEYUPDATE"
		}
		before := bytes.Count(printed, []byte(want))
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			t.Error(err)
		}
		for piece := make([]byte, 4096); bytes.Count(printed, []byte(want)) == before; {
			n, err := out.Read(piece)
			if printed = append(printed, piece[:n]...); err != nil {
				t.Fatalf("%q brought no %q: %v\n%s", line, want, err, printed)
			}
		}
	}
	_ = in.Close()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
}

// TestOpenSSL talks to another implementation, with key updates asked for in both
// forms, which crypto/tls never sends.
func TestOpenSSL(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			server, _ := configs(t, 0)
			ln := evlooptest.Listen(t, "tcp")
			evlooptest.On(t, l, func() {
				h := tlsconn.NewHandshaker(0, 0)
				stop, err := l.Listen(ln, func(lower evloop.Conn) {
					h.Server(l, lower, server, func(c evloop.Conn, err error) {
						if err != nil {
							t.Errorf("handshake: %v", err)
							return
						}
						newMover(true).own(c)
					})
				})
				if err != nil {
					t.Error(err)
				}
				t.Cleanup(func() { l.Call(stop) })
			})
			lines := []string{"one", "K", "K", "K", "two", "k", "k", "k", "three"}
			openssl(t, ln.Addr().String(), lines, "-tls1_3", "-servername", "a.test")
			openssl(t, ln.Addr().String(), []string{"line"}, "-tls1_2", "-servername", "a.test", "-quiet", "-no_ign_eof")
			eventually(t, "all are closed", func() bool { return l.Conns() == 0 })
		})
	}
}

// TestOutputIsBounded: a peer that makes us answer and never reads must not fill
// our memory.
func TestOutputIsBounded(t *testing.T) {
	l := evlooptest.Loop(t, evloop.Native)
	server, client := configs(t, tls.VersionTLS13)
	peer, done := serve(t, l, tlsconn.NewHandshaker(0, 0), server, nil)
	if err := tls.Client(peer, client).Handshake(); err != nil {
		t.Fatal(err)
	}
	r := evlooptest.Wait(t, "the handshake", done)
	evlooptest.On(t, l, func() {
		defer r.conn.Close()
		for err := error(nil); err == nil; {
			_, err = r.conn.Write(bytes.Repeat([]byte("x"), 100_000), nil)
		}
		for i := range 100_000 {
			if err := tlsconn.Answer(r.conn); err != nil {
				if i < 10 {
					t.Errorf("only %d answers", i)
				}
				return
			}
		}
		t.Error("no bound")
	})
}

func BenchmarkReadWrite(b *testing.B) {
	for name, size := range map[string]int{"200B": 200, "16KiB": 16 << 10, "64KiB": 64 << 10} {
		b.Run(name, func(b *testing.B) {
			l := evlooptest.Loop(b, evloop.Native)
			server, client := configs(b, tls.VersionTLS13)
			serverEnd, clientEnd := make(chan evloop.Conn, 1), make(chan evloop.Conn, 1)
			ln := evlooptest.Listen(b, "tcp")
			dialled := evlooptest.Dial(b, ln)
			accepted := evlooptest.Accept(b, ln)
			h := tlsconn.NewHandshaker(0, 0)
			evlooptest.On(b, l, func() {
				x, _ := l.Adopt(accepted)
				y, _ := l.Adopt(dialled)
				h.Server(l, x, server, func(c evloop.Conn, _ error) { serverEnd <- c })
				h.Client(l, y, client, func(c evloop.Conn, _ error) { clientEnd <- c })
			})
			w, r := <-serverEnd, <-clientEnd
			buf := make([]byte, 64<<10)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			left := make(chan int, 1)
			evlooptest.On(b, l, func() {
				p := &pinger{from: w, to: r, buf: buf, size: size, rounds: b.N, done: left}
				r.Handle(p)
				p.next()
			})
			<-left
			b.StopTimer()
			evlooptest.On(b, l, func() { w.Close(); r.Close() })
		})
	}
}

// pinger sends the next message when all of the last one has come.
type pinger struct {
	from, to     evloop.Conn
	buf          []byte
	size, rounds int
	got          int
	done         chan int
}

func (p *pinger) next() {
	if p.rounds == 0 {
		p.done <- 0
		return
	}
	p.rounds--
	p.got = 0
	_, _ = p.from.Write(p.buf[:100], p.buf[100:p.size])
}

func (p *pinger) Readable() {
	for {
		n, err := p.to.Read(p.buf)
		if err != nil {
			return
		}
		if p.got += n; p.got == p.size {
			p.next()
		}
	}
}

func (p *pinger) Writable()    {}
func (p *pinger) Hangup(error) {}
