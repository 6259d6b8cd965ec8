package tunnel_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
	"github.com/tatami-platform/tatami/internal/proxy/tunnel"
)

func pipes(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range names {
		if to, err := os.Readlink(name); err == nil && strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

// TestSplices: bulk goes through a pipe, which idle tunnels share.
func TestSplices(t *testing.T) {
	evlooptest.Leaks(t)
	l := evlooptest.Loop(t, evloop.Native)
	before := pipes(t)
	var peers []net.Conn
	for range 5 {
		a, b, _ := joined(t, l, "tcp", tunnel.Options{})
		peers = append(peers, a, b)
		data := noise(8 << 20)
		go func() { _, _ = a.Write(data) }()
		if _, err := io.ReadFull(b, make([]byte, len(data))); err != nil {
			t.Fatal(err)
		}
	}
	evlooptest.On(t, l, func() {})
	if n := pipes(t) - before; n != 2 {
		t.Errorf("%d descriptors of pipes, not 2", n)
	}
	for _, c := range peers {
		_ = c.Close()
	}
	for l.Conns() > 0 {
		time.Sleep(time.Millisecond)
	}
}
