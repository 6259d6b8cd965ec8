package http2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// raw speaks frames over a socket through x/net's Framer, which is also the
// judge of what we send.
type raw struct {
	t  testing.TB
	nc net.Conn
	*xhttp2.Framer
	buf bytes.Buffer
	enc *hpack.Encoder
	dec *hpack.Decoder
}

func newRaw(tb testing.TB, nc net.Conn) *raw {
	tb.Helper()
	r := &raw{t: tb, nc: nc, Framer: xhttp2.NewFramer(nc, nc)}
	r.AllowIllegalWrites = true
	r.enc = hpack.NewEncoder(&r.buf)
	r.dec = hpack.NewDecoder(4096, nil)
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	tb.Cleanup(func() { nc.Close() })
	return r
}

// dialRaw connects and sends preface and SETTINGS.
func dialRaw(tb testing.TB, addr string, settings ...xhttp2.Setting) *raw {
	tb.Helper()
	r := dialSilent(tb, addr)
	if _, err := io.WriteString(r.nc, preface); err != nil {
		tb.Fatal(err)
	}
	_ = r.WriteSettings(settings...)
	_ = r.WriteSettingsAck()
	return r
}

func dialSilent(tb testing.TB, addr string) *raw {
	tb.Helper()
	nc, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	return newRaw(tb, nc)
}

// block encodes pairs of names and values.
func (r *raw) block(pairs ...string) []byte {
	r.buf.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = r.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(r.buf.Bytes())
}

// get is the head of a request for path with more fields.
func (r *raw) get(path string, more ...string) []byte {
	return r.block(append([]string{":method", "GET", ":scheme", "http", ":path", path, ":authority", "a.test"}, more...)...)
}

func (r *raw) post(path string, more ...string) []byte {
	return r.block(append([]string{":method", "POST", ":scheme", "http", ":path", path, ":authority", "a.test"}, more...)...)
}

// headers sends a block in one frame.
func (r *raw) headers(id uint32, end bool, block []byte) {
	_ = r.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: end, EndHeaders: true})
}

// verdict reads until something decides: "goaway CODE", "rst ID CODE", "pong", or
// "closed". seen gets every frame before.
func (r *raw) verdict(seen func(f xhttp2.Frame)) string {
	_ = r.WritePing(false, [8]byte{'v'})
	for {
		f, err := r.ReadFrame()
		if err != nil {
			if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
				return "silence"
			}
			return "closed"
		}
		switch f := f.(type) {
		case *xhttp2.GoAwayFrame:
			return fmt.Sprint("goaway ", f.ErrCode)
		case *xhttp2.RSTStreamFrame:
			return fmt.Sprint("rst ", f.StreamID, " ", f.ErrCode)
		case *xhttp2.PingFrame:
			if f.IsAck() && f.Data[0] == 'v' {
				return "pong"
			}
		}
		if seen != nil {
			seen(f)
		}
	}
}

// fields decodes a header block.
func (r *raw) fields(f *xhttp2.HeadersFrame) (out []string) {
	all, err := r.dec.DecodeFull(f.HeaderBlockFragment())
	if err != nil {
		r.t.Error(err)
	}
	for _, hf := range all {
		out = append(out, hf.Name+": "+hf.Value)
	}
	return out
}
