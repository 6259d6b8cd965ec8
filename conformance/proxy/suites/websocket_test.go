package suites

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// webSocketEcho is a backend of WebSocket that says back what it hears.
func webSocketEcho(t *testing.T) string {
	t.Helper()
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }, EnableCompression: true, Subprotocols: []string{"chat"}}
	return rig.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			http.Error(w, "not here", http.StatusForbidden)
			return
		}
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, p) != nil {
				return
			}
		}
	}))
}

func TestWebSocket(t *testing.T) {
	backend := webSocketEcho(t)
	ca := rig.NewCA(t)
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			p, plain := front(t, kind, "--backend", backend)
			_, secure := front(t, kind, append(tlsArgs(t, ca), "--backend", backend)...)
			before := p.Usage()
			for name, url := range map[string]string{"ws": "ws://" + plain, "wss": "wss://localhost:" + port(t, secure)} {
				t.Run(name, func(t *testing.T) {
					d := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: ca.Pool}, Subprotocols: []string{"chat"}, EnableCompression: true, HandshakeTimeout: 5 * time.Second}
					c, resp, err := d.Dial(url+"/chat", nil) //nolint:bodyclose // the connection is the body
					if err != nil {
						t.Fatal(err, resp)
					}
					defer func() { _ = c.Close() }()
					if c.Subprotocol() != "chat" {
						t.Errorf("the subprotocol is %q, want chat", c.Subprotocol())
					}
					for _, n := range []int{0, 1, 125, 126, 70_000, 2 << 20} {
						_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
						if err := c.WriteMessage(websocket.BinaryMessage, []byte(pattern(n))); err != nil {
							t.Fatal(err)
						}
						_, got, err := c.ReadMessage()
						if err != nil || string(got) != pattern(n) {
							t.Fatalf("a message of %d bytes came back with %d: %v", n, len(got), err)
						}
					}
					// The closing handshake goes through both ways.
					_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "bye"), time.Now().Add(time.Second))
					if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 4000) {
						t.Errorf("the end is %v, want close 4000", err)
					}
					_, resp, err = d.Dial(url+"/no", nil) //nolint:bodyclose // it is read already
					if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
						t.Errorf("a refused upgrade: %v, %v; want 403", resp, err)
					}
				})
			}
			p.Settle(before, rig.Growth{FDs: 8, Goroutines: 8, RSS: 64 << 20})
		})
	}
}

// TestWebSocketOverHTTP2 uses extended CONNECT (RFC 8441) to a backend that knows
// WebSocket over HTTP/1.1 only.
func TestWebSocketOverHTTP2(t *testing.T) {
	backend := webSocketEcho(t)
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			_, addr := front(t, kind, "--backend", backend)
			//nolint:staticcheck // net/http knows no extended CONNECT
			tr := &http2.Transport{AllowHTTP: true, DialTLS: func(network, _ string, _ *tls.Config) (net.Conn, error) { return net.Dial(network, addr) }}
			defer tr.CloseIdleConnections() //nolint:staticcheck // as above
			r, w := io.Pipe()
			defer func() { _ = w.Close() }()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, "http://"+addr+"/chat", r)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(":protocol", "websocket")
			req.Header.Set("Sec-WebSocket-Version", "13")
			resp, err := tr.RoundTrip(req) //nolint:staticcheck // as above
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				got, _ := io.ReadAll(resp.Body)
				t.Fatalf("extended CONNECT: %s %v %s, want 200", resp.Status, resp.Header, got)
			}
			in := bufio.NewReader(resp.Body)
			for _, text := range []string{"hello", strings.Repeat("x", 200), pattern(60_000)} {
				if _, err := w.Write(maskedFrame(text)); err != nil {
					t.Fatal(err)
				}
				got, err := readFrame(in)
				if err != nil || got != text {
					t.Fatalf("%d bytes came back with %d: %v", len(text), len(got), err)
				}
			}
		})
	}
}

// TestWebSocketToHTTP2 is the other way round: a client of HTTP/1.1, and a backend
// that is asked by extended CONNECT.
func TestWebSocketToHTTP2(t *testing.T) {
	backend := rig.TCP(t, func(c net.Conn) { _ = webSocketFrames(c) })
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			_, addr := front(t, kind, "--h2c", "--backend", backend)
			c, resp, err := (&websocket.Dialer{HandshakeTimeout: 5 * time.Second}).Dial("ws://"+addr+"/chat", nil) //nolint:bodyclose // the connection is the body
			if err != nil {
				t.Fatal(err, resp)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			for _, text := range []string{"hello", "again"} {
				if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
					t.Fatal(err)
				}
				_, got, err := c.ReadMessage()
				if err != nil || string(got) != text {
					t.Fatalf("%q came back as %q: %v", text, got, err)
				}
			}
		})
	}
}

// webSocketFrames is a backend of HTTP/2 that grants extended CONNECT, which Go's
// server does only when its process was started with GODEBUG=http2xconnect=1. It
// says back what it hears, as a server's frame.
func webSocketFrames(c net.Conn) error {
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return err
	}
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := f.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1}); err != nil {
		return err
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = f.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			status := "400"
			if frame.PseudoValue("method") == "CONNECT" && frame.PseudoValue("protocol") == "websocket" {
				status = "200"
			}
			var block bytes.Buffer
			_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: status})
			err = f.WriteHeaders(http2.HeadersFrameParam{StreamID: frame.StreamID, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: status != "200"})
		case *http2.DataFrame:
			err = f.WriteData(frame.StreamID, false, unmasked(frame.Data()))
		}
		if err != nil {
			return err
		}
	}
}

// unmasked turns a client's short text frame into a server's.
func unmasked(p []byte) []byte {
	if len(p) < 6 || p[0] != 0x81 || len(p) != 6+int(p[1]&0x7f) {
		return nil
	}
	out := []byte{0x81, p[1] & 0x7f}
	for i, b := range p[6:] {
		out = append(out, b^p[2+i&3])
	}
	return out
}

// maskedFrame is a text message in one frame, as RFC 6455, section 5.2 has it.
func maskedFrame(text string) []byte {
	f := []byte{0x81}
	switch n := len(text); {
	case n < 126:
		f = append(f, 0x80|byte(n))
	default:
		f = binary.BigEndian.AppendUint16(append(f, 0x80|126), uint16(n))
	}
	key := []byte{1, 2, 3, 4}
	f = append(f, key...)
	for i := range len(text) {
		f = append(f, text[i]^key[i&3])
	}
	return f
}

func readFrame(in *bufio.Reader) (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return "", err
	}
	n := int(head[1])
	if n == 126 {
		var more [2]byte
		if _, err := io.ReadFull(in, more[:]); err != nil {
			return "", err
		}
		n = int(binary.BigEndian.Uint16(more[:]))
	}
	if head[0] != 0x81 || n > 1<<16 {
		return "", fmt.Errorf("the frame begins with %x", head)
	}
	p := make([]byte, n)
	_, err := io.ReadFull(in, p)
	return string(p), err
}
