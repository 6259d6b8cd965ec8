package http1_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

func sayHello(r *request) { r.reply(200, "hello") }

func TestServerFraming(t *testing.T) {
	head := func(h message.Head, body string) func(*request) {
		return func(r *request) {
			h := h
			r.s.SendHead(&h, body == "-")
			if body != "-" {
				r.s.SendData([]byte(body), true)
			}
		}
	}
	unknown := message.Head{Status: 200, ContentLength: message.LengthUnknown}
	tests := []struct {
		name   string // the section of RFC 9110 or 9112 is in it
		send   string
		answer func(*request)
		want   string
	}{
		{"9112 6.2 length", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", sayHello, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"},
		{"9112 6.1 unknown length is chunked", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", head(unknown, "hello"), "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"9112 6.1 no chunks for 1.0", "GET / HTTP/1.0\r\n\r\n", head(unknown, "hello"), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"},
		{"9112 9.3 1.0 keep-alive, unknown length closes", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", head(unknown, "hello"), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"},
		{"9112 9.3 1.0 keep-alive on request", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n", sayHello, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"},
		{"9110 9.3.2 HEAD says the length and sends nothing", "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", sayHello, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"},
		{"9110 15.3.5 204 has neither body nor length", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", head(message.Head{Status: 204}, "-"), "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"},
		{"9110 15.4.5 304 may say a length", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", head(message.Head{Status: 304, ContentLength: 9}, "-"), "HTTP/1.1 304 Not Modified\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"},
		{"9112 6.3 empty", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", head(unknown, "-"), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{"9112 9.6 last answer on a half-closed connection", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", ok, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{"9110 5.5 no injection", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", head(message.Head{Status: 200, Version: message.HTTP2, Fields: []message.Field{
			{Name: "x", Value: "a\r\nSet-Cookie: b"},
			{Name: "y\r\nz", Value: "c"},
			{Name: "n", Value: "a\x00"},
			{Name: "content-length", Value: "99"},
			{Name: "transfer-encoding", Value: "chunked", ID: message.IDTransferEncoding},
			{Name: "connection", Value: "x", ID: message.IDConnection},
			{Name: "ok", Value: "yes"},
		}}, "-"), "HTTP/1.1 200 OK\r\nok: yes\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{"9110 10.1.1 100 (Continue)", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", func(r *request) {
			r.s.SendHead(&message.Head{Status: 103, Fields: []message.Field{{Name: "link", Value: "x"}}}, false)
			ok(r)
		}, "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{"9110 15.2 no 1xx for 1.0", "GET / HTTP/1.0\r\n\r\n", func(r *request) {
			r.s.SendHead(&message.Head{Status: 103}, false)
			ok(r)
		}, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{"9112 7.1.2 trailers", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", func(r *request) {
			h := unknown
			r.s.SendHead(&h, false)
			r.s.SendData([]byte("ab"), false)
			r.s.SendTrailers([]message.Field{{Name: "sum", Value: "1"}, {Name: "content-length", Value: "7", ID: message.IDContentLength}, {Name: "bad", Value: "\n"}})
		}, "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nsum: 1\r\n\r\n"},
		{
			"9112 9.3.2 pipelining in order", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", func(r *request) { r.reply(200, r.path) },
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/1HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/2HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n/3",
		},
		{"9112 6.3 a body that is too long is cut with its connection", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", head(message.Head{Status: 200, ContentLength: 2}, "abc"), ""},
	}
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					s := &site{answer: tt.answer}
					c := dial(t, serve(t, l, s.accept(l))).send(tt.send)
					if got := c.rest(); got != tt.want {
						t.Errorf("got  %q\nwant %q", got, tt.want)
					}
				})
			}
		})
	}
}

func TestServerManyRequests(t *testing.T) {
	const n = 2000 // more than one buffer, answered in pieces
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			s := &site{answer: sayHello}
			c := dial(t, serve(t, l, s.accept(l)))
			go func() { _, _ = io.WriteString(c.TCPConn, strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", n)) }()
			c.expect(strings.Repeat(hello, n))
		})
	}
}

func TestServerBodies(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 20000)
	long := "GET /" + strings.Repeat("a", 7900) + " HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("b", 20000) + "\r\n"
	tests := []struct{ name, send, body string }{
		{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 320000\r\n\r\n" + large, large},
		{"one chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4e200\r\n" + large + "\r\n0\r\n\r\n", large},
		{"many chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("10\r\n0123456789abcdef\r\n", 20000) + "0\r\n\r\n", large},
		{"after a long head", strings.Replace(long, "GET", "POST", 1) + "Content-Length: 320000\r\n\r\n" + large, large},
	}
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					s := &site{answer: func(r *request) {
						if r.head.Path != r.path {
							r.site.add("the head did not stay")
						}
						r.reply(200, string(r.body))
					}}
					c := dial(t, serve(t, l, s.accept(l)))
					for range 3 {
						go func() { _, _ = io.WriteString(c.TCPConn, tt.send) }()
						c.expect("HTTP/1.1 200 OK\r\nContent-Length: 320000\r\n\r\n" + tt.body)
					}
					if slices.Contains(s.all(), "the head did not stay") {
						t.Error("the strings of a head changed while its exchange was open")
					}
				})
			}
		})
	}
}

func TestServerEarlyAnswer(t *testing.T) {
	early := func(r *request) {
		r.reply(413, "no")
		r.s.Reset(stream.ReasonNone)
	}
	const answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			t.Run("a little is drained and the connection kept", func(t *testing.T) {
				s := &site{onHead: early}
				c := dial(t, serve(t, l, s.accept(l)))
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na").expect(answer)
				c.send("bcPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n").expect(answer)
			})
			t.Run("much is not, and the answer arrives", func(t *testing.T) {
				s := &site{onHead: early}
				c := dial(t, serve(t, l, s.accept(l)))
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
				wrote := make(chan struct{})
				go func() {
					defer close(wrote)
					_, _ = io.WriteString(c.TCPConn, strings.Repeat("x", 3<<20))
				}()
				<-wrote
				c.expect(answer).closed()
			})
			t.Run("slow is not", func(t *testing.T) {
				s := &site{onHead: early, opts: http1.ServerOptions{LingerTimeout: 50 * time.Millisecond}}
				c := dial(t, serve(t, l, s.accept(l)))
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na").expect(answer).closed()
			})
			t.Run("who waits for 100 may send its body or not", func(t *testing.T) {
				s := &site{onHead: early}
				c := dial(t, serve(t, l, s.accept(l)))
				c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
				c.expect("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno").closed()
			})
			t.Run("without reset the handler sees the end", func(t *testing.T) {
				s := &site{onHead: func(r *request) { r.reply(200, "hello") }}
				c := dial(t, serve(t, l, s.accept(l)))
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").expect(hello)
				s.wait(t, `POST a / "abc"`)
			})
		})
	}
}

func TestServerTunnel(t *testing.T) {
	tests := []struct {
		name, send, want string
		status           int
	}{
		{"upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 101},
		{"connect", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", 200},
	}
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					s := &site{onHead: func(r *request) {
						r.s.SendHead(&message.Head{Status: tt.status, Protocol: r.head.Protocol, ContentLength: message.LengthUnknown}, false)
						r.s.SendData([]byte("hi "), false)
					}, answer: func(r *request) { r.s.SendData(append([]byte("got "), r.body...), true) }}
					c := dial(t, serve(t, l, s.accept(l)))
					c.send(tt.send + "early").expect(tt.want + "hi ").send(" late")
					_ = c.CloseWrite()
					if got := c.rest(); got != "got early late" {
						t.Errorf("got %q", got)
					}
					s.wait(t, "closed")
				})
			}
		})
	}
}

func TestServerEndings(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			t.Run("a head that does not come is 408", func(t *testing.T) {
				s := &site{answer: sayHello, opts: http1.ServerOptions{HeaderTimeout: 50 * time.Millisecond}}
				c := dial(t, serve(t, l, s.accept(l))).send(askedGet).expect(hello).send("GET / HT")
				if got := c.rest(); got != "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" {
					t.Errorf("got %q", got)
				}
				s.wait(t, "refused 408")
			})
			t.Run("idle connections end", func(t *testing.T) {
				s := &site{answer: sayHello, opts: http1.ServerOptions{IdleTimeout: 50 * time.Millisecond}}
				dial(t, serve(t, l, s.accept(l))).send(askedGet).expect(hello).closed()
			})
			t.Run("a client that resets cancels", func(t *testing.T) {
				s := &site{}
				c := dial(t, serve(t, l, s.accept(l))).send(askedGet)
				s.wait(t, "GET a /")
				_ = c.SetLinger(0)
				_ = c.Close()
				s.wait(t, "reset cancel")
				s.wait(t, "closed")
			})
			t.Run("a client that closes half is served", func(t *testing.T) {
				var held *request
				s := &site{answer: func(r *request) { held = r }}
				c := dial(t, serve(t, l, s.accept(l))).send(askedGet)
				_ = c.CloseWrite()
				s.wait(t, "GET a /")
				time.Sleep(20 * time.Millisecond)
				l.Call(func() { held.reply(200, "hello") })
				if got := c.rest(); got != "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello" {
					t.Errorf("got %q", got)
				}
			})
			t.Run("half a body cancels", func(t *testing.T) {
				s := &site{}
				c := dial(t, serve(t, l, s.accept(l))).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
				s.wait(t, "head")
				_ = c.CloseWrite()
				s.wait(t, "reset cancel")
				c.closed()
			})
		})
	}
}

func TestServerDrain(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			t.Run("drain answers what is open", func(t *testing.T) {
				var held *request
				s := &site{answer: func(r *request) { held = r }}
				c := dial(t, serve(t, l, s.accept(l))).send(askedGet)
				s.wait(t, "GET a /")
				l.Call(func() { s.conns[0].Drain() })
				l.Call(func() { held.reply(200, "hello") })
				if got := c.rest(); got != "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello" {
					t.Errorf("got %q", got)
				}
			})
			t.Run("drain closes what is idle", func(t *testing.T) {
				s := &site{answer: sayHello}
				c := dial(t, serve(t, l, s.accept(l))).send(askedGet).expect(hello)
				l.Call(func() { s.conns[0].Drain() })
				c.closed()
				_ = c.Close()
				s.wait(t, "closed")
			})
			t.Run("drain serves what is in the socket", func(t *testing.T) {
				s := &site{answer: sayHello}
				c := dial(t, serve(t, l, s.accept(l))).send(askedGet).expect(hello)
				l.Call(func() {
					c.send(askedGet)
					time.Sleep(20 * time.Millisecond)
					s.conns[0].Drain()
				})
				if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") && got != "" {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}

func TestServerLimits(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			t.Run("close tells the handler", func(t *testing.T) {
				s := &site{}
				c := dial(t, serve(t, l, s.accept(l))).send(askedGet)
				s.wait(t, "GET a /")
				l.Call(func() { s.conns[0].Close() })
				s.wait(t, "reset cancel")
				c.closed()
			})
			t.Run("the last request of a connection", func(t *testing.T) {
				s := &site{answer: ok, opts: http1.ServerOptions{MaxRequests: 2}}
				c := dial(t, serve(t, l, s.accept(l))).send(askedGet + askedGet + askedGet)
				if got := c.rest(); got != "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" {
					t.Errorf("got %q", got)
				}
			})
			t.Run("a body above the limit", func(t *testing.T) {
				s := &site{answer: ok, opts: http1.ServerOptions{MaxBody: 4}}
				addr := serve(t, l, s.accept(l))
				for _, body := range []string{"Content-Length: 5\r\n\r\nabcde", "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"} {
					c := dial(t, addr).send("POST / HTTP/1.1\r\nHost: a\r\n" + body)
					if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
						t.Errorf("got %q", got)
					}
				}
			})
			t.Run("an answer that is cut does not look whole", func(t *testing.T) {
				s := &site{answer: func(r *request) {
					r.s.SendHead(&message.Head{Status: 200, ContentLength: message.LengthUnknown}, false)
					r.s.SendData([]byte("part"), false)
					r.s.Reset(stream.ReasonInternal)
				}}
				addr := serve(t, l, s.accept(l))
				if got := dial(t, addr).send(askedGet).rest(); strings.Contains(got, "\r\n0\r\n") {
					t.Errorf("got %q", got)
				}
				c := dial(t, addr).send("GET / HTTP/1.0\r\n\r\n")
				if got, err := io.ReadAll(c.r); err == nil {
					t.Errorf("got %q and an orderly end", got)
				}
			})
		})
	}
}

func TestServerBackpressure(t *testing.T) {
	const size, part = 8 << 20, 32 << 10
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			for _, chunked := range []bool{false, true} {
				var feed func()
				full, times := 0, 0
				s := &site{}
				s.answer = func(r *request) {
					h := message.Head{Status: 200, ContentLength: size}
					if chunked {
						h.ContentLength = message.LengthUnknown
					}
					r.s.SendHead(&h, false)
					sent := 0
					feed = func() {
						for sent < size {
							sent += part
							if !r.s.SendData([]byte(strings.Repeat("x", part)), sent == size) {
								full++
								return
							}
						}
					}
					feed()
				}
				addr := serve(t, l, func(c evloop.Conn) {
					http1.NewServerConn(l, c, s.opts, roomy{s, &feed}, nil)
				})
				c := dial(t, addr).send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				time.Sleep(50 * time.Millisecond) // let it fill up
				got := c.rest()
				if l.Call(func() { times = full }); times == 0 {
					t.Error("never full")
				}
				if x := strings.Count(got, "x"); x != size {
					t.Errorf("%d bytes of the body", x)
				}
			}
		})
	}
}

// roomy is a site whose handlers go on when there is room.
type roomy struct {
	*site
	feed *func()
}

func (r roomy) NewStream(s stream.Stream) stream.Handler {
	return &feeder{request: &request{site: r.site, s: s}, feed: r.feed}
}

type feeder struct {
	*request
	feed *func()
}

func (f *feeder) OnRoom() { (*f.feed)() }
