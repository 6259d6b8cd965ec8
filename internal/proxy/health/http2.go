package health

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// Limits of an HTTP/2 check.
const (
	maxFrame   = 16 << 10
	maxFields  = 16 << 10
	maxFrames  = 1000 // of one answer: a hostile endpoint could send empty ones for ever
	lastStream = 1 << 30
)

// grpcPath is the method that grpc.health.v1 defines.
const grpcPath = "/grpc.health.v1.Health/Check"

// serving is grpc.health.v1.HealthCheckResponse.SERVING.
const serving = 1

// http2Conn speaks HTTP/2 with one stream at a time. What the endpoint sends
// between two checks (PING, SETTINGS, GOAWAY) waits in the socket and is answered
// at the next.
type http2Conn struct {
	net.Conn
	framer *http2.Framer
	fields bytes.Buffer
	coder  *hpack.Encoder
	stream uint32
	leave  bool // GOAWAY came
}

func newHTTP2(c net.Conn) *http2Conn {
	h := &http2Conn{Conn: c, framer: http2.NewFramer(c, c)}
	h.framer.SetMaxReadFrameSize(maxFrame)
	h.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.framer.MaxHeaderListSize = maxFields
	h.coder = hpack.NewEncoder(&h.fields)
	// No state between checks: the endpoint may not have announced a larger table.
	h.coder.SetMaxDynamicTableSize(0)
	return h
}

// answer is what came back on a stream.
type answer struct {
	status int
	grpc   string // grpc-status; empty: none
	detail string // grpc-message
	data   []byte
}

func (h *http2Conn) ask(t *target, o *Options) (bool, error) {
	if h.stream == 0 {
		if _, err := io.WriteString(h.Conn, http2.ClientPreface); err != nil {
			return false, err
		}
		if err := h.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}); err != nil {
			return false, err
		}
		h.stream = 1
	} else {
		h.stream += 2
	}
	grpc := t.check.Protocol == connect.CheckGRPC
	if err := h.send(t, o, grpc); err != nil {
		return false, err
	}
	a, err := h.receive()
	if err != nil {
		return false, err
	}
	reusable := !h.leave && h.stream < lastStream
	if grpc {
		return reusable, a.grpcError()
	}
	if !t.expects(a.status) {
		return reusable, fmt.Errorf("status %d: %w", a.status, ErrUnhealthy)
	}
	return reusable, nil
}

func (h *http2Conn) send(t *target, o *Options, grpc bool) error {
	h.fields.Reset()
	method, path := "GET", t.check.Path
	if grpc {
		method, path = "POST", grpcPath
	}
	h.field(":method", method)
	h.field(":scheme", t.scheme())
	h.field(":authority", t.authority())
	h.field(":path", path)
	h.field("user-agent", o.UserAgent)
	if grpc {
		h.field("content-type", "application/grpc")
		h.field("te", "trailers")
		h.field("grpc-timeout", strconv.FormatInt(t.check.Timeout.Milliseconds(), 10)+"m")
	}
	err := h.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: h.stream, BlockFragment: h.fields.Bytes(), EndHeaders: true, EndStream: !grpc,
	})
	if err != nil || !grpc {
		return err
	}
	message := []byte(nil)
	if t.check.Service != "" {
		message = protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), t.check.Service)
	}
	// gRPC's frame: not compressed, then the length.
	body := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	return h.framer.WriteData(h.stream, true, body)
}

func (h *http2Conn) field(name, value string) {
	_ = h.coder.WriteField(hpack.HeaderField{Name: name, Value: value}) // into memory
}

// receive reads frames until the stream ends.
func (h *http2Conn) receive() (*answer, error) {
	a := &answer{}
	for range maxFrames {
		frame, err := h.framer.ReadFrame()
		if err != nil {
			return nil, err
		}
		done, err := h.take(frame, a)
		if done || err != nil {
			return a, err
		}
	}
	return nil, fmt.Errorf("more than %d frames: %w", maxFrames, ErrUnhealthy)
}

// take handles one frame and says whether the stream is over.
func (h *http2Conn) take(frame http2.Frame, a *answer) (bool, error) {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return false, nil
		}
		return false, h.framer.WriteSettingsAck()
	case *http2.PingFrame:
		if f.IsAck() {
			return false, nil
		}
		return false, h.framer.WritePing(true, f.Data)
	case *http2.GoAwayFrame:
		h.leave = true
		if f.LastStreamID < h.stream {
			return false, fmt.Errorf("connection closed by the endpoint (%v)", f.ErrCode)
		}
	case *http2.RSTStreamFrame:
		if f.StreamID == h.stream {
			return false, fmt.Errorf("stream reset (%v): %w", f.ErrCode, ErrUnhealthy)
		}
	case *http2.MetaHeadersFrame:
		return f.StreamID == h.stream && a.headers(f), nil
	case *http2.DataFrame:
		return h.data(f, a)
	}
	return false, nil
}

// headers says whether the stream is over; an answer of 1xx is not the last.
func (a *answer) headers(f *http2.MetaHeadersFrame) bool {
	for _, field := range f.Fields {
		switch field.Name {
		case ":status":
			a.status, _ = strconv.Atoi(field.Value)
		case "grpc-status":
			a.grpc = field.Value
		case "grpc-message":
			a.detail = field.Value
		}
	}
	return f.StreamEnded()
}

// data keeps a body and gives the windows back: that of the connection is shared
// by all checks to come.
func (h *http2Conn) data(f *http2.DataFrame, a *answer) (bool, error) {
	if f.StreamID != h.stream {
		return false, nil // none else is open
	}
	if len(a.data)+len(f.Data()) > maxBody {
		h.leave = true // its status is known: the rest is not worth reading
		return true, nil
	}
	a.data = append(a.data, f.Data()...)
	if f.Length == 0 {
		return f.StreamEnded(), nil
	}
	if err := h.framer.WriteWindowUpdate(0, f.Length); err != nil || f.StreamEnded() {
		return f.StreamEnded(), err
	}
	return false, h.framer.WriteWindowUpdate(h.stream, f.Length)
}

// grpcError judges the answer of a gRPC check.
func (a *answer) grpcError() error {
	if a.status != 200 {
		return fmt.Errorf("status %d: %w", a.status, ErrUnhealthy)
	}
	if a.grpc != "0" {
		return fmt.Errorf("grpc-status %q %q: %w", a.grpc, a.detail, ErrUnhealthy)
	}
	if len(a.data) < 5 || a.data[0] != 0 || uint64(binary.BigEndian.Uint32(a.data[1:5])) != uint64(len(a.data)-5) {
		return fmt.Errorf("not one gRPC message: %w", ErrUnhealthy)
	}
	if got := servingStatus(a.data[5:]); got != serving {
		return fmt.Errorf("serving status %d: %w", got, ErrUnhealthy)
	}
	return nil
}

// servingStatus reads HealthCheckResponse.status; 0 (UNKNOWN) when it is not there.
func servingStatus(b []byte) uint64 {
	status := uint64(0)
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0
		}
		b = b[n:]
		if number == 1 && kind == protowire.VarintType {
			status, n = protowire.ConsumeVarint(b)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return 0
		}
		b = b[n:]
	}
	return status
}
