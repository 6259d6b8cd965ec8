package evloop_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
)

func TestPostAndCall(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			const posters, each = 16, 500
			counts := make([]int, posters)
			var all sync.WaitGroup
			for p := range posters {
				all.Go(func() {
					for i := range each {
						if i%50 == 0 {
							seen := -1
							if !l.Call(func() { seen = counts[p] }) || seen != i {
								t.Errorf("poster %d: the loop had run %d of %d", p, seen, i)
							}
						}
						l.Post(func() {
							if counts[p] != i {
								t.Errorf("poster %d: %d ran before %d", p, i, counts[p])
							}
							counts[p]++
						})
					}
				})
			}
			all.Wait()
			evlooptest.On(t, l, func() {
				for p, n := range counts {
					if n != each {
						t.Errorf("poster %d: %d of %d ran", p, n, each)
					}
				}
			})
		})
	}
}

func TestStop(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l, err := evloop.New(0, kind)
			if err != nil {
				t.Fatal(err)
			}
			ran := make(chan string, 3)
			l.Post(func() {
				l.Stop()
				l.Post(func() { ran <- "posted" }) // it may hold something that it must close
				l.Defer(deferred(func() { ran <- "deferred" }))
			})
			if err := l.Run(); err != nil {
				t.Fatal(err)
			}
			close(ran)
			var got []string
			for s := range ran {
				got = append(got, s)
			}
			slices.Sort(got)
			if !slices.Equal(got, []string{"deferred", "posted"}) {
				t.Errorf("ran: %v", got)
			}
			if l.Call(func() { t.Error("Call ran on a loop that has stopped") }) {
				t.Error("Call says that it ran")
			}
			if l.TryPost(func() { t.Error("Post ran on a loop that has stopped") }) {
				t.Error("TryPost says that it will run")
			}
		})
	}
}

// TestStopUnderPosts: nothing that was taken is lost, and no wake-up goes to a
// descriptor that is another's by now.
func TestStopUnderPosts(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			for range 50 {
				l, err := evloop.New(0, kind)
				if err != nil {
					t.Fatal(err)
				}
				var ran, taken counter
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						for l.TryPost(func() { ran.Add(1) }) {
							taken.Add(1)
						}
					})
				}
				all.Go(func() {
					time.Sleep(time.Millisecond)
					l.Stop()
				})
				if err := l.Run(); err != nil {
					t.Fatal(err)
				}
				all.Wait()
				if ran.Load() != taken.Load() {
					t.Fatalf("%d ran of %d", ran.Load(), taken.Load())
				}
			}
		})
	}
}

type deferred func()

func (d deferred) RunDeferred() { d() }

func TestDeferOrder(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			var order []string
			add := func(s string) { order = append(order, s) }
			done := make(chan bool)
			l.Post(func() {
				l.Defer(deferred(func() {
					add("first")
					l.Defer(deferred(func() { add("from first"); close(done) }))
				}))
				l.Defer(deferred(func() { add("second") }))
				add("event")
			})
			l.Post(func() { add("event") })
			evlooptest.Wait(t, "what was deferred", done)
			evlooptest.On(t, l, func() {})
			// The second event may have come a turn later.
			i := slices.Index(order, "first")
			if i < 1 || order[0] != "event" || !slices.Equal(order[i:i+3], []string{"first", "second", "from first"}) {
				t.Errorf("order: %v", order)
			}
		})
	}
}

func TestBuffers(t *testing.T) {
	l := evlooptest.Loop(t, evloop.Native)
	evlooptest.On(t, l, func() {
		for _, test := range []struct{ size, want int }{
			{1, evloop.SmallBuffer},
			{evloop.SmallBuffer, evloop.SmallBuffer},
			{evloop.SmallBuffer + 1, evloop.LargeBuffer},
			{evloop.LargeBuffer, evloop.LargeBuffer},
			{evloop.LargeBuffer + 1, evloop.LargeBuffer + 1},
		} {
			b := l.Buffer(test.size)
			if len(b) != test.want {
				t.Errorf("Buffer(%d) has %d bytes", test.size, len(b))
			}
			l.Release(b[:3])
		}
		a, b := l.Buffer(1), l.Buffer(1)
		if len(a) != evloop.SmallBuffer || &a[0] == &b[0] {
			t.Errorf("%d bytes, or the same buffer twice", len(a))
		}
		l.Release(nil)
		l.Release(b[5:]) // not a whole buffer: it must not come back
		if c := l.Buffer(1); len(c) != evloop.SmallBuffer {
			t.Errorf("%d bytes", len(c))
		}
	})
}

func TestNoAllocations(t *testing.T) {
	l := evlooptest.Loop(t, evloop.Native)
	a, _ := evlooptest.Pair(t, l, "tcp")
	ln := evlooptest.Listen(t, "tcp")
	peer := evlooptest.Dial(t, ln)
	mirror := evlooptest.Accept(t, ln)
	evlooptest.On(t, l, func() {
		b, err := l.Adopt(mirror)
		if err != nil {
			t.Error(err)
			return
		}
		defer b.Close()
		defer a.Close()
		b.Handle(&events{})
		buf := make([]byte, 4096)
		var timer evloop.Timer
		timer.Func = func() {}
		d := &nothing{}
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := b.Write(buf[:100], buf[:50]); err != nil {
				t.Error(err)
			}
			if _, err := b.Write(buf[:100], nil); err != nil {
				t.Error(err)
			}
			if _, err := b.Read(buf); err != nil && !errors.Is(err, evloop.ErrAgain) {
				t.Error(err)
			}
			l.After(int64(time.Second), &timer)
			timer.Stop()
			l.Release(l.Buffer(100))
			l.Defer(d)
			l.DropDeferred()
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
	_ = peer.Close()
}

type nothing struct{}

func (*nothing) RunDeferred() {}
