package http1_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// bridge is the smallest proxy: every client's connection has one to the backend,
// made when the first request comes, and again when it is gone.
type bridge struct {
	loop    *evloop.Loop
	backend string
	tb      testing.TB
	client  *http1.ClientConn
	dialled evloop.Conn

	down, up   stream.Stream
	head       *message.Head
	headEnd    bool
	paused     bool
	downEnded  bool
	answerDone bool
	request    upward
	response   downward
}

type (
	upward   struct{ b *bridge }
	downward struct{ b *bridge }
)

func (b *bridge) accept(c evloop.Conn) {
	one := *b
	p := &one
	p.request.b, p.response.b = p, p
	http1.NewServerConn(p.loop, c, http1.ServerOptions{}, p, nil)
}

func (b *bridge) NewStream(s stream.Stream) stream.Handler {
	b.down = s
	b.downEnded, b.answerDone = false, false
	return &b.request
}

func (b *bridge) Refused(*message.Head, *stream.ConnInfo, int, string) {}

func (b *bridge) ConnClosed() {
	if b.client != nil {
		b.client.Close()
	}
	if b.dialled != nil {
		b.dialled.Close()
	}
}

func (b *bridge) ClientRoom(stream.Client) {}
func (b *bridge) ClientGone(stream.Client) { b.client = nil }

func (b *bridge) Readable() {}
func (b *bridge) Hangup(err error) {
	b.dialled.Close()
	b.dialled = nil
	b.refuse()
}

func (b *bridge) refuse() {
	down := b.down
	if down == nil {
		return
	}
	b.down = nil
	down.SendHead(&message.Head{Status: 502}, true)
	if !b.downEnded {
		down.Reset(stream.ReasonNone)
	}
}

// Writable: the backend is connected.
func (b *bridge) Writable() {
	b.client = http1.NewClientConn(b.loop, b.dialled, http1.ClientOptions{}, b)
	b.dialled = nil
	b.open()
	if b.paused {
		b.paused = false
		b.down.Pause(false)
	}
}

func (b *bridge) open() {
	b.up = b.client.Open(&b.response)
	b.up.SendHead(b.head, b.headEnd)
}

func (u *upward) OnHead(h *message.Head, end bool) {
	b := u.b
	b.head, b.headEnd, b.downEnded = h, end, end
	if b.client != nil && b.client.Room() > 0 {
		b.open()
		return
	}
	if !end {
		b.paused = true
		b.down.Pause(true)
	}
	conn, err := b.loop.Dial(addrPort(b.tb, b.backend), "")
	if err != nil {
		b.refuse()
		return
	}
	b.dialled = conn
	conn.Handle(b)
}

func (u *upward) OnData(p []byte, end bool) {
	b := u.b
	b.downEnded = b.downEnded || end
	if b.up != nil && !b.up.SendData(p, end) && !end {
		b.down.Pause(true)
	}
}

func (u *upward) OnTrailers(fields []message.Field) {
	u.b.downEnded = true
	if u.b.up != nil {
		u.b.up.SendTrailers(fields)
	}
}

func (u *upward) OnReset(stream.Reason) {
	b := u.b
	b.down = nil
	if b.up != nil {
		up := b.up
		b.up = nil
		up.Reset(stream.ReasonCancel)
	}
}

func (u *upward) OnRoom() {
	if u.b.up != nil {
		u.b.up.Pause(false)
	}
}

func (d *downward) OnHead(h *message.Head, end bool) {
	d.ended(end)
	d.b.down.SendHead(h, end)
	d.giveUp(end)
}

func (d *downward) OnData(p []byte, end bool) {
	d.ended(end)
	if !d.b.down.SendData(p, end) && !end {
		d.b.up.Pause(true)
	}
	d.giveUp(end)
}

func (d *downward) OnTrailers(fields []message.Field) {
	d.ended(true)
	d.b.down.SendTrailers(fields)
	d.giveUp(true)
}

// ended: the answer is complete, so that nothing more goes to the backend, except
// in a tunnel, which the tests close from the client.
func (d *downward) ended(end bool) {
	b := d.b
	if !end {
		return
	}
	up := b.up
	b.up = nil
	if !b.downEnded {
		up.Reset(stream.ReasonNone)
	}
}

func (d *downward) giveUp(end bool) {
	if end && !d.b.downEnded {
		d.b.down.Reset(stream.ReasonNone)
	}
}

func (d *downward) OnReset(stream.Reason) {
	d.b.up = nil
	if down := d.b.down; down != nil {
		d.b.down = nil
		down.Reset(stream.ReasonInternal)
	}
}

func (d *downward) OnRoom() {
	if d.b.down != nil {
		d.b.down.Pause(false)
	}
}

func startBridge(tb testing.TB, l *evloop.Loop, backend string) string {
	tb.Helper()
	b := &bridge{loop: l, backend: backend, tb: tb}
	return serve(tb, l, b.accept)
}

// TestBridge puts both codecs between the standard library's client and server.
func TestBridge(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Sum", fmt.Sprintf("%x %q %s", sha256.Sum256(body), r.Trailer.Get("X-Trailer"), r.Host))
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		w.Header().Set("Trailer", "X-After")
		_, _ = w.Write(body)
		w.Header().Set("X-After", "yes")
	}))
	defer backend.Close()
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			addr := startBridge(t, l, backend.Listener.Addr().String())
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
			defer client.CloseIdleConnections()
			var wg sync.WaitGroup
			for worker := range 8 {
				wg.Go(func() {
					for i := range 40 {
						bounce(t, client, "http://"+addr, worker, i)
					}
				})
			}
			wg.Wait()
		})
	}
}

// bounce sends a body of some size and wants it back.
func bounce(t *testing.T, client *http.Client, url string, worker, i int) {
	t.Helper()
	body := bytes.Repeat([]byte{byte('a' + worker)}, (i*i*i*7)%300000)
	var in io.Reader = bytes.NewReader(body)
	path := "/length"
	if i%2 == 0 {
		in, path = io.MultiReader(in), "/chunks" // of unknown length
	}
	req, err := http.NewRequest(http.MethodPost, url+path, in)
	if err != nil {
		t.Error(err)
		return
	}
	trailer := ""
	if i%2 == 0 {
		trailer = "t"
		req.Trailer = http.Header{"X-Trailer": {trailer}}
	}
	res, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	want := fmt.Sprintf("%x %q %s", sha256.Sum256(body), trailer, strings.TrimPrefix(url, "http://"))
	if err != nil || !bytes.Equal(got, body) || res.Header.Get("X-Sum") != want {
		t.Errorf("%d bytes of %d, %v, sum %q, want %q", len(got), len(body), err, res.Header.Get("X-Sum"), want)
	}
	if path == "/chunks" && len(body) > 0 && res.Trailer.Get("X-After") != "yes" {
		t.Errorf("no trailer: %v", res.Trailer)
	}
}

// answerer is a backend in one goroutine that gives a fixed answer to every request,
// each of which ends with tail, and allocates nothing.
func answerer(tb testing.TB, tail, answer string) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
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
			go func() {
				defer c.Close()
				buf, out, end, have := make([]byte, 64<<10), []byte(answer), []byte(tail), 0
				for {
					n, err := c.Read(buf[have:])
					if err != nil {
						return
					}
					// Head and body may come apart.
					if have += n; !bytes.HasSuffix(buf[:have], end) {
						continue
					}
					have = 0
					if _, err := c.Write(out); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// pingPong returns a function that does one exchange through the bridge.
func pingPong(tb testing.TB, l *evloop.Loop, request, answer string) func() {
	tb.Helper()
	addr := startBridge(tb, l, answerer(tb, request[len(request)-3:], answer))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	in, out := []byte(request), make([]byte, len(answer))
	return func() {
		if _, err := c.Write(in); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(c, out); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestExchangeAllocatesNothing(t *testing.T) {
	large := strings.Repeat("x", 20000)
	tests := []struct{ name, request, answer string }{
		{"small", "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"large", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + large},
		{"post", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"chunks", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			once := pingPong(t, startLoop(t, evloop.Native), tt.request, tt.answer)
			for range 100 {
				once()
			}
			if n := testing.AllocsPerRun(200, once); n > 0 {
				t.Errorf("%v allocations per exchange", n)
			}
		})
	}
}

func BenchmarkExchange(b *testing.B) {
	for name, kind := range kinds() {
		b.Run(name, func(b *testing.B) {
			once := pingPong(b, startLoop(b, kind), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			once()
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

// TestIdleConnectionsAreSmall looks that neither buffers nor goroutines wait with
// an idle connection.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const n = 200
	l := startLoop(t, evloop.Native)
	s := &site{answer: sayHello}
	addr := serve(t, l, s.accept(l))
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range n {
		dial(t, addr).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect(hello)
	}
	// What the test itself holds per connection, a buffered reader, is about 4.5 KB.
	if per := (int64(heap()) - int64(before)) / n; per > 9<<10 {
		t.Errorf("%d bytes per idle connection", per)
	}
}

// counted counts the calls of a connection.
type counted struct {
	evloop.Conn
	writes, reads *int
}

func (c counted) Write(a, b []byte) (int, error) {
	*c.writes++
	return c.Conn.Write(a, b)
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil {
		*c.reads++
	}
	return n, err
}

// TestFewCalls: head and body go out in one write, whatever brought them.
func TestFewCalls(t *testing.T) {
	tests := []struct {
		name   string
		size   int
		length bool
		pieces int
		writes int
	}{
		{"small", 100, true, 1, 1},
		{"small chunks", 100, false, 4, 1},
		{"many small parts", 4000, true, 20, 1},
		{"large", 60000, true, 1, 1},
		{"large chunk", 60000, false, 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := startLoop(t, evloop.Native)
			writes, reads := 0, 0
			part := strings.Repeat("x", tt.size/tt.pieces)
			s := &site{answer: func(r *request) {
				h := message.Head{Status: 200, ContentLength: message.LengthUnknown}
				if tt.length {
					h.ContentLength = int64(tt.size)
				}
				r.s.SendHead(&h, false)
				for i := range tt.pieces {
					r.s.SendData([]byte(part), i == tt.pieces-1)
				}
			}}
			addr := serve(t, l, func(c evloop.Conn) {
				http1.NewServerConn(l, counted{c, &writes, &reads}, s.opts, s, nil)
			})
			res, err := http.Get("http://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			if err != nil || len(body) != tt.size {
				t.Fatal(len(body), err)
			}
			l.Call(func() {
				if writes != tt.writes || reads != 1 {
					t.Errorf("%d writes and %d reads, want %d and 1", writes, reads, tt.writes)
				}
			})
		})
	}
}
