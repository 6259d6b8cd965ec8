package http2

import (
	"bytes"
	"context"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// kinds runs a test on both kinds of loop.
func kinds(t *testing.T, f func(t *testing.T, kind evloop.Kind)) {
	t.Helper()
	for name, kind := range map[string]evloop.Kind{"native": evloop.Native, "portable": evloop.Portable} {
		t.Run(name, func(t *testing.T) { f(t, kind) })
	}
}

// newLoop runs a loop until the test ends.
func newLoop(tb testing.TB, kind evloop.Kind) *evloop.Loop {
	tb.Helper()
	l, err := evloop.New(0, kind)
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Run() }()
	tb.Cleanup(func() {
		l.Stop()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return l
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ln.Close() })
	return ln
}

// serve accepts HTTP/2 connections with a new stream.Server each.
func serve(tb testing.TB, l *evloop.Loop, opts ServerOptions, server func() stream.Server) (addr string, conns func() []*ServerConn) {
	tb.Helper()
	ln := listen(tb)
	var all []*ServerConn
	var stop func()
	l.Call(func() {
		var err error
		stop, err = l.Listen(ln, func(nc evloop.Conn) {
			all = append(all, NewServerConn(l, nc, opts, server(), nil))
		})
		if err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() {
		l.Call(func() {
			stop()
			for _, c := range all {
				c.Close()
			}
		})
	})
	return ln.Addr().String(), func() (out []*ServerConn) {
		l.Call(func() { out = append(out, all...) })
		return out
	}
}

// app is a stream.Server that answers by path; it lives on one loop.
type app struct {
	refused []string
	closed  bool
	open    int
	resets  map[stream.Reason]int
	heads   []message.Head
}

func (a *app) NewStream(s stream.Stream) stream.Handler {
	a.open++
	return &appHandler{app: a, s: s}
}

func (a *app) Refused(_ *message.Head, _ *stream.ConnInfo, _ int, why string) {
	a.refused = append(a.refused, why)
}

func (a *app) ConnClosed() { a.closed = true }

// appHandler answers: /big/N with N bytes, /echo with what came, /hang never,
// /paused neither and takes no body, /tired only the first 130,000 bytes of it, /trailers with trailers, all else with "hello".
type appHandler struct {
	app  *app
	s    stream.Stream
	path string
	left int
	echo bool
	sent byte
}

func (h *appHandler) OnHead(head *message.Head, end bool) {
	h.app.heads = append(h.app.heads, *cloneHead(head))
	h.path = head.Path
	resp := message.Head{Status: 200, ContentLength: message.LengthUnknown}
	resp.Add(message.IDContentType, "Content-Type", "text/plain")
	n, big := bytes.CutPrefix([]byte(head.Path), []byte("/big/"))
	switch {
	case big:
		h.left, _ = strconv.Atoi(string(n))
		resp.ContentLength = int64(h.left)
		h.s.SendHead(&resp, false)
		h.pump()
	case head.Path == "/hang", head.Path == "/tired":
	case head.Path == "/paused":
		h.s.Pause(true)
	case head.Path == "/echo":
		h.echo = true
		h.s.SendHead(&resp, end)
	case head.Path == "/trailers":
		resp.Add(0, "Trailer", "x-sum")
		h.s.SendHead(&resp, false)
		h.s.SendData([]byte("body"), false)
		h.s.SendTrailers([]message.Field{{Name: "x-sum", Value: "1"}, {Name: "x-sum", Value: "2"}})
	case head.Method == "HEAD":
		resp.ContentLength = 5
		h.s.SendHead(&resp, true)
	default:
		resp.ContentLength = 5
		h.s.SendHead(&resp, false)
		h.s.SendData([]byte("hello"), true)
	}
}

func (h *appHandler) pump() {
	var buf [8000]byte
	for h.left > 0 {
		n := min(h.left, len(buf))
		for i := range n {
			buf[i] = h.sent
			h.sent++
		}
		h.left -= n
		if !h.s.SendData(buf[:n], h.left == 0) {
			return
		}
	}
}

func (h *appHandler) OnData(p []byte, end bool) {
	if h.path == "/tired" {
		if h.left += len(p); h.left >= 130000 {
			h.s.Pause(true)
		}
	}
	if h.echo && !h.s.SendData(p, end) {
		h.s.Pause(true)
	}
}

func (h *appHandler) OnTrailers(fields []message.Field) {
	if h.echo {
		h.s.SendTrailers(fields)
	}
}

func (h *appHandler) OnReset(r stream.Reason) {
	if h.app.resets == nil {
		h.app.resets = map[stream.Reason]int{}
	}
	h.app.resets[r]++
}

func (h *appHandler) OnRoom() {
	if h.left > 0 {
		h.pump()
	}
	if h.echo {
		h.s.Pause(false)
	}
}

// relay joins every stream of a server connection with one of a client's.
type relay struct {
	l      *evloop.Loop
	dial   string
	opts   ClientOptions
	client *ClientConn
	gone   int
	rooms  int
}

func (r *relay) NewStream(s stream.Stream) stream.Handler {
	if r.client == nil || r.client.Room() == 0 {
		nc, err := r.l.Dial(addrPort(r.dial), "")
		if err != nil {
			panic(err)
		}
		r.client = NewClientConn(r.l, nc, r.opts, r)
	}
	p := &pair{}
	p.up.p, p.down.p = p, p
	p.down.s = s
	p.up.s = r.client.Open(&p.up)
	return &p.down
}

func (r *relay) Refused(*message.Head, *stream.ConnInfo, int, string) {}

func (r *relay) ConnClosed() {
	if r.client != nil {
		r.client.Close()
	}
}
func (r *relay) ClientRoom(stream.Client) { r.rooms++ }
func (r *relay) ClientGone(stream.Client) { r.gone++ }

// pair is the least that joins two streams: down is the client's, up the backend's.
type pair struct{ up, down half }

type half struct {
	p     *pair
	s     stream.Stream
	ended bool // what came is complete
	gone  bool
}

func (h *half) other() *half {
	if h == &h.p.up {
		return &h.p.down
	}
	return &h.p.up
}

func (h *half) OnHead(head *message.Head, end bool) {
	h.ended = end
	h.other().s.SendHead(head, end)
}

func (h *half) OnData(b []byte, end bool) {
	h.ended = end
	if !h.other().s.SendData(b, end) && !end {
		h.s.Pause(true)
	}
}

func (h *half) OnTrailers(fields []message.Field) {
	h.ended = true
	h.other().s.SendTrailers(fields)
}

func (h *half) OnReset(r stream.Reason) {
	h.gone = true
	o := h.other()
	if !o.gone {
		o.gone = true
		o.s.Reset(r)
	}
}

func (h *half) OnRoom() {
	if o := h.other(); !o.ended && !o.gone {
		o.s.Pause(false)
	}
}

// descriptors is how many files are open, where the system can say.
func descriptors() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(all)
}

// leaks fails the test when goroutines or descriptors are left.
func leaks(t *testing.T) {
	t.Helper()
	before, files := runtime.NumGoroutine(), descriptors()
	t.Cleanup(func() {
		for range 100 {
			if runtime.NumGoroutine() <= before && descriptors() <= files {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("%d descriptors before, %d after", files, descriptors())
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
	})
}
