package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// message2 is a request or a response of HTTP/2. Fields are "name: value", pseudo
// fields too.
type message2 struct {
	// informational heads come first.
	informational [][]string
	head          []string
	body          string
	trailers      []string
	// reset ends it instead of END_STREAM.
	reset http2.ErrCode
}

// get2 is a request without a body.
func get2(fields ...string) *message2 {
	return &message2{head: append([]string{":method: GET", ":scheme: http", ":authority: example.com", ":path: /"}, fields...)}
}

// post2 is a request with one.
func post2(body string, fields ...string) *message2 {
	return &message2{body: body, head: append([]string{":method: POST", ":scheme: http", ":authority: example.com", ":path: /"}, fields...)}
}

func ok2(fields ...string) *message2 {
	return &message2{head: append([]string{":status: 200"}, fields...), body: "ok"}
}

// peer2 writes and reads frames.
type peer2 struct {
	framer *http2.Framer
	enc    *hpack.Encoder
	buf    bytes.Buffer
}

func newPeer2(rw io.ReadWriter) *peer2 {
	p := &peer2{framer: http2.NewFramer(rw, rw)}
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	// What is sent is wrong on purpose now and then.
	p.framer.AllowIllegalWrites = true
	p.enc = hpack.NewEncoder(&p.buf)
	return p
}

func (p *peer2) block(fields []string) []byte {
	p.buf.Reset()
	for _, f := range fields {
		i := strings.Index(f[1:], ":") + 1
		_ = p.enc.WriteField(hpack.HeaderField{Name: f[:i], Value: strings.TrimPrefix(f[i+1:], " ")})
	}
	return bytes.Clone(p.buf.Bytes())
}

func (p *peer2) send(stream uint32, m *message2) error {
	head := func(fields []string, end bool) error {
		return p.framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: stream, BlockFragment: p.block(fields), EndHeaders: true, EndStream: end,
		})
	}
	for _, fields := range m.informational {
		if err := head(fields, false); err != nil {
			return err
		}
	}
	hasReset := m.reset != 0
	err := head(m.head, m.body == "" && m.trailers == nil && !hasReset)
	if err == nil && m.body != "" {
		err = p.framer.WriteData(stream, m.trailers == nil && !hasReset, []byte(m.body))
	}
	if err == nil && m.trailers != nil {
		err = head(m.trailers, true)
	}
	if err == nil && hasReset {
		err = p.framer.WriteRSTStream(stream, m.reset)
	}
	return err
}

// receive collects the frames of messages as text until one stream is whole.
func (p *peer2) receive(texts map[uint32]*strings.Builder) (stream uint32, err error) {
	for {
		f, err := p.framer.ReadFrame()
		if err != nil {
			if se, ok := errors.AsType[http2.StreamError](err); ok {
				return se.StreamID, err
			}
			return 0, err
		}
		id := f.Header().StreamID
		text := texts[id]
		if text == nil {
			text = &strings.Builder{}
			texts[id] = text
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = p.framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = p.framer.WritePing(true, f.Data)
			}
		case *http2.MetaHeadersFrame:
			if text.Len() > 0 && !strings.HasSuffix(text.String(), "\r\n\r\n") {
				text.WriteString("\r\n") // trailers
			}
			for _, h := range f.Fields {
				fmt.Fprintf(text, "%s: %s\r\n", h.Name, h.Value)
			}
			text.WriteString("\r\n")
		case *http2.DataFrame:
			text.Write(f.Data())
			if f.StreamEnded() {
				text.WriteString("\r\n")
			}
		case *http2.RSTStreamFrame:
			fmt.Fprintf(text, "\r\n[RST_STREAM %s]\r\n", f.ErrCode)
			return id, nil
		case *http2.GoAwayFrame:
			fmt.Fprintf(text, "\r\n[GOAWAY %s]\r\n", f.ErrCode)
			return id, nil
		}
		if f.Header().Flags.Has(http2.FlagDataEndStream) && (f.Header().Type == http2.FrameData || f.Header().Type == http2.FrameHeaders) {
			return id, nil
		}
	}
}

// ask2 sends one request and returns what comes back as text.
func ask2(t *testing.T, addr string, m *message2) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(c, http2.ClientPreface)
	p := newPeer2(c)
	_ = p.framer.WriteSettings()
	if err := p.send(1, m); err != nil {
		t.Fatal(err)
	}
	texts := map[uint32]*strings.Builder{1: {}}
	if _, err := p.receive(texts); err != nil {
		return texts[1].String() + cutMark + " " + err.Error()
	}
	got := texts[1].String()
	if g := texts[0]; g != nil {
		got += g.String()
	}
	return got
}

// origin2 is a backend of HTTP/2.
type origin2 struct {
	addr string

	mu     sync.Mutex
	answer *message2
	saw    []string
}

func newOrigin2(t *testing.T) *origin2 {
	t.Helper()
	o := &origin2{}
	o.addr = rig.TCP(t, o.serve)
	return o
}

func (o *origin2) use(m *message2) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = m
	if m == nil {
		o.answer = ok2()
	}
}

func (o *origin2) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.saw...)
}

func (o *origin2) serve(c net.Conn) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return
	}
	p := newPeer2(c)
	if p.framer.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1}) != nil {
		return
	}
	texts := map[uint32]*strings.Builder{}
	for {
		id, err := p.receive(texts)
		if err != nil {
			return
		}
		o.mu.Lock()
		if id != 0 {
			o.saw = append(o.saw, texts[id].String())
		}
		answer := o.answer
		o.mu.Unlock()
		delete(texts, id)
		if id == 0 || p.send(id, answer) != nil {
			return
		}
	}
}
