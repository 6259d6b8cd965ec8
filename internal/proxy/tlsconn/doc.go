// Package tlsconn is TLS as a connection above a connection of an event loop,
// with the standard library's crypto/tls.
//
// In: an established evloop.Conn and a tls.Config. Out: an evloop.Conn of plain
// bytes, or a HandshakeError with a reason for metrics; sizes are bytes, times
// nanoseconds. The handshake, which waits, runs in a goroutine; everything after
// it on the loop. It never chooses certificates or checks names: that is the
// config's (package secret). Source: RFC 8446, RFC 5246. Read next: handshake.go,
// conn.go, wire.go; sni.go stands alone.
package tlsconn
