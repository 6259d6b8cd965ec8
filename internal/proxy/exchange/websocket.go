package exchange

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it; nothing is kept secret by it
	"encoding/base64"
	"encoding/binary"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

// WebSocket has two openings: a GET with Upgrade that is answered with 101, a key
// and its digest (RFC 6455), and on HTTP/2 a CONNECT with :protocol that is
// answered with 200 (RFC 8441). Here it is always the first; the HTTP/2 codec
// translates method and status, and this file the key.

const (
	websocket    = "websocket"
	websocketKey = "sec-websocket-key"
	websocketAck = "sec-websocket-accept"
	// websocketID is the constant of RFC 6455, section 1.3.
	websocketID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// openWebSocket makes the opening of HTTP/2 that of HTTP/1.1.
func (x *Exchange) openWebSocket(h *message.Head) {
	if h.Version != message.HTTP2 || !message.EqualFold(h.Protocol, websocket) {
		return
	}
	h.Method = "GET"
	var nonce [16]byte
	binary.NativeEndian.PutUint64(nonce[:8], x.w.random())
	binary.NativeEndian.PutUint64(nonce[8:], x.w.random())
	h.Remove(message.IDOther, websocketKey)
	h.Add(message.IDOther, "Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(nonce[:]))
}

// acceptWebSocket gives the client the answer that its opening asks for.
func (x *Exchange) acceptWebSocket(h *message.Head) {
	if !message.EqualFold(x.head.Protocol, websocket) {
		return
	}
	if x.head.Version == message.HTTP2 {
		h.Remove(message.IDOther, websocketAck)
		return
	}
	if _, ok := h.Get(message.IDOther, websocketAck); ok {
		return
	}
	if key, ok := x.head.Get(message.IDOther, websocketKey); ok {
		sum := sha1.Sum([]byte(key + websocketID)) //nolint:gosec // as above
		h.Add(message.IDOther, "Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	}
}
