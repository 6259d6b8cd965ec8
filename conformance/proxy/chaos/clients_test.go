package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// guest is a proxy with one backend that is well, good clients beside the bad
// ones of a test, and what the proxy may take meanwhile.
type guest struct {
	t      *testing.T
	kind   rig.Kind
	proxy  *rig.Proxy
	addr   string
	origin *lab.Origin
	before rig.Usage
	stop   func() []*lab.Result
}

func invite(t *testing.T, kind rig.Kind, http string) *guest {
	t.Helper()
	bodies := lab.NewBodies(32 << 20)
	g := &guest{t: t, kind: kind, origin: lab.NewOrigin(t, bodies, lab.Well)}
	g.proxy = serve(t, kind, [3]string{0: ", http: {" + http + "}", 2: ", idleTimeout: 1s"}, g.origin.Addr)
	g.addr = g.proxy.Addr("web")
	g.before = g.proxy.Usage()
	addr := func() string { return g.addr }
	g.stop = lab.Begin(&lab.Load{Name: "others", Workers: 4, Rate: 200, First: 1 << 32, Client: func() lab.Client {
		return &lab.HTTP1{Addr: addr, Bodies: bodies}
	}})
	return g
}

// bounded holds that the proxy has not grown by more than so many bytes.
func (g *guest) bounded(what string, most int64) {
	g.t.Helper()
	u := g.proxy.Usage()
	grown := u.RSS - g.before.RSS
	g.t.Logf("%s: %.1f MB more, %d descriptors", what, float64(grown)/1e6, u.FDs)
	if grown > most {
		g.t.Errorf("%s: %d bytes more, at most %d are right", what, grown, most)
	}
}

// leave holds that nobody else noticed and nothing stays.
func (g *guest) leave() {
	g.t.Helper()
	for _, r := range g.stop() {
		g.t.Log(r)
		if r.Failures() > 0 || r.Good == 0 {
			g.t.Errorf("others suffered: %s", r)
		}
	}
	g.proxy.Settle(g.before, rig.Growth{FDs: 12, Goroutines: 12, RSS: 64 << 20})
}

func each(t *testing.T, http string, test func(t *testing.T, g *guest)) {
	t.Helper()
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		g := invite(t, kind, http)
		test(t, g)
		g.leave()
	})
}

// TestSlowloris: heads that come a byte at a time end with 408.
func TestSlowloris(t *testing.T) {
	each(t, "headerTimeout: 1s, idleTimeout: 2s", func(t *testing.T, g *guest) {
		t.Helper()
		const n = 300
		var clients []*peer
		for range n {
			clients = append(clients, dial(t, g.addr).send("GET / HT"))
		}
		for range 6 {
			time.Sleep(100 * time.Millisecond)
			for _, c := range clients {
				c.send("T")
			}
		}
		g.bounded(fmt.Sprintf("%d slow heads", n), 16<<20)
		late := 0
		for _, c := range clients {
			_ = c.SetReadDeadline(time.Now().Add(3 * time.Second))
			status, _ := c.status()
			if status == 408 || status == 400 {
				late++
			}
		}
		if late != n {
			t.Errorf("%d of %d were told that they are too slow", late, n)
		}
	})
}

// TestSlowBody: a request that stops coming is ended, and the backend is free.
func TestSlowBody(t *testing.T) {
	each(t, "idleTimeout: 1s", func(t *testing.T, g *guest) {
		t.Helper()
		c := dial(t, g.addr).send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\nabc")
		if status, _ := c.status(); status != 408 {
			t.Errorf("status %d, want 408", status)
		}
		if !c.ends(3 * time.Second) {
			t.Error("the connection stays")
		}
	})
}

// TestIdleConnections: thousands that say nothing cost little and are closed.
func TestIdleConnections(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 300
	}
	each(t, "headerTimeout: 3s, idleTimeout: 3s", func(t *testing.T, g *guest) {
		t.Helper()
		var clients []*peer
		for i := range n {
			c := dial(t, g.addr)
			if i%3 == 0 {
				c.send(get)
			}
			clients = append(clients, c)
		}
		time.Sleep(300 * time.Millisecond)
		perConn := int64(4 << 10)
		if g.kind == rig.Portable {
			perConn = 16 << 10 // the stacks of two goroutines
		}
		g.bounded(fmt.Sprintf("%d idle connections", n), 8<<20+int64(n)*perConn)
		for _, c := range clients {
			if !c.ends(8 * time.Second) {
				t.Fatal("an idle connection stays")
			}
		}
	})
}

// TestSlowReaders ask for a lot and take nothing.
func TestSlowReaders(t *testing.T) {
	const size = 16 << 20
	ask := fmt.Sprintf("GET / HTTP/1.1\r\nHost: a.example\r\n%s: 1\r\n%s: %d\r\n\r\n", lab.HeaderID, lab.HeaderSize, size)
	each(t, "idleTimeout: 1s", func(t *testing.T, g *guest) {
		t.Helper()
		var clients []*peer
		for range 30 {
			clients = append(clients, dial(t, g.addr).send(ask))
		}
		time.Sleep(500 * time.Millisecond)
		g.bounded("30 clients that do not read 16 MB", 24<<20)
		time.Sleep(2500 * time.Millisecond)
		for _, c := range clients {
			n, _ := io.Copy(io.Discard, c.in)
			if n >= size {
				t.Errorf("%d bytes came after a time-out of 1 s without reading", n)
			}
		}
	})
}

// TestHalfOpen: who has asked may close its direction; who leaves is left.
func TestHalfOpen(t *testing.T) {
	each(t, "idleTimeout: 5s", func(t *testing.T, g *guest) {
		t.Helper()
		c := dial(t, g.addr).send(get)
		closeWrite(t, c)
		if status, _ := c.status(); status != 200 {
			t.Errorf("a client that closed its direction got status %d", status)
		}
		c = dial(t, g.addr).send("GET / HTTP/1.1\r\nHost: a")
		closeWrite(t, c)
		if !c.ends(2 * time.Second) {
			t.Error("half a head keeps a connection open")
		}
		// Thousands of bodies that are cut off.
		for range 300 {
			c := dial(t, g.addr).send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("b", 5000))
			if tcp, ok := c.Conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = c.Close()
		}
		lab.Until(t, "the backend is rid of requests that nobody makes", func() bool { return g.origin.Active.Load() <= 4 })
	})
}

func closeWrite(t *testing.T, c *peer) {
	t.Helper()
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok {
		t.Fatalf("%T is not TCP", c.Conn)
	}
	if err := tcp.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// frames is a client of HTTP/2 that sends what it likes.
type frames struct {
	*peer
	*http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
}

func dialHTTP2(t *testing.T, addr string) *frames {
	t.Helper()
	f := &frames{peer: dial(t, addr)}
	f.send(http2.ClientPreface)
	f.Framer = http2.NewFramer(f.Conn, f.in)
	f.enc = hpack.NewEncoder(&f.block)
	_ = f.WriteSettings()
	return f
}

// head opens a stream.
func (f *frames) head(id uint32, fields ...string) error {
	f.block.Reset()
	fields = append([]string{":method", "GET", ":scheme", "http", ":authority", "a.example", ":path", "/"}, fields...)
	for i := 0; i < len(fields); i += 2 {
		_ = f.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.block.Bytes(), EndHeaders: true, EndStream: true})
}

// ended reads until the connection is closed, and returns the code of the last
// GOAWAY.
func (f *frames) ended() (code http2.ErrCode, closed bool) {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return code, !errors.Is(err, os.ErrDeadlineExceeded)
		}
		if g, ok := frame.(*http2.GoAwayFrame); ok {
			code = g.ErrCode
		}
	}
}

// TestRapidReset: streams that are opened and reset at once end the connection
// before they cost the backend much (CVE-2023-44487).
func TestRapidReset(t *testing.T) {
	each(t, "idleTimeout: 5s", func(t *testing.T, g *guest) {
		t.Helper()
		f := dialHTTP2(t, g.addr)
		sent := 0
		for id := uint32(1); id < 200_000; id += 2 {
			if f.head(id) != nil || f.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				break
			}
			sent++
		}
		code, closed := f.ended()
		t.Logf("cut after at most %d resets with %s", sent, code)
		if !closed || sent >= 90_000 {
			t.Errorf("closed %v after %d resets", closed, sent)
		}
		g.bounded("rapid reset", 24<<20)
	})
}

// TestContinuationFlood: a head without end is cut (CVE-2024-27316).
func TestContinuationFlood(t *testing.T) {
	each(t, "idleTimeout: 5s", func(t *testing.T, g *guest) {
		t.Helper()
		f := dialHTTP2(t, g.addr)
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
		part := bytes.Repeat([]byte{0x10, 1, 'x', 1, 'y'}, 3000)
		var err error
		sent := 0
		for err == nil && sent < 100<<20 {
			err = f.WriteContinuation(1, false, part)
			sent += len(part)
		}
		if _, closed := f.ended(); !closed || err == nil {
			t.Errorf("closed %v after %d bytes of one head (%v)", closed, sent, err)
		}
		g.bounded("continuation flood", 16<<20)
	})
}

// TestMaxStreams: streams above the limit are refused, those below are served.
func TestMaxStreams(t *testing.T) {
	each(t, "maxStreams: 10", func(t *testing.T, g *guest) {
		t.Helper()
		let := make(chan struct{})
		g.origin.Behave(func(c *lab.Call) bool {
			if c.ID == 99 {
				<-let
			}
			return lab.Well(c)
		})
		f := dialHTTP2(t, g.addr)
		const streams = 15
		for i := range uint32(streams) {
			if err := f.head(1+2*i, strings.ToLower(lab.HeaderID), "63"); err != nil {
				t.Fatal(err)
			}
		}
		refused, served := 0, 0
		for refused+served < streams {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Fatalf("%v after %d refused and %d served", err, refused, served)
			}
			switch frame := frame.(type) {
			case *http2.RSTStreamFrame:
				if frame.ErrCode != http2.ErrCodeRefusedStream {
					t.Errorf("stream %d was reset with %s", frame.StreamID, frame.ErrCode)
				}
				refused++
				if refused == streams-10 {
					close(let)
				}
			case *http2.HeadersFrame:
				served++
			}
		}
		if refused != streams-10 {
			t.Errorf("%d refused and %d served", refused, served)
		}
	})
}
