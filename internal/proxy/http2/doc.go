// Package http2 is the HTTP/2 codec (RFC 9113): it turns one connection into
// many stream.Streams, for clients of ours (ServerConn) and to backends
// (ClientConn), with flow control and defences of its own.
//
// In and out: frames on an evloop.Conn; heads, data and trailers of package
// stream. All sizes are bytes, all times those of the loop. It never waits, never
// starts a goroutine, never routes. HPACK decoding is golang.org/x/net's. Read
// next: conn.go (both sides), then server.go and client.go.
package http2
