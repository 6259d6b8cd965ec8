package rig

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// HTTP serves HTTP/1.1 and, with prior knowledge, HTTP/2 in plain text. It returns
// host:port.
func HTTP(tb testing.TB, h http.Handler) string {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	tb.Cleanup(func() {
		// A test that failed may have left a request open, for which Close waits.
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// HTTPS serves HTTP/1.1 and HTTP/2 over TLS with a certificate of the authority.
func HTTPS(tb testing.TB, ca *CA, h http.Handler, names ...string) string {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.TLS = ca.Server(tb, names...)
	s.StartTLS()
	tb.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// TCP serves each connection with a function, in a goroutine of its own. The
// connection is closed when the function returns.
func TCP(tb testing.TB, serve func(net.Conn)) string {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	Serve(tb, ln, serve)
	return ln.Addr().String()
}

// Serve is TCP on a listener that is there already; it is closed with the test.
func Serve(tb testing.TB, ln net.Listener, serve func(net.Conn)) {
	tb.Helper()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		open = map[net.Conn]struct{}{}
		over bool
	)
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if over {
				mu.Unlock()
				_ = c.Close()
				return
			}
			open[c] = struct{}{}
			mu.Unlock()
			wg.Go(func() {
				serve(c)
				_ = c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	tb.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		over = true
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// Origin is a backend that keeps every byte of what it is asked, and answers each
// request with bytes that a test chose, whatever they are.
type Origin struct {
	Addr string

	mu     sync.Mutex
	seen   []string
	conns  int
	answer func(request string) string
}

// CloseAfter as a suffix of an answer makes the origin close the connection behind
// it; otherwise it goes on reading.
const CloseAfter = "\x00close"

// NewOrigin starts an origin. The answer to a request, given with head and body as
// they came, is sent as it is; "" closes without an answer.
func NewOrigin(tb testing.TB, answer func(request string) string) *Origin {
	tb.Helper()
	o := &Origin{answer: answer}
	o.Addr = TCP(tb, o.serve)
	return o
}

// serve reads requests by the framing of RFC 9112, keeping what it reads.
func (o *Origin) serve(c net.Conn) {
	o.mu.Lock()
	o.conns++
	o.mu.Unlock()
	kept := &keep{r: c}
	r := bufio.NewReader(kept)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			if len(kept.bytes) > 0 && !errors.Is(err, io.EOF) {
				o.note("unreadable: " + string(kept.bytes))
			}
			return
		}
		if req.Header.Get("Expect") == "100-continue" {
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		_, err = io.Copy(io.Discard, req.Body)
		text := string(kept.take(r.Buffered()))
		if err != nil {
			o.note("cut: " + text)
			return
		}
		o.note(text)
		if !o.reply(c, text) {
			return
		}
	}
}

func (o *Origin) reply(c net.Conn, request string) (more bool) {
	a := o.answer(request)
	ends := len(a) >= len(CloseAfter) && a[len(a)-len(CloseAfter):] == CloseAfter
	if ends {
		a = a[:len(a)-len(CloseAfter)]
	}
	if _, err := io.WriteString(c, a); err != nil || a == "" || ends {
		if ends {
			linger(c)
		}
		return false
	}
	return true
}

// linger closes without a reset, which could overtake the answer.
func linger(c net.Conn) {
	if w, ok := c.(*net.TCPConn); ok {
		_ = w.CloseWrite()
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(io.Discard, c)
}

func (o *Origin) note(request string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, request)
}

// Seen are the requests so far, each byte of them.
func (o *Origin) Seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.seen...)
}

// Conns is how many connections there were.
func (o *Origin) Conns() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.conns
}

// keep remembers what is read through it.
type keep struct {
	r     io.Reader
	bytes []byte
}

func (k *keep) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	k.bytes = append(k.bytes, p[:n]...)
	return n, err
}

// take returns what was read but for the last bytes, which belong to what follows.
func (k *keep) take(ahead int) []byte {
	n := len(k.bytes) - ahead
	out := k.bytes[:n:n]
	k.bytes = append([]byte(nil), k.bytes[n:]...)
	return out
}
