package wire_test

import (
	"syscall"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
)

const (
	smallHead   = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
	browserHead = "GET /assets/app/main.4f2c1b.js?v=20261101&lang=en HTTP/1.1\r\n" +
		"Host: shop.example.com\r\n" +
		"Connection: keep-alive\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\n" +
		"sec-ch-ua-mobile: ?0\r\n" +
		"sec-ch-ua-platform: \"Linux\"\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Sec-Fetch-Site: same-origin\r\n" +
		"Sec-Fetch-Mode: navigate\r\n" +
		"Sec-Fetch-Dest: document\r\n" +
		"Referer: https://shop.example.com/\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-GB,en;q=0.9\r\n" +
		"Cookie: session=8b1f0a6c1d2e4f; theme=dark\r\n\r\n"
	smallAnswer = "HTTP/1.1 200 OK\r\nServer: backend\r\nDate: Sun, 01 Nov 2026 00:00:00 GMT\r\n" +
		"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n"
)

// cpu reports the CPU time per operation in nanoseconds: what a clock on the wall
// says on a machine that others use too means little.
func cpu(b *testing.B) func() {
	b.Helper()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

func limits() wire.Limits { return wire.Limits{Head: 64 << 10, Target: 8 << 10, Fields: 100} }

func BenchmarkRequest(b *testing.B) {
	for _, bm := range []struct{ name, head string }{{"small", smallHead}, {"browser", browserHead}} {
		b.Run(bm.name, func(b *testing.B) {
			p := wire.Parser{Limits: limits()}
			var h message.Head
			var f wire.Framing
			buf := []byte(bm.head)
			b.ReportAllocs()
			b.SetBytes(int64(len(buf)))
			defer cpu(b)()
			for b.Loop() {
				p.Reset()
				if n, fault := p.Request(buf, &h, &f); n != len(buf) || fault != wire.None {
					b.Fatal(n, fault)
				}
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	p := wire.Parser{Limits: limits()}
	var h message.Head
	var f wire.Framing
	buf := []byte(smallAnswer)
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		p.Reset()
		if n, fault := p.Response(buf, &h, &f, wire.AskedOther); n != len(buf) || fault != wire.None {
			b.Fatal(n, fault)
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	p := wire.Parser{Limits: limits()}
	var h message.Head
	var f wire.Framing
	p.Request([]byte(browserHead), &h, &f)
	dst := make([]byte, 0, 8<<10)
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		dst = wire.AppendRequest(dst[:0], &h, wire.Outgoing{Length: -1})
	}
}
