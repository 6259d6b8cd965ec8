package lab

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// Patience bounds everything that should take no time.
const Patience = 20 * time.Second

// Until waits until done says so, and fails the test when that takes too long.
func Until(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	for late := time.Now().Add(Patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(late) {
			tb.Fatalf("not within %s: %s", Patience, what)
		}
	}
}

// ShortDir is a folder of the test whose name is short enough for Unix sockets.
func ShortDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/tmp", "ttp") //nolint:usetesting // the names of Unix sockets have at most 107 bytes
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Dial connects to an address, a Unix socket when it is a path.
func Dial(addr string) (net.Conn, error) { return dial(context.Background(), addr) }

func dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	if strings.HasPrefix(addr, "/") {
		return d.DialContext(ctx, "unix", addr)
	}
	return d.DialContext(ctx, "tcp", addr)
}
