package proxy_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
)

// rawBackend answers every request with the same bytes and allocates nothing
// while it does.
func rawBackend(tb testing.TB, answer string) string {
	tb.Helper()
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go answerAll(c, []byte(answer))
		}
	}()
	return ln.Addr().String()
}

func answerAll(c net.Conn, answer []byte) {
	defer func() { _ = c.Close() }()
	buf := make([]byte, 16<<10)
	end := []byte("\r\n\r\n")
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		for range bytes.Count(buf[:n], end) {
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}
}

// TestNoAllocation holds that a proxied request of HTTP/1.1 costs no memory in
// steady state, telemetry included.
func TestNoAllocation(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
	_, front := start(t, evloop.Native, simple(rawBackend(t, answer)))
	c, err := net.Dial("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	request := []byte("GET /some/path?with=query HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nAccept: */*\r\n" +
		"Cookie: a=b; c=d\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")
	buf := make([]byte, len(answer))
	ask := func(n int) {
		for range n {
			if _, err := c.Write(request); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask(2000)
	if string(buf) != answer {
		t.Fatalf("the client got %q", buf)
	}
	var before, after runtime.MemStats
	const n = 10_000
	runtime.ReadMemStats(&before)
	ask(n)
	runtime.ReadMemStats(&after)
	// The runtime allocates a little of its own now and then.
	if mallocs := after.Mallocs - before.Mallocs; mallocs > n/100 {
		t.Errorf("%d allocations in %d requests", mallocs, n)
	}
}

func BenchmarkHTTP1(b *testing.B) {
	const answer = "HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
	_, front := start(b, evloop.Native, simple(rawBackend(b, answer)))
	c, err := net.Dial("tcp", front)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	request := []byte("GET /some/path HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
	buf := make([]byte, len(answer))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
	}
}
