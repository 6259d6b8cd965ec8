package http2

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// chaos is both ends' user that does anything allowed at any time, from within
// its callbacks: to find out what a codec forgets to check after calling one.
type chaos struct {
	t       *testing.T
	rnd     *rand.Rand
	close   func()
	open    int
	live    []*chaosHandler
	bigData [40000]byte
}

func (a *chaos) NewStream(s stream.Stream) stream.Handler {
	a.open++
	h := &chaosHandler{a: a, s: s}
	a.live = append(a.live, h)
	return h
}
func (a *chaos) Refused(*message.Head, *stream.ConnInfo, int, string) {}
func (a *chaos) ConnClosed()                                          {}
func (a *chaos) ClientRoom(stream.Client)                             {}
func (a *chaos) ClientGone(stream.Client)                             {}

type chaosHandler struct {
	a                        *chaos
	s                        stream.Stream
	headSent, sent, got, off bool
}

func (h *chaosHandler) over() bool { return h.off || h.sent && h.got }

// called checks the contract: nobody calls a stream that is gone.
func (h *chaosHandler) called(what string) {
	if h.over() {
		h.a.t.Errorf("%s on a stream that is gone", what)
	}
}

// act does something to this stream or another.
func (h *chaosHandler) act() {
	a := h.a
	for range a.rnd.IntN(3) {
		o := h
		if a.rnd.IntN(4) == 0 {
			o = a.live[a.rnd.IntN(len(a.live))]
		}
		if !o.over() {
			o.step()
		}
	}
}

func (h *chaosHandler) step() {
	a := h.a
	switch n := a.rnd.IntN(20); {
	case n < 6:
		end := a.rnd.IntN(4) == 0
		head := &message.Head{Status: 200, Method: "POST", Scheme: "http", Authority: "a", Path: "/", ContentLength: message.LengthUnknown}
		if !h.headSent {
			h.headSent, h.sent = true, end
			h.s.SendHead(head, end)
		}
	case n < 12 && h.headSent && !h.sent:
		h.sent = a.rnd.IntN(4) == 0
		h.s.SendData(a.bigData[:a.rnd.IntN(len(a.bigData))], h.sent)
	case n == 13 && h.headSent && !h.sent:
		h.sent = true
		h.s.SendTrailers([]message.Field{{Name: "x", Value: "y"}})
	case n < 16:
		h.s.Pause(true)
	case n < 18:
		h.s.Pause(false)
	case n == 18:
		h.off = true
		h.s.Reset(stream.Reason(a.rnd.IntN(10)))
	case a.rnd.IntN(10) == 0:
		a.close()
	}
}

func (h *chaosHandler) OnHead(_ *message.Head, end bool) {
	h.called("OnHead")
	h.got = end
	h.act()
}

func (h *chaosHandler) OnData(_ []byte, end bool) {
	h.called("OnData")
	h.got = end
	h.act()
}

func (h *chaosHandler) OnTrailers([]message.Field) {
	h.called("OnTrailers")
	h.got = true
	h.act()
}

func (h *chaosHandler) OnReset(stream.Reason) {
	h.called("OnReset")
	h.off = true
	h.act()
}

func (h *chaosHandler) OnRoom() {
	h.called("OnRoom")
	h.act()
}

// judgeOutput reads what a codec wrote with x/net's framer.
func judgeOutput(t *testing.T, out []byte) {
	t.Helper()
	fr := xhttp2.NewFramer(io.Discard, bytes.NewReader(out))
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		_, err := fr.ReadFrame()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return // closed while a frame was half written
		}
		if err != nil {
			t.Errorf("our output: %v: %v", err, fr.ErrorDetail())
			return
		}
	}
}

// chaosWire is random frames, most of them sensible, half of the time with bits
// that are turned.
func chaosWire(rnd *rand.Rand, client bool) []byte {
	var wire, block bytes.Buffer
	fr := xhttp2.NewFramer(&wire, nil)
	fr.AllowIllegalWrites = true
	enc := hpack.NewEncoder(&block)
	_ = fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: uint32(rnd.IntN(100000))})
	for range rnd.IntN(150) {
		id := uint32(rnd.IntN(10))*2 + 1
		switch n := rnd.IntN(16); {
		case n < 5:
			block.Reset()
			pairs := [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}}
			if client {
				pairs = [][2]string{{":status", "200"}}
			}
			if rnd.IntN(6) == 0 {
				pairs = [][2]string{{"x", "trailer"}}
			}
			for _, p := range pairs {
				_ = enc.WriteField(hpack.HeaderField{Name: p[0], Value: p[1]})
			}
			_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: rnd.IntN(4) == 0, EndHeaders: true})
		case n < 11:
			_ = fr.WriteData(id, rnd.IntN(5) == 0, make([]byte, rnd.IntN(8000)))
		case n < 13:
			_ = fr.WriteWindowUpdate(id&uint32(-rnd.IntN(2)), uint32(1+rnd.IntN(100000)))
		case n == 13:
			_ = fr.WriteRSTStream(id, xhttp2.ErrCode(rnd.IntN(10)))
		case n == 14:
			_ = fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: uint32(rnd.IntN(100000))})
		case rnd.IntN(8) == 0:
			_ = fr.WriteGoAway(id, 0, nil)
		}
	}
	out := wire.Bytes()
	for range rnd.IntN(2) * rnd.IntN(6) {
		out[rnd.IntN(len(out))] ^= 1 << rnd.IntN(8)
	}
	return out
}

func TestChaosServer(t *testing.T) {
	l, err := evloop.New(0, evloop.Portable)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		m := &memConn{in: append([]byte(preface), chaosWire(rnd, false)...), keep: true, step: rnd.IntN(3) * 1000, choke: rnd}
		a := &chaos{t: t, rnd: rnd, close: func() {}}
		c := NewServerConn(l, m, ServerOptions{MaxStreams: 6}, a, nil)
		a.close = c.Close
		for range 50 {
			turn(&c.conn)
			c.Writable()
			c.Readable()
		}
		c.Close()
		turn(&c.conn)
		finish(t, seed, &c.conn, a, m)
	}
}

func TestChaosClient(t *testing.T) {
	l, err := evloop.New(0, evloop.Portable)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		m := &memConn{keep: true, step: rnd.IntN(3) * 1000, choke: rnd}
		a := &chaos{t: t, rnd: rnd}
		c := NewClientConn(l, m, ClientOptions{MaxStreams: 6}, a)
		a.close = c.Close
		wire := chaosWire(rnd, true)
		for len(wire) > 0 {
			for c.Room() > 0 {
				h := &chaosHandler{a: a}
				a.open++
				a.live = append(a.live, h)
				h.s = c.Open(h)
				h.act()
				if rnd.IntN(2) == 0 {
					break
				}
			}
			n := min(len(wire), 1+rnd.IntN(5000))
			m.in = append(m.in, wire[:n]...)
			wire = wire[n:]
			c.Readable()
			turn(&c.conn)
			c.Writable()
			turn(&c.conn)
		}
		c.Close()
		turn(&c.conn)
		finish(t, seed, &c.conn, a, m)
		judge := m.out
		if len(judge) >= len(preface) {
			judge = judge[len(preface):]
		}
		judgeOutput(t, judge)
	}
}

func finish(t *testing.T, seed uint64, c *conn, a *chaos, m *memConn) {
	t.Helper()
	if c.active != 0 || !m.closed || c.in != nil || c.out != nil {
		t.Fatalf("seed %d: %d streams, closed %v, buffers %d %d", seed, c.active, m.closed, len(c.in), len(c.out))
	}
	for _, h := range a.live {
		if !h.over() {
			t.Fatalf("seed %d: a stream of %d was never told its end", seed, a.open)
		}
	}
	if !c.client {
		judgeOutput(t, m.out)
	}
}
