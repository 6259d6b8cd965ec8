package tunnel_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn/tlstest"
	"github.com/tatami-platform/tatami/internal/proxy/tunnel"
)

func noise(size int) []byte {
	p := make([]byte, size)
	x := uint32(size) | 1
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

// joined is a tunnel between the peers a and b.
func joined(tb testing.TB, l *evloop.Loop, network string, o tunnel.Options) (a, b net.Conn, done <-chan tunnel.Result) {
	tb.Helper()
	ours, a := evlooptest.Pair(tb, l, network)
	theirs, b := evlooptest.Pair(tb, l, network)
	ended := make(chan tunnel.Result, 2)
	o.Done = func(r tunnel.Result) { ended <- r }
	evlooptest.On(tb, l, func() { tunnel.Start(l, ours, theirs, o) })
	return a, b, ended
}

type halfCloser interface{ CloseWrite() error }

// carry sends data and its end from one to the other and checks it.
func carry(t *testing.T, from, to net.Conn, data []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(data)
		sent <- errors.Join(err, from.(halfCloser).CloseWrite())
	}()
	got, err := io.ReadAll(to)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("carried %d bytes of %d, %v", len(got), len(data), err)
	}
	if err := <-sent; err != nil {
		t.Errorf("send: %v", err)
	}
}

func TestBothWays(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for _, network := range []string{"tcp", "unix"} {
				for _, size := range []int{0, 1, 8 << 10, 64 << 10, 64<<10 + 1, 20 << 20} {
					l := evlooptest.Loop(t, kind)
					a, b, done := joined(t, l, network, tunnel.Options{Idle: evlooptest.Patience})
					there, back := noise(size), noise(size/2)
					var all sync.WaitGroup
					all.Go(func() { carry(t, a, b, there) })
					all.Go(func() { carry(t, b, a, back) })
					all.Wait()
					r := evlooptest.Wait(t, "the end", done)
					if r.Err != nil || r.AToB != int64(len(there)) || r.BToA != int64(len(back)) {
						t.Errorf("%s %d: %+v", network, size, r)
					}
					if n := l.Conns(); n != 0 {
						t.Errorf("%d connections are left", n)
					}
				}
			}
		})
	}
}

// TestHalfClose: each direction ends alone, and the other goes on.
func TestHalfClose(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			a, b, done := joined(t, l, "tcp", tunnel.Options{InitialA: []byte("first "), InitialB: noise(100_000)})
			carry(t, a, &prefixed{b, []byte("first ")}, []byte("request"))
			carry(t, b, &prefixed{a, noise(100_000)}, noise(3<<20))
			if r := evlooptest.Wait(t, "the end", done); r.Err != nil || r.AToB != 13 || r.BToA != 3<<20+100_000 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// prefixed wants a prefix before the rest.
type prefixed struct {
	net.Conn
	want []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.want) > 0 {
		got := make([]byte, len(p.want))
		if _, err := io.ReadFull(p.Conn, got); err != nil || !bytes.Equal(got, p.want) {
			return 0, errors.New("another prefix")
		}
		p.want = nil
	}
	return p.Conn.Read(b)
}

// TestInteractive changes between small messages and bulk, so that the tunnel
// changes between copying and splicing.
func TestInteractive(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			a, b, done := joined(t, l, "tcp", tunnel.Options{})
			for round := range 30 {
				size := 100
				if round%10 == 5 {
					size = 5 << 20
				}
				data := noise(size + round)
				go func() { _, _ = a.Write(data) }()
				got := make([]byte, len(data))
				if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("round %d: %v", round, err)
				}
				_, _ = b.Write(got[:50])
				if _, err := io.ReadFull(a, got[:50]); err != nil {
					t.Fatal(err)
				}
			}
			_ = a.Close()
			_ = b.Close()
			evlooptest.Wait(t, "the end", done)
		})
	}
}

func TestReset(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, size := range map[string]int{"at rest": 0, "copying": 1000, "in bulk": 4 << 20} {
				for _, fromA := range []bool{true, false} {
					t.Run(name, func(t *testing.T) {
						l := evlooptest.Loop(t, kind)
						a, b, done := joined(t, l, "tcp", tunnel.Options{})
						if !fromA {
							a, b = b, a
						}
						go func() {
							_, _ = a.Write(noise(size))
							_ = a.(*net.TCPConn).SetLinger(0)
							_ = a.Close()
						}()
						_, err := io.ReadAll(b)
						if err == nil {
							t.Error("the reset looks like an orderly end")
						}
						if r := evlooptest.Wait(t, "the end", done); r.Err == nil || r.BrokenA != fromA {
							t.Errorf("%+v", r)
						}
					})
				}
			}
		})
	}
}

func TestIdle(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			const idle = 300 * time.Millisecond
			a, b, done := joined(t, l, "tcp", tunnel.Options{Idle: idle})
			begun := time.Now()
			for range 8 { // longer than idle in all
				time.Sleep(idle / 4)
				_, _ = b.Write([]byte("x"))
				if _, err := io.ReadFull(a, make([]byte, 1)); err != nil {
					t.Fatalf("after %v: %v", time.Since(begun), err)
				}
			}
			if r := evlooptest.Wait(t, "the end", done); !errors.Is(r.Err, tunnel.ErrIdle) || time.Since(begun) < 2*idle {
				t.Errorf("after %v: %+v", time.Since(begun), r)
			}
			if _, err := a.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("a got %v", err)
			}
		})
	}
}

func TestClose(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			ours, a := evlooptest.Pair(t, l, "tcp")
			theirs, b := evlooptest.Pair(t, l, "tcp")
			var results []tunnel.Result
			evlooptest.On(t, l, func() {
				tun := tunnel.Start(l, ours, theirs, tunnel.Options{Done: func(r tunnel.Result) { results = append(results, r) }})
				if len(results) > 0 {
					t.Error("Done before Start returned")
				}
				tun.Close()
				tun.Close()
			})
			evlooptest.On(t, l, func() {
				if len(results) != 1 || !errors.Is(results[0].Err, tunnel.ErrClosed) {
					t.Errorf("%+v", results)
				}
			})
			for _, c := range []net.Conn{a, b} {
				if _, err := c.Read(make([]byte, 1)); err == nil {
					t.Error("still open")
				}
			}
		})
	}
}

// TestBackPressure: a reader that stops must stop the writer, in bounded memory.
func TestBackPressure(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			a, b, done := joined(t, l, "tcp", tunnel.Options{})
			data := noise(64 << 20)
			sent := make(chan bool)
			go func() {
				_, _ = a.Write(data)
				_ = a.Close()
				close(sent)
			}()
			select {
			case <-sent:
				t.Error("64 MiB went nowhere")
			case <-time.After(200 * time.Millisecond):
			}
			got, err := io.ReadAll(b)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
			_ = b.Close()
			evlooptest.Wait(t, "the end", done)
		})
	}
}

// TestTLS: TLS on one side, plain on the other; close_notify and half-close are
// passed on, and a missing close_notify is a reset.
func TestTLS(t *testing.T) {
	ca := tlstest.NewAuthority(t, "ca")
	server := &tls.Config{Certificates: []tls.Certificate{ca.Certificate(tlstest.Leaf{DNS: []string{"a.test"}})}}
	client := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for _, orderly := range []bool{true, false} {
				l := evlooptest.Loop(t, kind)
				lower, raw := evlooptest.Pair(t, l, "tcp")
				theirs, b := evlooptest.Pair(t, l, "tcp")
				done := make(chan tunnel.Result, 1)
				evlooptest.On(t, l, func() {
					tlsconn.NewHandshaker(0, 0).Server(l, lower, server, func(c evloop.Conn, err error) {
						if err != nil {
							t.Error(err)
							return
						}
						tunnel.Start(l, c, theirs, tunnel.Options{Done: func(r tunnel.Result) { done <- r }})
					})
				})
				a := tls.Client(raw, client)
				if orderly {
					var all sync.WaitGroup
					all.Go(func() { carry(t, a, b, noise(5<<20)) })
					all.Go(func() { carry(t, b, a, noise(4<<20)) })
					all.Wait()
				} else {
					_, _ = a.Write([]byte("half"))
					_, _ = io.ReadFull(b, make([]byte, 4))
					_ = raw.Close()
					if _, err := b.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
						t.Errorf("truncation looks like %v", err)
					}
				}
				if r := evlooptest.Wait(t, "the end", done); (r.Err == nil) != orderly {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// TestChaos: many tunnels whose peers end in any way; what arrives is a prefix of
// what was sent, and all of it when the end is orderly.
func TestChaos(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			var all sync.WaitGroup
			for i := range 60 {
				a, b, done := joined(t, l, "tcp", tunnel.Options{Idle: evlooptest.Patience})
				all.Go(func() {
					data := noise(1 + i*i*997)
					ends := make(chan bool)
					go func() {
						defer close(ends)
						_, _ = a.Write(data)
						switch i % 4 {
						case 0:
							_ = a.(*net.TCPConn).CloseWrite()
						case 1:
							_ = a.(*net.TCPConn).SetLinger(0)
							_ = a.Close()
						default:
							_ = a.Close()
						}
					}()
					if i%4 == 3 { // the other side goes away in the middle
						_, _ = io.ReadFull(b, make([]byte, len(data)/2))
						_ = b.Close()
					}
					got, err := io.ReadAll(b)
					if i%4 != 3 && (!bytes.HasPrefix(data, got) || err == nil && len(got) != len(data)) {
						t.Errorf("%d: %d bytes of %d, %v", i, len(got), len(data), err)
					}
					_ = b.Close()
					<-ends
					_, _ = io.Copy(io.Discard, a)
					_ = a.Close()
					evlooptest.Wait(t, "the end", done)
				})
			}
			all.Wait()
			if n := l.Conns(); n != 0 {
				t.Errorf("%d connections are left", n)
			}
		})
	}
}

// TestNoAllocations counts what the whole process allocates while messages, and
// then bulk, go through: Read and Write of sockets allocate nothing either.
func TestNoAllocations(t *testing.T) {
	l := evlooptest.Loop(t, evloop.Native)
	a, b, done := joined(t, l, "tcp", tunnel.Options{Idle: time.Minute})
	for name, size := range map[string]int{"messages": 200, "bulk": 1 << 20} {
		out, in := make([]byte, size), make([]byte, size)
		next := make(chan bool)
		stopped := make(chan bool)
		go func() {
			defer close(stopped)
			for range next {
				_, _ = a.Write(out)
			}
		}()
		round := func(n int) {
			for range n {
				next <- true
				if _, err := io.ReadFull(b, in); err != nil {
					t.Error(err)
				}
			}
		}
		round(50) // buffers, pipes
		const rounds = 300
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		round(rounds)
		runtime.ReadMemStats(&after)
		if n := after.Mallocs - before.Mallocs; n > rounds/5 {
			t.Errorf("%s: %d allocations in %d rounds", name, n, rounds)
		}
		close(next)
		<-stopped
	}
	_, _ = a.Close(), b.Close()
	evlooptest.Wait(t, "the end", done)
}
