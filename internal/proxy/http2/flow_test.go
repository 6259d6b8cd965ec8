package http2

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// moody is an echo that pauses its source now and then, for reasons of its own
// and because there is no room.
type moody struct {
	l    *evloop.Loop
	rnd  *rand.Rand
	most *int
}

func (m *moody) NewStream(s stream.Stream) stream.Handler {
	h := &moodyHandler{m: m, s: s}
	h.timer.Func = func() {
		h.resting = false
		h.update()
	}
	return h
}
func (m *moody) Refused(*message.Head, *stream.ConnInfo, int, string) {}
func (m *moody) ConnClosed()                                          {}

type moodyHandler struct {
	m       *moody
	s       stream.Stream
	timer   evloop.Timer
	resting bool
	full    bool
	gone    bool
}

func (h *moodyHandler) update() {
	if !h.gone {
		h.s.Pause(h.resting || h.full)
	}
}

func (h *moodyHandler) OnHead(_ *message.Head, end bool) {
	h.s.SendHead(&message.Head{Status: 200, ContentLength: message.LengthUnknown}, end)
}

func (h *moodyHandler) OnData(p []byte, end bool) {
	st := h.s.(*h2stream)
	*h.m.most = max(*h.m.most, st.recvQ.size)
	h.full = !h.s.SendData(p, end)
	if end {
		h.gone = true
		h.timer.Stop()
		return
	}
	if h.m.rnd.IntN(20) == 0 && !h.resting {
		h.resting = true
		h.m.l.After(int64(h.m.rnd.IntN(8))*1e6, &h.timer)
	}
	h.update()
}
func (h *moodyHandler) OnTrailers([]message.Field) {}
func (h *moodyHandler) OnReset(stream.Reason) {
	h.gone = true
	h.timer.Stop()
}

func (h *moodyHandler) OnRoom() {
	h.full = false
	h.update()
}

// flowClient sends random data on several streams within the windows that the
// server gives, and gives random windows itself.
type flowClient struct {
	*raw
	mu      sync.Mutex
	cond    *sync.Cond
	rnd     *rand.Rand
	windows map[uint32]int // what we may send; 0 is the connection
	granted map[uint32]int // what the server may send
	got     map[uint32]*bytes.Buffer
	open    int
	failed  string
}

func (c *flowClient) grant(id uint32, n int) {
	c.granted[id] += n
	_ = c.WriteWindowUpdate(id, uint32(n))
}

// receive runs until all streams have ended.
func (c *flowClient) receive() {
	defer c.cond.Broadcast()
	for {
		f, err := c.ReadFrame()
		c.mu.Lock()
		switch f := f.(type) {
		case *xhttp2.SettingsFrame:
			_ = f.ForeachSetting(func(s xhttp2.Setting) error {
				if s.ID == xhttp2.SettingInitialWindowSize {
					for id := range c.windows {
						if id != 0 {
							c.windows[id] += int(s.Val) - defaultWindow
						}
					}
				}
				return nil
			})
		case *xhttp2.WindowUpdateFrame:
			c.windows[f.StreamID] += int(f.Increment)
		case *xhttp2.DataFrame:
			c.take(f)
		case *xhttp2.RSTStreamFrame, *xhttp2.GoAwayFrame:
			c.failed = f.Header().String()
		case nil:
			c.failed = err.Error()
		}
		done := c.open == 0 || c.failed != ""
		c.cond.Broadcast()
		c.mu.Unlock()
		if done {
			return
		}
	}
}

func (c *flowClient) take(f *xhttp2.DataFrame) {
	n := len(f.Data())
	c.granted[0] -= n
	c.granted[f.StreamID] -= n
	if c.granted[0] < 0 || c.granted[f.StreamID] < 0 || n > maxFrame {
		c.failed = "the server exceeded a window"
	}
	c.got[f.StreamID].Write(f.Data())
	if f.StreamEnded() {
		c.open--
	}
	for _, id := range []uint32{0, f.StreamID} {
		if c.granted[id] < 20000 && (c.granted[id] < 10 || c.rnd.IntN(3) == 0) {
			c.grant(id, 1+c.rnd.IntN(60000))
		}
	}
}

// send sends all of p on a stream, in random parts.
func (c *flowClient) send(id uint32, p []byte) {
	for {
		c.mu.Lock()
		for c.failed == "" && len(p) > 0 && (c.windows[0] <= 0 || c.windows[id] <= 0) {
			c.cond.Wait()
		}
		if c.failed != "" {
			c.mu.Unlock()
			return
		}
		n := min(len(p), maxFrame, 1+c.rnd.IntN(30000), max(c.windows[0], 0), max(c.windows[id], 0))
		c.windows[0] -= n
		c.windows[id] -= n
		_ = c.WriteData(id, n == len(p), p[:n])
		c.mu.Unlock()
		if p = p[n:]; len(p) == 0 {
			return
		}
	}
}

func TestFlowControl(t *testing.T) {
	kinds(t, func(t *testing.T, kind evloop.Kind) {
		t.Helper()
		for seed := range uint64(6) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			l := newLoop(t, kind)
			most := 0
			addr, _ := serve(t, l, ServerOptions{StreamWindow: 100000, ConnWindow: 250000}, func() stream.Server {
				return &moody{l: l, rnd: rand.New(rand.NewPCG(seed, 2)), most: &most}
			})
			first := rnd.IntN(50000)
			c := &flowClient{
				raw: dialRaw(t, addr, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: uint32(first)}), rnd: rnd,
				windows: map[uint32]int{0: defaultWindow}, granted: map[uint32]int{0: defaultWindow}, got: map[uint32]*bytes.Buffer{},
			}
			c.cond = sync.NewCond(&c.mu)
			const streams = 5
			c.open = streams
			want := map[uint32][]byte{}
			for i := range uint32(streams) {
				id := 2*i + 1
				p := make([]byte, rnd.IntN(600000))
				for i := range p {
					p[i] = byte(rnd.Uint32())
				}
				want[id] = p
				c.windows[id], c.granted[id], c.got[id] = defaultWindow, first, &bytes.Buffer{}
				c.headers(id, false, c.post("/"))
				c.grant(id, 1+rnd.IntN(1000))
			}
			var wg sync.WaitGroup
			wg.Go(c.receive)
			for id, p := range want {
				wg.Go(func() { c.send(id, p) })
			}
			wg.Wait()
			for id, p := range want {
				if !bytes.Equal(c.got[id].Bytes(), p) {
					t.Errorf("seed %d: stream %d: %d bytes came back, want %d", seed, id, c.got[id].Len(), len(p))
				}
			}
			l.Call(func() {
				if c.failed != "" || most > 100000 {
					t.Errorf("seed %d: %s, at most %d bytes buffered", seed, c.failed, most)
				}
			})
		}
	})
}

// TestPauseBounds: what a paused stream may hold is its window, and others go on.
func TestPauseBounds(t *testing.T) {
	kinds(t, func(t *testing.T, kind evloop.Kind) {
		t.Helper()
		l := newLoop(t, kind)
		addr, conns := serve(t, l, ServerOptions{}, func() stream.Server { return &app{} })
		r := dialRaw(t, addr)
		r.headers(1, false, r.post("/paused"))
		for range 16 {
			_ = r.WriteData(1, false, make([]byte, maxFrame))
		}
		r.headers(3, true, r.get("/"))
		updates, answered := 0, false
		for !answered {
			f, err := r.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch f := f.(type) {
			case *xhttp2.WindowUpdateFrame:
				if f.Increment != 1<<20-defaultWindow {
					updates++
				}
			case *xhttp2.DataFrame:
				answered = f.StreamID == 3
			case *xhttp2.RSTStreamFrame, *xhttp2.GoAwayFrame:
				t.Fatal(f)
			}
		}
		if updates != 0 {
			t.Errorf("%d WINDOW_UPDATEs while paused", updates)
		}
		c := conns()[0]
		var size int
		l.Call(func() {
			size = c.find(1).recvQ.size
			c.find(1).Pause(false)
		})
		if size != 256<<10 {
			t.Errorf("%d bytes buffered", size)
		}
		if got := r.verdict(func(f xhttp2.Frame) {
			if _, ok := f.(*xhttp2.WindowUpdateFrame); ok {
				updates++
			}
		}); got != "pong" || updates == 0 {
			t.Errorf("%q, %d WINDOW_UPDATEs after", got, updates)
		}
	})
}

// TestNoCreditWhilePaused: what was taken before the pause is given back after it.
func TestNoCreditWhilePaused(t *testing.T) {
	l := newLoop(t, evloop.Native)
	addr, conns := serve(t, l, ServerOptions{}, func() stream.Server { return &app{} })
	r := dialRaw(t, addr)
	r.headers(1, false, r.post("/tired"))
	for range 16 {
		_ = r.WriteData(1, false, make([]byte, 10000))
	}
	credit := uint32(0)
	count := func(f xhttp2.Frame) {
		if w, ok := f.(*xhttp2.WindowUpdateFrame); ok && w.StreamID == 1 {
			credit += w.Increment
		}
	}
	c := conns()[0]
	// Resumed, it takes one part more and is tired again, now past half the window.
	for range 2 {
		r.verdict(count)
		r.verdict(count) // credit is written at the end of a turn
		if credit != 0 {
			t.Errorf("credit of %d while paused", credit)
		}
		l.Call(func() { c.find(1).Pause(false) })
	}
	r.verdict(count)
	r.verdict(count)
	if credit < 131072 {
		t.Errorf("credit of %d after", credit)
	}
}

// TestTurnIsBounded: a peer that takes all at once does not keep the loop.
func TestTurnIsBounded(t *testing.T) {
	l, err := evloop.New(0, evloop.Portable)
	if err != nil {
		t.Fatal(err)
	}
	var wire bytes.Buffer
	wire.WriteString(preface)
	r := &raw{t: t, Framer: xhttp2.NewFramer(&wire, nil)}
	r.enc = hpack.NewEncoder(&r.buf)
	_ = r.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: maxWindow})
	_ = r.WriteWindowUpdate(0, maxWindow-defaultWindow)
	r.headers(1, true, r.get("/big/10000000"))
	m := &memConn{in: wire.Bytes(), keep: true}
	c := NewServerConn(l, m, ServerOptions{}, &app{}, nil)
	turn(&c.conn)
	if n := len(m.out); n < writeBatch || n > writeBatch+outData+maxFrame {
		t.Errorf("%d bytes in one turn", n)
	}
	for i := 0; i < 100 && c.yielded; i++ {
		c.turnBytes = 0 // the next turn
		c.goOn()
		turn(&c.conn)
	}
	if len(m.out) < 10000000 || c.active != 0 {
		t.Errorf("%d bytes in all, %d streams left", len(m.out), c.active)
	}
	c.Close()
}

// TestFairness: a small answer does not wait behind a large one.
func TestFairness(t *testing.T) {
	l := newLoop(t, evloop.Native)
	addr, _ := serve(t, l, ServerOptions{}, func() stream.Server { return &app{} })
	r := dialRaw(t, addr, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: maxWindow})
	_ = r.WriteWindowUpdate(0, maxWindow-defaultWindow)
	r.headers(1, true, r.get("/big/200000000"))
	time.Sleep(50 * time.Millisecond) // both sockets are full
	r.headers(3, true, r.get("/"))
	before := 0
	for {
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.(*xhttp2.DataFrame); ok {
			if d.StreamID == 3 {
				break
			}
			before += len(d.Data())
		}
	}
	if before > 20<<20 {
		t.Errorf("%d bytes of the large answer came first", before)
	}
}

// TestDrain: streams that were on their way are served, those after are refused,
// open ones end, and then the connection does.
func TestDrain(t *testing.T) {
	kinds(t, func(t *testing.T, kind evloop.Kind) {
		t.Helper()
		l := newLoop(t, kind)
		a := &app{}
		addr, conns := serve(t, l, ServerOptions{}, func() stream.Server { return a })
		r := dialRaw(t, addr, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 3})
		r.headers(1, true, r.get("/"))
		r.verdict(nil)
		l.Call(conns()[0].Drain)
		r.headers(3, true, r.get("/")) // before the answer to the PING
		var log []string
		for {
			f, err := r.ReadFrame()
			if err != nil {
				break
			}
			switch f := f.(type) {
			case *xhttp2.GoAwayFrame:
				log = append(log, map[bool]string{true: "announced", false: "final"}[f.LastStreamID == maxStreamID])
				if f.LastStreamID == 3 {
					r.headers(5, true, r.get("/"))
					_ = r.WriteWindowUpdate(1, 100)
					_ = r.WriteWindowUpdate(3, 100)
				}
			case *xhttp2.PingFrame:
				_ = r.WritePing(true, f.Data)
			case *xhttp2.RSTStreamFrame:
				log = append(log, "refused")
				if f.StreamID != 5 || f.ErrCode != xhttp2.ErrCodeRefusedStream {
					t.Error(f)
				}
			case *xhttp2.DataFrame:
				if f.StreamEnded() {
					log = append(log, "answered")
				}
			}
		}
		slices.Sort(log)
		if got := strings.Join(log, " "); got != "announced answered answered final refused" {
			t.Errorf("got %q", got)
		}
		r.nc.Close()
		closed := false
		for i := 0; i < 100 && !closed; i++ {
			time.Sleep(5 * time.Millisecond)
			l.Call(func() { closed = a.closed })
		}
		l.Call(func() {
			if !closed || len(a.resets) != 0 {
				t.Errorf("closed %v, resets %v", closed, a.resets)
			}
		})
	})
}
