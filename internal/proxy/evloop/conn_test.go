package evloop_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
)

func TestEcho(t *testing.T) {
	sizes := map[string]int{"a byte": 1, "a buffer": evloop.SmallBuffer, "large": 5 << 20}
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for _, network := range []string{"tcp", "unix"} {
				for name, size := range sizes {
					t.Run(network+" "+name, func(t *testing.T) {
						l := evlooptest.Loop(t, kind)
						ln := evlooptest.Listen(t, network)
						ended := make(chan error, 1)
						listenOn(t, l, ln, func(c evloop.Conn) { newEcho(c, func(err error) { ended <- err }) })
						exchange(t, evlooptest.Dial(t, ln), noise(size))
						if err := evlooptest.Wait(t, "the echo's end", ended); err != nil {
							t.Errorf("the echo ended with %v", err)
						}
						eventually(t, "no connection is counted", func() bool { return l.Conns() == 0 })
					})
				}
			}
		})
	}
}

func TestManyConnections(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			ln := evlooptest.Listen(t, "tcp")
			listenOn(t, l, ln, func(c evloop.Conn) { newEcho(c, nil) })
			var all sync.WaitGroup
			for i := range 200 {
				c := evlooptest.Dial(t, ln)
				all.Go(func() { exchange(t, c, noise(10_000+i*37)) })
			}
			all.Wait()
		})
	}
}

func TestDial(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for _, network := range []string{"tcp", "unix"} {
				t.Run(network, func(t *testing.T) {
					l := evlooptest.Loop(t, kind)
					ln := evlooptest.Listen(t, network)
					stood := make(chan evloop.Conn, 1)
					ended := make(chan error, 1)
					evlooptest.On(t, l, func() {
						c, err := l.Dial(evlooptest.Addr(ln))
						if err != nil {
							t.Error(err)
							return
						}
						c.Handle(&events{
							writable: func() {
								newEcho(c, func(err error) { ended <- err })
								stood <- c
							},
							hangup: func(err error) { t.Errorf("hangup: %v", err) },
						})
					})
					peer := evlooptest.Accept(t, ln)
					c := evlooptest.Wait(t, "Writable", stood)
					exchange(t, peer, noise(100_000))
					if err := evlooptest.Wait(t, "the end", ended); err != nil {
						t.Error(err)
					}
					if info := c.Info(); network == "tcp" {
						local, _ := netip.ParseAddrPort(peer.RemoteAddr().String())
						remote, _ := netip.ParseAddrPort(peer.LocalAddr().String())
						if info.Local != local || info.Remote != remote {
							t.Errorf("info: %v %v, want %v %v", info.Local, info.Remote, local, remote)
						}
					}
				})
			}
		})
	}
}

func TestDialFails(t *testing.T) {
	closed := evlooptest.Listen(t, "tcp")
	addr, _ := evlooptest.Addr(closed)
	_ = closed.Close()
	tests := map[string]struct {
		addr netip.AddrPort
		unix string
	}{
		"refused":    {addr: addr},
		"no socket":  {unix: t.TempDir() + "/none"},
		"not a host": {addr: netip.MustParseAddrPort("255.255.255.255:1")},
	}
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					l := evlooptest.Loop(t, kind)
					failed := make(chan error, 1)
					evlooptest.On(t, l, func() {
						c, err := l.Dial(test.addr, test.unix)
						if err != nil {
							failed <- err
							return
						}
						c.Handle(&events{
							writable: func() { t.Error("Writable") },
							hangup:   func(err error) { c.Close(); failed <- err },
						})
					})
					if err := evlooptest.Wait(t, "the failure", failed); err == nil {
						t.Error("no error")
					}
					eventually(t, "no connection is counted", func() bool { return l.Conns() == 0 })
				})
			}
		})
	}
}

// TestDialGivenUp closes while connecting.
func TestDialGivenUp(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			ln := evlooptest.Listen(t, "tcp")
			evlooptest.On(t, l, func() {
				for range 20 {
					c, err := l.Dial(evlooptest.Addr(ln))
					if err != nil {
						t.Error(err)
						return
					}
					c.Handle(&events{
						writable: func() { t.Error("Writable after Close") },
						hangup:   func(err error) { t.Errorf("Hangup after Close: %v", err) },
					})
					c.Close()
					c.Close()
					if _, err := c.Read(make([]byte, 1)); !errors.Is(err, evloop.ErrClosed) {
						t.Errorf("Read: %v", err)
					}
					if _, err := c.Write([]byte("x"), nil); !errors.Is(err, evloop.ErrClosed) {
						t.Errorf("Write: %v", err)
					}
					if err := c.CloseWrite(); !errors.Is(err, evloop.ErrClosed) {
						t.Errorf("CloseWrite: %v", err)
					}
				}
			})
			time.Sleep(20 * time.Millisecond)
		})
	}
}

// drain reads until an end and tells it, with what came before.
type drain struct {
	conn evloop.Conn
	got  []byte
	end  chan error
}

func newDrain(c evloop.Conn) *drain { return &drain{conn: c, end: make(chan error, 8)} }

func (d *drain) Readable() {
	buf := make([]byte, 1000)
	for {
		n, err := d.conn.Read(buf)
		d.got = append(d.got, buf[:n]...)
		if errors.Is(err, evloop.ErrAgain) {
			return
		}
		if err != nil {
			d.end <- err
			return
		}
	}
}

func (d *drain) Writable()        {}
func (d *drain) Hangup(err error) { d.Readable(); d.end <- err }

func TestEnds(t *testing.T) {
	sent := noise(100_000)
	tests := map[string]struct {
		end    func(c net.Conn)
		before bool // the peer ends before the loop reads anything
		eof    bool
	}{
		"close":             {end: func(c net.Conn) { _ = c.Close() }, eof: true},
		"close before":      {end: func(c net.Conn) { _ = c.Close() }, before: true, eof: true},
		"half-close":        {end: func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }, eof: true},
		"half-close before": {end: func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }, before: true, eof: true},
		"reset":             {end: reset},
		"reset before":      {end: reset, before: true},
	}
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					l := evlooptest.Loop(t, kind)
					ours, peer := evlooptest.Pair(t, l, "tcp")
					d := newDrain(ours)
					if !test.before {
						evlooptest.On(t, l, func() { ours.Handle(d); d.Readable() })
					}
					if _, err := peer.Write(sent); err != nil {
						t.Fatal(err)
					}
					if !test.before && !test.eof {
						eventually(t, "all is read", func() bool {
							n := 0
							evlooptest.On(t, l, func() { n = len(d.got) })
							return n == len(sent)
						})
					}
					test.end(peer)
					if test.before {
						time.Sleep(10 * time.Millisecond)
						evlooptest.On(t, l, func() { ours.Handle(d); d.Readable() })
					}
					err := evlooptest.Wait(t, "the end", d.end)
					if errors.Is(err, io.EOF) != test.eof {
						t.Errorf("the end is %v", err)
					}
					evlooptest.On(t, l, func() {
						if test.eof && !bytes.Equal(d.got, sent) {
							t.Errorf("got %d bytes of %d", len(d.got), len(sent))
						}
						// The end stays what it was, however often one asks.
						for range 3 {
							if _, err := ours.Read(make([]byte, 10)); errors.Is(err, io.EOF) != test.eof || err == nil || errors.Is(err, evloop.ErrAgain) {
								t.Errorf("asked again: %v", err)
							}
						}
						ours.Close()
					})
				})
			}
		})
	}
}

// TestResetSeenByWrite: the error of the socket is taken by the call that sees it
// first; Read must not say io.EOF afterwards.
func TestResetSeenByWrite(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			ours, peer := evlooptest.Pair(t, l, "tcp")
			evlooptest.On(t, l, func() { ours.Handle(&events{}) })
			evlooptest.On(t, l, func() {
				reset(peer) // while the loop is here, so that no event comes between
				time.Sleep(5 * time.Millisecond)
				for range 10 {
					if _, err := ours.Write([]byte("x"), nil); err != nil {
						break
					}
					time.Sleep(time.Millisecond)
				}
				_, err := ours.Read(make([]byte, 10))
				if err == nil || errors.Is(err, io.EOF) || errors.Is(err, evloop.ErrAgain) {
					t.Errorf("Read: %v", err)
				}
				ours.Close()
			})
		})
	}
}

// TestResetAfterEnd: what came before an orderly end is whole, though the
// connection was reset later, because we still wrote.
func TestResetAfterEnd(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			ours, peer := evlooptest.Pair(t, l, "tcp")
			hung := make(chan error, 9)
			if _, err := peer.Write([]byte("all")); err != nil {
				t.Fatal(err)
			}
			_ = peer.Close()
			evlooptest.On(t, l, func() {
				ours.Handle(&events{hangup: func(err error) { hung <- err }})
				time.Sleep(5 * time.Millisecond)
				_, _ = ours.Write([]byte("x"), nil)
			})
			if kind == evloop.Native {
				if err := evlooptest.Wait(t, "the reset", hung); err == nil {
					t.Error("Hangup without an error")
				}
			} else {
				time.Sleep(20 * time.Millisecond)
			}
			evlooptest.On(t, l, func() {
				buf := make([]byte, 10)
				if n, err := ours.Read(buf); string(buf[:n]) != "all" || err != nil {
					t.Errorf("Read: %q, %v", buf[:n], err)
				}
				if _, err := ours.Read(buf); !errors.Is(err, io.EOF) {
					t.Errorf("the end: %v", err)
				}
				ours.Close()
			})
		})
	}
}

func TestReset(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for name, test := range map[string]struct {
				end func(evloop.Conn)
				eof bool
			}{
				"reset": {end: evloop.Reset},
				"close": {end: evloop.Conn.Close, eof: true},
			} {
				t.Run(name, func(t *testing.T) {
					l := evlooptest.Loop(t, kind)
					ours, peer := evlooptest.Pair(t, l, "tcp")
					evlooptest.On(t, l, func() {
						ours.Handle(&events{})
						_, _ = ours.Write([]byte("before"), nil)
					})
					buf := make([]byte, 6)
					if _, err := io.ReadFull(peer, buf); err != nil {
						t.Fatal(err)
					}
					evlooptest.On(t, l, func() { test.end(ours) })
					_, err := peer.Read(buf)
					if err == nil || errors.Is(err, io.EOF) != test.eof {
						t.Errorf("the peer got %v", err)
					}
				})
			}
		})
	}
}

// TestHalfClose: our direction ends, the other goes on.
func TestHalfClose(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			ours, peer := evlooptest.Pair(t, l, "tcp")
			d := newDrain(ours)
			evlooptest.On(t, l, func() {
				ours.Handle(d)
				_, _ = ours.Write([]byte("hea"), []byte("d"))
				if err := ours.CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			if got, err := io.ReadAll(peer); err != nil || string(got) != "head" {
				t.Errorf("the peer got %q, %v", got, err)
			}
			_, _ = peer.Write([]byte("late"))
			_ = peer.Close()
			if err := evlooptest.Wait(t, "the end", d.end); !errors.Is(err, io.EOF) || string(d.got) != "late" {
				t.Errorf("got %q, %v", d.got, err)
			}
			evlooptest.On(t, l, ours.Close)
		})
	}
}

// TestBackPressure: a peer that does not read stops Write at a bound, and a
// reader that does not read stops the peer.
func TestBackPressure(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			ours, peer := evlooptest.Pair(t, l, "tcp")
			data := noise(32 << 20)
			left := data
			done := make(chan bool, 1)
			var again int
			push := func() {
				for len(left) > 0 {
					half := min(len(left), 40_000)
					n, err := ours.Write(left[:half/2], left[half/2:half])
					left = left[n:]
					if errors.Is(err, evloop.ErrAgain) {
						again++
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
				ours.Close()
				done <- true
			}
			evlooptest.On(t, l, func() { ours.Handle(&events{writable: push}); push() })
			time.Sleep(50 * time.Millisecond)
			evlooptest.On(t, l, func() {
				if len(left) == 0 || again == 0 {
					t.Errorf("%d bytes are left, told to wait %d times", len(left), again)
				}
			})
			got, err := io.ReadAll(peer)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("got %d bytes of %d, %v", len(got), len(data), err)
			}
			evlooptest.Wait(t, "Write to end", done)
		})
	}
}

// TestCloseDelivers: what Write took is delivered though Close came right after.
func TestCloseDelivers(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			ours, peer := evlooptest.Pair(t, l, "tcp")
			taken := 0
			data := noise(60_000)
			evlooptest.On(t, l, func() {
				ours.Handle(&events{})
				taken, _ = ours.Write(data, nil)
				ours.Close()
			})
			if got, err := io.ReadAll(peer); err != nil || !bytes.Equal(got, data[:taken]) || taken == 0 {
				t.Errorf("got %d of %d, %v", len(got), taken, err)
			}
		})
	}
}

// TestCloseInCallback closes connections from the events of others, whose own
// events may be waiting in the same turn, and dials new ones that reuse their
// descriptors.
func TestCloseInCallback(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			ln := evlooptest.Listen(t, "tcp")
			const pairs = 20
			var ours [pairs]evloop.Conn
			var peers [pairs]net.Conn
			var told, stale counter
			for i := range pairs {
				ours[i], peers[i] = evlooptest.Pair(t, l, "tcp")
			}
			dialled := make(chan evloop.Conn, 2*pairs)
			one := func(i int) *events {
				return &events{readable: func() {
					told.Add(1)
					// Both neighbours go, their descriptors come back at once.
					for _, j := range []int{(i + 1) % pairs, (i + pairs - 1) % pairs} {
						if ours[j] == nil {
							continue
						}
						ours[j].Close()
						ours[j] = nil
						c, err := l.Dial(evlooptest.Addr(ln))
						if err != nil {
							t.Error(err)
							continue
						}
						up := false
						c.Handle(&events{
							readable: func() { stale.Add(1) }, // nobody sends anything here
							writable: func() {
								if !up {
									up = true
									dialled <- c
								}
							},
							hangup: func(error) { stale.Add(1) },
						})
					}
				}}
			}
			evlooptest.On(t, l, func() {
				for i := range pairs {
					ours[i].Handle(one(i))
				}
				for i := range pairs {
					_, _ = peers[i].Write([]byte("x"))
				}
				time.Sleep(10 * time.Millisecond) // all events in one turn
			})
			eventually(t, "an event", func() bool { return told.Load() > 0 })
			time.Sleep(50 * time.Millisecond)
			evlooptest.On(t, l, func() {
				for _, c := range ours {
					if c != nil {
						c.Close()
					}
				}
				for len(dialled) > 0 {
					(<-dialled).Close()
				}
			})
			if stale.Load() != 0 || told.Load() == pairs {
				t.Errorf("%d stale events, %d of %d told", stale.Load(), told.Load(), pairs)
			}
			_ = ln.Close()
		})
	}
}

// TestQuiet: asking takes nothing, neither bytes nor the error of a reset.
func TestQuiet(t *testing.T) {
	l := evlooptest.Loop(t, evloop.Native)
	tests := map[string]struct {
		do   func(net.Conn)
		want func(n int, err error) bool
	}{
		"nothing": {func(net.Conn) {}, func(n int, err error) bool { return n == 0 && errors.Is(err, evloop.ErrAgain) }},
		"a byte":  {func(c net.Conn) { _, _ = c.Write([]byte("x")) }, func(n int, err error) bool { return n == 1 && err == nil }},
		"the end": {func(c net.Conn) { _ = c.Close() }, func(_ int, err error) bool { return errors.Is(err, io.EOF) }},
		"a reset": {reset, func(_ int, err error) bool {
			return err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, evloop.ErrAgain)
		}},
	}
	for name, test := range tests {
		ours, peer := evlooptest.Pair(t, l, "tcp")
		evlooptest.On(t, l, func() {
			test.do(peer)
			time.Sleep(5 * time.Millisecond)
			if _, ok := ours.(evloop.Quieter); !ok {
				return // another system
			}
			for range 2 {
				if quiet := evloop.Quiet(ours); quiet != (name == "nothing") {
					t.Errorf("%s: quiet is %v", name, quiet)
				}
			}
			if n, err := ours.Read(make([]byte, 8)); !test.want(n, err) {
				t.Errorf("%s: read %d, %v", name, n, err)
			}
			ours.Close()
		})
	}
}
