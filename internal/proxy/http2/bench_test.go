package http2

import (
	"bytes"
	"testing"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// hello answers every request with the same head and body, and allocates nothing.
type hello struct {
	resp message.Head
	body []byte
	h    helloHandler
}

type helloHandler struct {
	a *hello
	s stream.Stream
}

func (a *hello) NewStream(s stream.Stream) stream.Handler {
	a.h = helloHandler{a: a, s: s}
	return &a.h
}
func (a *hello) Refused(*message.Head, *stream.ConnInfo, int, string) {}
func (a *hello) ConnClosed()                                          {}

func (h *helloHandler) OnHead(_ *message.Head, end bool) {
	if end {
		h.s.SendHead(&h.a.resp, false)
		h.s.SendData(h.a.body, true)
	}
}

func (h *helloHandler) OnData(p []byte, end bool) {
	if end {
		h.s.SendHead(&h.a.resp, false)
		h.s.SendData(h.a.body, true)
	}
}
func (h *helloHandler) OnTrailers([]message.Field) {}
func (h *helloHandler) OnReset(stream.Reason)      {}
func (h *helloHandler) OnRoom()                    {}

// steady is a server connection over memory, and a request to repeat.
type steady struct {
	m    *memConn
	c    *ServerConn
	wire []byte
	id   uint32
}

func newSteady(tb testing.TB) *steady {
	tb.Helper()
	l, err := evloop.New(0, evloop.Portable)
	if err != nil {
		tb.Fatal(err)
	}
	a := &hello{body: []byte("hello"), resp: message.Head{Status: 200, ContentLength: 5}}
	a.resp.Add(message.IDContentType, "Content-Type", "text/plain")
	a.resp.Add(message.IDServer, "Server", "backend")
	a.resp.Add(message.IDDate, "Date", "Fri, 27 Nov 2026 14:00:00 GMT")
	s := &steady{m: &memConn{}, id: 1}
	var buf, block bytes.Buffer
	fr := xhttp2.NewFramer(&buf, nil)
	enc := hpack.NewEncoder(&block)
	buf.WriteString(preface)
	_ = fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: maxWindow})
	_ = fr.WriteSettingsAck()
	_ = fr.WriteWindowUpdate(0, maxWindow-defaultWindow)
	for range 2 { // the second time all is indexed
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/index"}, {":authority", "a.test"}, {"user-agent", "bench/1"}, {"accept", "*/*"}} {
			_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: s.id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		s.id += 2
	}
	one := buf.Len()
	_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: s.id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	s.m.in = buf.Bytes()[:one:one]
	s.wire = bytes.Clone(buf.Bytes()[one:])
	s.c = NewServerConn(l, s.m, ServerOptions{}, a, nil)
	turn(&s.c.conn)
	return s
}

func (s *steady) request() {
	s.wire[5], s.wire[6], s.wire[7], s.wire[8] = byte(s.id>>24), byte(s.id>>16), byte(s.id>>8), byte(s.id)
	s.id += 2
	s.m.in = s.wire
	s.c.turnBytes = 0 // the loop's clock stands still
	s.c.Readable()
	turn(&s.c.conn)
	if s.c.sendWindow < 1<<20 {
		s.c.sendWindow = maxWindow
	}
}

// TestAllocations: a request in steady state allocates nothing in the codec.
func TestAllocations(t *testing.T) {
	s := newSteady(t)
	for range 100 {
		s.request()
	}
	if n := testing.AllocsPerRun(1000, s.request); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
	if s.c.state != connOpen || s.c.active != 0 {
		t.Errorf("state %d, %d streams open", s.c.state, s.c.active)
	}
}

func BenchmarkServerRequest(b *testing.B) {
	s := newSteady(b)
	b.ReportAllocs()
	for b.Loop() {
		s.request()
	}
}
