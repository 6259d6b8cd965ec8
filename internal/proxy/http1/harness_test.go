package http1_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// kinds are those of event loops: every test of sockets runs on both.
func kinds() map[string]evloop.Kind {
	return map[string]evloop.Kind{"native": evloop.Native, "portable": evloop.Portable}
}

func startLoop(tb testing.TB, kind evloop.Kind) *evloop.Loop {
	tb.Helper()
	l, err := evloop.New(0, kind)
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Run() }()
	tb.Cleanup(func() {
		for range 100 { // connections close when their peers do
			if l.Conns() == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := l.Conns(); n > 0 {
			tb.Errorf("%d connections are left open", n)
		}
		l.Stop()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return l
}

// serve listens on loopback and gives every connection to accept on the loop.
func serve(tb testing.TB, l *evloop.Loop, accept func(evloop.Conn)) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var stop func()
	l.Call(func() { stop, err = l.Listen(ln, accept) })
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		l.Call(stop)
		_ = ln.Close()
	})
	return ln.Addr().String()
}

// record is what a handler was told, as text, and a place to wait for it.
type record struct {
	mu     sync.Mutex
	lines  []string
	change chan struct{}
}

func (r *record) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
	if r.change != nil {
		close(r.change)
		r.change = nil
	}
}

func (r *record) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

// wait waits for a line that begins so.
func (r *record) wait(t *testing.T, prefix string) string {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		r.mu.Lock()
		for _, line := range r.lines {
			if strings.HasPrefix(line, prefix) {
				r.mu.Unlock()
				return line
			}
		}
		if r.change == nil {
			r.change = make(chan struct{})
		}
		change := r.change
		r.mu.Unlock()
		select {
		case <-change:
		case <-deadline:
			t.Fatalf("no %q among %q", prefix, r.all())
		}
	}
}

// site answers requests by a function that is called when one is complete, or at
// its head if early is set.
type site struct {
	record
	opts   http1.ServerOptions
	answer func(r *request)
	onHead func(r *request)
	conns  []*http1.ServerConn
}

type request struct {
	site     *site
	s        stream.Stream
	method   string
	host     string
	path     string
	fields   []message.Field
	head     message.Head
	body     []byte
	trailers []message.Field
	gone     bool
	answered bool
}

func (s *site) accept(l *evloop.Loop) func(evloop.Conn) {
	return func(c evloop.Conn) {
		s.conns = append(s.conns, http1.NewServerConn(l, c, s.opts, s, nil))
	}
}

func (s *site) NewStream(st stream.Stream) stream.Handler { return &request{site: s, s: st} }

func (s *site) Refused(_ *message.Head, _ *stream.ConnInfo, status int, why string) {
	s.add("refused %d %s", status, why)
}

func (s *site) ConnClosed() { s.add("closed") }

func (r *request) OnHead(h *message.Head, end bool) {
	r.method, r.host, r.path = strings.Clone(h.Method), strings.Clone(h.Authority), strings.Clone(h.Path)
	r.head = *h
	for _, f := range h.Fields {
		r.fields = append(r.fields, message.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value), ID: f.ID})
	}
	r.site.add("head %s %s", r.method, r.path)
	if r.site.onHead != nil {
		r.site.onHead(r)
	} else if (h.Protocol != "" || h.Method == "CONNECT") && r.site.answer != nil {
		r.answered = true
		r.site.answer(r)
	}
	if end {
		r.done()
	}
}

func (r *request) OnData(p []byte, end bool) {
	r.body = append(r.body, p...)
	if end {
		r.done()
	}
}

func (r *request) OnTrailers(fields []message.Field) {
	for _, f := range fields {
		r.trailers = append(r.trailers, message.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value), ID: f.ID})
	}
	r.done()
}

func (r *request) OnReset(why stream.Reason) {
	r.gone = true
	r.site.add("reset %s", why)
}

func (r *request) OnRoom() { r.site.add("room") }

func (r *request) done() {
	host := r.host
	if host == "" {
		host = "-"
	}
	line := r.method + " " + host + " " + r.path
	if len(r.body) > 0 {
		line += fmt.Sprintf(" %q", r.body)
	}
	r.site.add("%s", line)
	if r.site.answer != nil && !r.answered {
		r.site.answer(r)
	}
}

// reply answers with a status and a body of known length.
func (r *request) reply(status int, body string) {
	h := message.Head{Status: status, Version: message.HTTP11, ContentLength: int64(len(body))}
	r.s.SendHead(&h, body == "")
	if body != "" {
		r.s.SendData([]byte(body), true)
	}
}

func ok(r *request) { r.reply(200, "") }

// dial connects a client that must be answered within ten seconds.
func dial(t *testing.T, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t: t, TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}
}

type client struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func (c *client) send(s string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c.TCPConn, s); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// expect reads exactly what s has.
func (c *client) expect(s string) *client {
	c.t.Helper()
	got := make([]byte, len(s))
	n, err := io.ReadFull(c.r, got)
	if string(got[:n]) != s {
		c.t.Fatalf("got %q (%v), want %q", got[:n], err, s)
	}
	return c
}

// rest reads to the end.
func (c *client) rest() string {
	c.t.Helper()
	all, err := io.ReadAll(c.r)
	if err != nil {
		c.t.Fatalf("after %q: %v", all, err)
	}
	return string(all)
}

func (c *client) closed() {
	c.t.Helper()
	if got := c.rest(); got != "" {
		c.t.Fatalf("got %q, want the end", got)
	}
}

func addrPort(tb testing.TB, addr string) netip.AddrPort {
	tb.Helper()
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	return ap
}

func newReader(c net.Conn) *bufio.Reader { return bufio.NewReader(c) }
