package evloop_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
)

func group(t *testing.T, n int, kind evloop.Kind) *evloop.Group {
	t.Helper()
	g, err := evloop.NewGroup(n, kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func TestGroupBalances(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for _, loops := range []int{1, 2, 5} {
				g := group(t, loops, kind)
				ln := evlooptest.Listen(t, "tcp")
				var mu sync.Mutex
				open := map[evloop.Conn]*evloop.Loop{}
				stop, err := g.Listen(ln, func(l *evloop.Loop, c evloop.Conn) {
					newEcho(c, nil)
					mu.Lock()
					defer mu.Unlock()
					open[c] = l
				})
				if err != nil {
					t.Fatal(err)
				}
				const conns = 40
				var clients []net.Conn
				for range conns {
					clients = append(clients, evlooptest.Dial(t, ln))
				}
				eventually(t, "all are accepted", func() bool {
					mu.Lock()
					defer mu.Unlock()
					return len(open) == conns
				})
				total := int64(0)
				least, most := int64(conns), int64(0)
				for _, l := range g.Loops() {
					total += l.Conns()
					least, most = min(least, l.Conns()), max(most, l.Conns())
				}
				// A quarter more is as good as equal, and two that accept at the same time
				// may choose the same third.
				if total != conns || most-least > 2+least/4+int64(loops)/2 {
					t.Errorf("%d connections, from %d to %d on one of %d loops", total, least, most, loops)
				}
				var all sync.WaitGroup
				for i, c := range clients {
					all.Go(func() { exchange(t, c, noise(3000+i)) })
				}
				all.Wait()
				stop()
				stop()
				eventually(t, "all are closed", func() bool {
					left := int64(0)
					for _, l := range g.Loops() {
						left += l.Conns()
					}
					return left == 0
				})
			}
		})
	}
}

// TestListenStop: every connection that a loop accepted is handed over, and those
// that it left are accepted by the next listener on the same socket.
func TestListenStop(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			ln := evlooptest.Listen(t, "tcp")
			stopDial := make(chan bool)
			var dials sync.WaitGroup
			var served counter
			for range 3 {
				dials.Go(func() {
					for {
						select {
						case <-stopDial:
							return
						default:
						}
						c, err := net.Dial("tcp", ln.Addr().String())
						if err != nil {
							t.Error(err)
							return
						}
						_ = c.SetDeadline(time.Now().Add(evlooptest.Patience))
						_, _ = c.Write([]byte("hello"))
						_ = c.(*net.TCPConn).CloseWrite()
						if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
							t.Errorf("got %q, %v", got, err)
						}
						served.Add(1)
						_ = c.Close()
					}
				})
			}
			old := group(t, 2, kind)
			accept := func(_ *evloop.Loop, c evloop.Conn) { newEcho(c, nil) }
			stop, err := old.Listen(ln, accept)
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				before := served.Load()
				eventually(t, "served", func() bool { return served.Load() > before+5 })
				next, err := old.Listen(ln, accept)
				if err != nil {
					t.Fatal(err)
				}
				stop()
				stop = next
			}
			close(stopDial)
			dials.Wait()
			stop()
		})
	}
}

func TestListenRefuses(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			g := group(t, 2, kind)
			if _, err := g.Listen(&strange{}, nil); err == nil {
				t.Error("a listener without a descriptor was taken")
			}
			closed := evlooptest.Listen(t, "tcp")
			_ = closed.Close()
			if _, err := g.Listen(closed, nil); err == nil {
				t.Error("a closed listener was taken")
			}
			if _, err := evloop.NewGroup(0, kind); err == nil {
				t.Error("a group without loops was made")
			}
		})
	}
}

type strange struct{ net.Listener }

func (*strange) Addr() net.Addr { return &net.TCPAddr{} }

// TestChaos connects both kinds of client through echoes that end in any way.
func TestChaos(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			g := group(t, 2, kind)
			ln := evlooptest.Listen(t, "tcp")
			var wrong counter
			stop, err := g.Listen(ln, func(_ *evloop.Loop, c evloop.Conn) { newEcho(c, nil) })
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for worker := range 8 {
				all.Go(func() {
					for i := range 40 {
						c, err := net.Dial("tcp", ln.Addr().String())
						if err != nil {
							t.Error(err)
							return
						}
						_ = c.SetDeadline(time.Now().Add(evlooptest.Patience))
						data := noise(1 + (worker*977+i*7919)%200_000)
						switch (worker + i) % 4 {
						case 0:
							exchange(t, c, data)
						case 1:
							_, _ = c.Write(data)
							reset(c)
						case 2:
							go func() { _, _ = c.Write(data) }()
							_, _ = io.ReadFull(c, make([]byte, len(data)/2))
							_ = c.Close()
						default:
							_ = c.Close()
						}
						var ne net.Error
						if _, err := c.Read(make([]byte, 1)); errors.As(err, &ne) && ne.Timeout() {
							wrong.Add(1)
						}
						_ = c.Close()
					}
				})
			}
			all.Wait()
			stop()
			for _, l := range g.Loops() {
				eventually(t, "all are closed", func() bool { return l.Conns() == 0 })
			}
			if wrong.Load() > 0 {
				t.Errorf("%d clients waited in vain", wrong.Load())
			}
		})
	}
}
