package http2

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// memConn is a connection whose peer has sent in already; it takes all output.
type memConn struct {
	in     []byte
	out    []byte
	keep   bool
	step   int
	events evloop.Events
	info   stream.ConnInfo
	closed bool
	choke  *rand.Rand // takes only a part of the output now and then
}

func (m *memConn) Read(p []byte) (int, error) {
	if m.closed {
		return 0, evloop.ErrClosed
	}
	if len(m.in) == 0 {
		return 0, evloop.ErrAgain
	}
	if m.step > 0 {
		p = p[:min(len(p), m.step)]
	}
	n := copy(p, m.in)
	m.in = m.in[n:]
	return n, nil
}

func (m *memConn) Write(a, b []byte) (int, error) {
	if m.choke != nil && m.choke.IntN(3) == 0 {
		n := m.choke.IntN(len(a) + 1)
		m.out = append(m.out, a[:n]...)
		return n, evloop.ErrAgain
	}
	if m.keep {
		m.out = append(append(m.out, a...), b...)
	}
	return len(a) + len(b), nil
}
func (m *memConn) CloseWrite() error      { return nil }
func (m *memConn) Close()                 { m.closed = true }
func (m *memConn) Handle(e evloop.Events) { m.events = e }
func (m *memConn) Info() *stream.ConnInfo { return &m.info }

// turn runs what a loop would at the end of a turn.
func turn(c *conn) {
	for i := 0; c.deferred; i++ {
		if i > 1000 {
			panic("the turn does not end")
		}
		c.RunDeferred()
	}
}

// FuzzServer: whatever comes, nothing panics or hangs, memory stays bounded, and
// what goes out are valid frames.
func FuzzServer(f *testing.F) {
	for _, rule := range rules {
		var wire bytes.Buffer
		r := &raw{t: f, Framer: xhttp2.NewFramer(&wire, nil)}
		r.enc = hpack.NewEncoder(&r.buf)
		r.AllowIllegalWrites = true
		r.nc = nil
		if rule.name == "the reserved bit is ignored" {
			continue
		}
		_ = r.WriteSettings()
		rule.send(r)
		f.Add(wire.Bytes(), uint16(0))
	}
	f.Fuzz(func(t *testing.T, wire []byte, step uint16) {
		l, err := evloop.New(0, evloop.Portable)
		if err != nil {
			t.Fatal(err)
		}
		m := &memConn{in: append([]byte(preface), wire...), keep: true, step: int(step)}
		a := &app{}
		c := NewServerConn(l, m, ServerOptions{MaxStreams: 8}, a, nil)
		turn(&c.conn)
		if held := len(c.in) + c.pending() + len(c.blockBuf); held > 2<<20 {
			t.Errorf("%d bytes held for %d bytes of input", held, len(wire))
		}
		c.Close()
		turn(&c.conn)
		if !a.closed || c.active != 0 {
			t.Errorf("closed %v, %d streams left", a.closed, c.active)
		}
		judgeOutput(t, m.out)
	})
}

// FuzzClient is the same for what a backend sends, while exchanges are open.
func FuzzClient(f *testing.F) {
	for seed := range uint64(20) {
		// Short ones: the engine would spend its time on making them shorter.
		wire := chaosWire(rand.New(rand.NewPCG(seed, 5)), true)
		f.Add(wire[:min(len(wire), 2000)], uint16(0))
	}
	f.Fuzz(func(t *testing.T, wire []byte, step uint16) {
		l, err := evloop.New(0, evloop.Portable)
		if err != nil {
			t.Fatal(err)
		}
		m := &memConn{in: wire, step: int(step)}
		c := NewClientConn(l, m, ClientOptions{}, &chaos{t: t})
		var recs [4]record
		for i := range recs {
			c.Open(&recs[i]).SendHead(request("POST", "/"), i > 1)
		}
		c.Readable()
		turn(&c.conn)
		c.Close()
		turn(&c.conn)
		if !m.closed || c.active != 0 {
			t.Errorf("closed %v, %d streams left", m.closed, c.active)
		}
	})
}

// FuzzEncoder: x/net's decoder reads what we write, in any case of names and
// after any change of the table's size.
func FuzzEncoder(f *testing.F) {
	f.Add("a: b\nContent-Type: text/html\na: b\na: b\n!100\nx: yyyyyyyyyyyyyyyyyyyyyyyy\n!4096\nx: yyyyyyyyyyyyyyyyyyyyyyyy\na: b")
	f.Add("accept-encoding: gzip, deflate\ncookie: x\n!0\n!50\ncookie: y")
	f.Fuzz(func(t *testing.T, script string) {
		var e encoder
		e.init()
		var got []string
		d := hpack.NewDecoder(4096, func(hf hpack.HeaderField) { got = append(got, hf.Name+": "+hf.Value) })
		for line := range strings.SplitSeq(script, "\n") {
			if n, ok := strings.CutPrefix(line, "!"); ok {
				e.resize(uint32(max(parseLength(n), 0)))
				continue
			}
			name, value, _ := strings.Cut(line, ": ")
			var want []string
			block := e.begin(nil)
			for range 3 {
				block = e.field(block, message.Lookup(name), name, value)
				want = append(want, asciiLower(name)+": "+value)
			}
			got = nil
			if _, err := d.Write(block); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	})
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// FuzzBlock: what we accept from HPACK is safe to write as HTTP/1.1.
func FuzzBlock(f *testing.F) {
	f.Add("GET", "/", "a.test", "x", "y", "cookie", "z")
	f.Fuzz(func(t *testing.T, method, path, authority, n1, v1, n2, v2 string) {
		b := block{limit: 1 << 16}
		var h message.Head
		b.start(&h, requestBlock)
		for _, p := range [][2]string{{":method", method}, {":scheme", "http"}, {":path", path}, {":authority", authority}, {n1, v1}, {n2, v2}} {
			b.emit(hpack.HeaderField{Name: p[0], Value: p[1]})
		}
		if b.finishRequest(true) != "" {
			return
		}
		if strings.ContainsAny(h.Method+h.Path+h.Authority, " \r\n\x00\t") || h.Authority == "" {
			t.Errorf("accepted %q %q %q", h.Method, h.Path, h.Authority)
		}
		for _, field := range h.Fields {
			if field.Name == "" || strings.ContainsAny(field.Name, " \r\n\x00:\t") || strings.ContainsAny(field.Value, "\r\n\x00") || field.ID.HopByHop() && field.ID != message.IDTE {
				t.Errorf("accepted %q: %q", field.Name, field.Value)
			}
		}
	})
}
