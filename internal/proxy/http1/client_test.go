package http1_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// asker is the pool and the handler of one connection to a backend.
type asker struct {
	record
	loop   *evloop.Loop
	client *http1.ClientConn
	s      stream.Stream
	body   strings.Builder
	onHead func(h *message.Head)
	ready  chan *http1.ClientConn
}

func (a *asker) ClientRoom(stream.Client) { a.add("room") }
func (a *asker) ClientGone(stream.Client) { a.add("gone") }

func (a *asker) OnHead(h *message.Head, end bool) {
	fields := ""
	for _, f := range h.Fields {
		fields += " " + f.Name + "=" + f.Value
	}
	a.add("head %d %s %d%s", h.Status, h.Protocol, h.ContentLength, fields)
	if a.onHead != nil {
		a.onHead(h)
	}
	if end {
		a.add("end")
	}
}

func (a *asker) OnData(p []byte, end bool) {
	a.body.Write(p)
	if end {
		a.add("end %s", a.body.String())
		a.body.Reset()
	}
}

func (a *asker) OnTrailers(fields []message.Field) {
	for _, f := range fields {
		a.add("trailer %s=%s", f.Name, f.Value)
	}
	a.OnData(nil, true)
}

func (a *asker) OnReset(r stream.Reason) { a.add("reset %s", r) }
func (a *asker) OnRoom()                 { a.add("onroom") }

// Writable: the connection stands.
func (a *asker) Writable() {}
func (a *asker) Readable() {}
func (a *asker) Hangup(err error) {
	a.add("hangup %v", err)
}

type dialling struct {
	a    *asker
	conn evloop.Conn
}

func (d *dialling) Readable()    {}
func (d *dialling) Hangup(error) { close(d.a.ready) }
func (d *dialling) Writable() {
	d.a.client = http1.NewClientConn(d.a.loop, d.conn, http1.ClientOptions{}, d.a)
	d.a.ready <- d.a.client
}

// backend listens and hands out the connection that the asker makes.
func backend(t *testing.T, l *evloop.Loop) (*asker, *client) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a := &asker{loop: l, ready: make(chan *http1.ClientConn, 1)}
	l.Call(func() {
		conn, err := l.Dial(addrPort(t, ln.Addr().String()), "")
		if err != nil {
			t.Error(err)
			return
		}
		conn.Handle(&dialling{a: a, conn: conn})
	})
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if <-a.ready == nil {
		t.Fatal("not connected")
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	b := &client{t: t, TCPConn: c.(*net.TCPConn)}
	b.r = newReader(c)
	t.Cleanup(func() {
		l.Call(func() { a.client.Close() })
		_ = c.Close()
	})
	return a, b
}

// ask opens an exchange and sends a request.
func (a *asker) ask(h message.Head, body ...string) {
	a.loop.Call(func() {
		a.s = a.client.Open(a)
		if h.Authority == "" {
			h.Authority = "a"
		}
		a.s.SendHead(&h, len(body) == 0)
		for i, part := range body {
			a.s.SendData([]byte(part), i == len(body)-1)
		}
	})
}

func get() message.Head { return message.Head{Method: "GET", Path: "/", Version: message.HTTP11} }

func TestClientRequests(t *testing.T) {
	unknown := message.LengthUnknown
	tests := []struct {
		name string
		head message.Head
		body []string
		want string
	}{
		{"9112 3.2 host first", message.Head{Method: "GET", Path: "/a?b", Authority: "h:1", Fields: []message.Field{{Name: "X", Value: "y"}}}, nil, "GET /a?b HTTP/1.1\r\nHost: h:1\r\nX: y\r\n\r\n"},
		{"9110 8.6 a post without content says so", message.Head{Method: "POST", Path: "/"}, nil, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
		{"length", message.Head{Method: "POST", Path: "/", ContentLength: 5}, []string{"he", "llo"}, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"},
		{"chunks", message.Head{Method: "PUT", Path: "/", ContentLength: unknown}, []string{"he", "llo", ""}, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"},
		{"9110 10.1.4 te", message.Head{Method: "GET", Path: "/", Fields: []message.Field{{Name: "te", Value: "trailers", ID: message.IDTE}}}, nil, "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n"},
		{"9110 7.8 upgrade", message.Head{Method: "GET", Path: "/", Protocol: "websocket"}, nil, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"9110 9.3.6 connect", message.Head{Method: "CONNECT", Authority: "h:443"}, nil, "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"},
		{"asterisk", message.Head{Method: "OPTIONS", Path: "*"}, nil, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"no injection by fields", message.Head{Method: "GET", Path: "/", Fields: []message.Field{{Name: "x", Value: "a\r\nHost: b"}, {Name: "host", Value: "c"}, {Name: "Content-Length", Value: "9"}, {Name: "z", Value: "ok"}}}, nil, "GET / HTTP/1.1\r\nHost: a\r\nz: ok\r\n\r\n"},
	}
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					a, b := backend(t, l)
					a.ask(tt.head, tt.body...)
					b.expect(tt.want)
				})
			}
			for _, h := range []message.Head{
				{Method: "GET", Path: "/a b"},
				{Method: "GET", Path: "/\r\nX: y"},
				{Method: "GE T", Path: "/"},
				{Method: "GET", Path: "a"},
				{Method: "GET", Path: "/", Authority: "a\r\nb"},
				{Method: "GET", Path: "/", Protocol: "a\nb"},
			} {
				a, _ := backend(t, l)
				a.ask(h)
				a.wait(t, "reset internal")
			}
		})
	}
}

func TestClientResponses(t *testing.T) {
	head := get()
	head.Method = "HEAD"
	tests := []struct {
		name   string
		ask    message.Head
		answer string
		want   string // what the handler was told, in order; then the pool
	}{
		{"length", get(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", "head 200  5 X=y|end hello|room"},
		{"empty", get(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "head 200  0|end|room"},
		{"chunks", get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "head 200  -1|end hello|room"},
		{"trailers", get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nSum: 1\r\nHost: b\r\n\r\n", "head 200  -1|trailer Sum=1|end x|room"},
		{"until close", get(), "HTTP/1.1 200 OK\r\n\r\nhello\x00", "head 200  -1|end hello|gone"},
		{"1.0", get(), "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "head 200  1|end x|gone"},
		{"1.0 keep-alive", get(), "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", "head 200  1|end x|room"},
		{"connection close", get(), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", "head 200  1|end x|gone"},
		{"no reason", get(), "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "head 200  0|end|room"},
		{"head", head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "head 200  5|end|room"},
		{"head chunked", head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "head 200  -1|end|room"},
		{"204", get(), "HTTP/1.1 204 No Content\r\n\r\n", "head 204  0|end|room"},
		{"304", get(), "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "head 304  5|end|room"},
		{"1xx", get(), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "head 100  0|head 103  0 Link=x|head 200  1|end x|room"},
		{"equal lengths", get(), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "head 200  1|end x|room"},
		{"hop by hop", get(), "HTTP/1.1 200 OK\r\nConnection: X-Own\r\nX-Own: 1\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n", "head 200  0|end|room"},
		{"one byte more", get(), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy", "head 200  1|end x|gone"},
		{"a second response", get(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "head 200  0|end|gone"},
		{"204 with a body", get(), "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\nx", "head 204  0|end|gone"},
		{"length and coding", get(), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "reset protocol|gone"},
		{"lengths that differ", get(), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "reset protocol|gone"},
		{"length list", get(), "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", "reset protocol|gone"},
		{"bad length", get(), "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", "reset protocol|gone"},
		{"unknown coding", get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", "reset protocol|gone"},
		{"coding in 1.0", get(), "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "reset protocol|gone"},
		{"http2", get(), "HTTP/2.0 200 OK\r\n\r\n", "reset protocol|gone"},
		{"no http", get(), "220 smtp.example ESMTP ready for mail\r\n", "reset protocol|gone"},
		{"status of two digits", get(), "HTTP/1.1 20 OK\r\nX: y\r\n\r\n", "reset protocol|gone"},
		{"status 099", get(), "HTTP/1.1 099 OK\r\n\r\n", "reset protocol|gone"},
		{"status of four digits", get(), "HTTP/1.1 2000 OK\r\n\r\n", "reset protocol|gone"},
		{"bare lf", get(), "HTTP/1.1 200 OK\nX: y\n\n", "reset protocol|gone"},
		{"fold", get(), "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "reset protocol|gone"},
		{"name with space", get(), "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "reset protocol|gone"},
		{"bad chunk", get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "head 200  -1|reset protocol|gone"},
		{"101 unasked", get(), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "reset protocol|gone"},
		{"cut length", get(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel\x00", "head 200  5|reset closed|gone"},
		{"cut chunks", get(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n\x00", "head 200  -1|reset closed|gone"},
		{"cut head", get(), "HTTP/1.1 200 OK\r\nX\x00", "reset closed|gone"},
		{"nothing", get(), "\x00", "reset closed|gone"},
		{"many 1xx", get(), strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 40), strings.Repeat("head 102  0|", 32) + "reset protocol|gone"},
		{"large head", get(), "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 70000), "reset protocol|gone"},
	}
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					for _, piece := range []int{len(tt.answer), 1} {
						if len(tt.answer) > 400 && piece == 1 {
							continue
						}
						tell(t, l, tt.ask, tt.answer, piece, strings.Split(tt.want, "|"))
					}
				})
			}
		})
	}
}

// tell sends an answer, of which a NUL at the end means the end of the connection.
func tell(t *testing.T, l *evloop.Loop, h message.Head, answer string, piece int, want []string) {
	t.Helper()
	a, b := backend(t, l)
	a.ask(h)
	b.expect(h.Method + " / HTTP/1.1\r\nHost: a\r\n\r\n")
	text, cut := strings.CutSuffix(answer, "\x00")
	for len(text) > 0 {
		n := min(piece, len(text))
		if _, err := io.WriteString(b.TCPConn, text[:n]); err != nil {
			break
		}
		text = text[n:]
	}
	if cut {
		_ = b.CloseWrite()
	}
	a.wait(t, want[len(want)-1])
	got := strings.Join(a.all(), "|")
	if piece == 1 { // the pool may see the connection before a byte too many
		got = strings.Replace(got, "end|room|gone", "end|gone", 1)
		got = strings.Replace(got, "x|room|gone", "x|gone", 1)
	}
	if w := strings.Join(want, "|"); got != w && !(piece == 1 && strings.HasPrefix(got, w)) {
		t.Errorf("in pieces of %d: got %q, want %q", piece, got, w)
	}
}

// used is a connection that has carried one exchange.
func used(t *testing.T, l *evloop.Loop) (*asker, *client) {
	t.Helper()
	a, b := backend(t, l)
	a.ask(get())
	b.expect(askedGet).send(emptyAnswer)
	a.wait(t, "room")
	return a, b
}

const (
	emptyAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	askedGet    = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
)

func TestClientReuse(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			t.Run("again", func(t *testing.T) {
				a, b := used(t, l)
				a.ask(get())
				b.expect(askedGet).send(emptyAnswer)
			})
			t.Run("stale", func(t *testing.T) {
				a, b := used(t, l)
				a.ask(get())
				b.expect(askedGet)
				_ = b.Close()
				a.wait(t, "reset stale")
			})
			t.Run("closed while idle", func(t *testing.T) {
				a, b := used(t, l)
				_ = b.Close()
				a.wait(t, "gone")
			})
			t.Run("poisoned while idle", func(t *testing.T) {
				a, b := used(t, l)
				b.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
				a.wait(t, "gone")
				if got, _ := io.ReadAll(b.r); len(got) > 0 {
					t.Errorf("got %q", got)
				}
			})
			t.Run("unsent", func(t *testing.T) {
				a, b := used(t, l)
				_ = b.SetLinger(0)
				a.loop.Call(func() { // the loop cannot see the reset before it asks
					_ = b.Close()
					time.Sleep(20 * time.Millisecond)
					h := get()
					h.Authority = "a"
					a.s = a.client.Open(a)
					a.s.SendHead(&h, true)
				})
				want := "reset unsent"
				if strings.Contains(t.Name(), "portable") {
					want = "reset stale" // its bytes were on their way already
				}
				a.wait(t, want)
				a.wait(t, "gone")
			})
		})
	}
}

func TestClientEndings(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			t.Run("drain", func(t *testing.T) {
				a, b := used(t, l)
				a.ask(get())
				a.loop.Call(func() { a.client.Drain() })
				a.wait(t, "gone")
				b.expect(askedGet).send(emptyAnswer).closed()
			})
			t.Run("reset closes", func(t *testing.T) {
				a, b := used(t, l)
				a.ask(get())
				b.expect(askedGet)
				a.loop.Call(func() { a.s.Reset(stream.ReasonCancel) })
				a.wait(t, "gone")
				b.closed()
			})
			t.Run("early answer, request goes on", func(t *testing.T) {
				a, b := backend(t, l)
				h := message.Head{Method: "POST", Path: "/", ContentLength: 4}
				a.loop.Call(func() {
					a.s = a.client.Open(a)
					h.Authority = "a"
					a.s.SendHead(&h, false)
					a.s.SendData([]byte("ab"), false)
				})
				b.expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab").send(emptyAnswer)
				a.wait(t, "end")
				a.loop.Call(func() { a.s.SendData([]byte("cd"), true) })
				b.expect("cd")
				a.wait(t, "room")
			})
			t.Run("early answer, request given up", func(t *testing.T) {
				a, b := backend(t, l)
				h := message.Head{Method: "POST", Path: "/", ContentLength: 4, Authority: "a"}
				a.loop.Call(func() {
					a.s = a.client.Open(a)
					a.s.SendHead(&h, false)
				})
				b.expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				a.wait(t, "end")
				a.loop.Call(func() { a.s.Reset(stream.ReasonNone) })
				a.wait(t, "gone")
				b.closed()
			})
		})
	}
}

func TestClientUpgrade(t *testing.T) {
	h := get()
	h.Protocol = "websocket"
	const asked = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			t.Run("granted", func(t *testing.T) {
				a, b := backend(t, l)
				a.onHead = func(*message.Head) {}
				a.loop.Call(func() {
					h := h
					h.Authority = "a"
					a.s = a.client.Open(a)
					a.s.SendHead(&h, false)
				})
				b.expect(asked).send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi")
				a.wait(t, "head 101 websocket")
				a.loop.Call(func() { a.s.SendData([]byte("raw"), false) })
				b.expect("raw")
				_ = b.CloseWrite()
				a.wait(t, "end hi")
				a.loop.Call(func() { a.s.SendData([]byte(" last"), true) })
				b.expect(" last").closed()
				a.wait(t, "gone")
			})
			t.Run("refused ends the connection", func(t *testing.T) {
				a, b := backend(t, l)
				a.loop.Call(func() {
					h := h
					h.Authority = "a"
					a.s = a.client.Open(a)
					a.s.SendHead(&h, false)
				})
				b.expect(asked).send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
				a.wait(t, "end")
				a.loop.Call(func() { a.s.SendData(nil, true) })
				a.wait(t, "gone")
			})
		})
	}
}
