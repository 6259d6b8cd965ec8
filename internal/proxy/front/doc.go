// Package front stands between accept and the codecs: it takes the PROXY protocol
// header off a new connection, looks at the TLS greeting, and decides what is
// spoken: HTTP/1.1, HTTP/2, or bytes for a stream route.
//
// In: an accepted connection and the configuration of its address. Out: a codec
// with an exchange.Conn, or a tunnel. It never parses a request, and never waits
// longer than the header time-out for a client to say what it wants. Read next: front.go.
package front
