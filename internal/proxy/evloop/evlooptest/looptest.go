package evlooptest

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

// Patience is how long a test waits for what must happen.
const Patience = 20 * time.Second

// Kinds are both kinds of loop by name: what lives on one must work on both.
func Kinds() map[string]evloop.Kind {
	return map[string]evloop.Kind{"native": evloop.Native, "portable": evloop.Portable}
}

// Leaks fails the test when more descriptors or goroutines exist after it than
// before. It must be called first, so that it looks last.
func Leaks(t *testing.T) {
	t.Helper()
	files, goroutines := descriptors(), runtime.NumGoroutine()
	t.Cleanup(func() {
		var f, g int
		for range 600 {
			f, g = descriptors(), runtime.NumGoroutine()
			if f <= files && g <= goroutines {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		stacks := make([]byte, 64<<10)
		stacks = stacks[:runtime.Stack(stacks, true)]
		t.Errorf("left behind: %d descriptors, %d goroutines\n%s", f-files, g-goroutines, stacks)
	})
}

func descriptors() int {
	// Where there is no such folder the count is 0 before and after.
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// Loop runs a loop until the test ends.
func Loop(tb testing.TB, kind evloop.Kind) *evloop.Loop {
	tb.Helper()
	l, err := evloop.New(0, kind)
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	tb.Cleanup(func() {
		l.Stop()
		if err := <-ended; err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
	return l
}

// On runs f on the loop and waits for it.
func On(tb testing.TB, l *evloop.Loop, f func()) {
	tb.Helper()
	if !l.Call(f) {
		tb.Fatal("the loop has stopped")
	}
}

// Listen listens on loopback, or on a Unix socket, until the test ends.
func Listen(tb testing.TB, network string) net.Listener {
	tb.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(tb.TempDir(), "s")
	}
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), network, address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ln.Close() })
	return ln
}

// Addr is what Loop.Dial takes to reach ln.
func Addr(ln net.Listener) (addr netip.AddrPort, unix string) {
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		return a.AddrPort(), ""
	}
	return netip.AddrPort{}, ln.Addr().String()
}

// Dial connects to ln; the connection is closed when the test ends and must end
// what it does within Patience.
func Dial(tb testing.TB, ln net.Listener) net.Conn {
	tb.Helper()
	c, err := (&net.Dialer{}).DialContext(tb.Context(), ln.Addr().Network(), ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(Patience))
	return c
}

// Accept takes one connection from ln, as Dial does.
func Accept(tb testing.TB, ln net.Listener) net.Conn {
	tb.Helper()
	if d, ok := ln.(interface{ SetDeadline(at time.Time) error }); ok {
		_ = d.SetDeadline(time.Now().Add(Patience))
	}
	c, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(Patience))
	return c
}

// Pair connects two sockets and gives one of them to the loop.
func Pair(tb testing.TB, l *evloop.Loop, network string) (ours evloop.Conn, peer net.Conn) {
	tb.Helper()
	ln := Listen(tb, network)
	peer = Dial(tb, ln)
	accepted, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	On(tb, l, func() { ours, err = l.Adopt(accepted) })
	if err != nil {
		tb.Fatal(err)
	}
	return ours, peer
}

// Wait waits for c to be closed or to deliver.
func Wait[T any](tb testing.TB, what string, c <-chan T) T {
	tb.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		stacks := make([]byte, 64<<10)
		stacks = stacks[:runtime.Stack(stacks, true)]
		tb.Fatalf("waited in vain: %s\n%s", what, stacks)
		panic("unreachable")
	}
}
