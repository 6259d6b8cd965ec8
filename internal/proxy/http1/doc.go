// Package http1 is the HTTP/1.1 codec: it makes streams of connections, with
// clients (ServerConn) and with backends (ClientConn).
//
// In: an evloop.Conn. Out: heads, parts of bodies and resets to stream.Handlers,
// and bytes to the connection. It is strict on what it reads and writes, holds no
// buffer for an idle connection and allocates nothing per exchange. It never
// decides what becomes of a request. Source: RFC 9110, RFC 9112. Read next: wire, server.go.
package http1
