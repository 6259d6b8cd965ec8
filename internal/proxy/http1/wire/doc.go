// Package wire is HTTP/1.1 as bytes: it parses heads, bodies and trailers out of
// buffers and encodes them into buffers.
//
// In: bytes as they come, in pieces of any size. Out: message.Head, whose strings
// alias the buffer, framing, and parts of bodies; or a Fault with its status. It
// never reads, writes or waits, and never repairs what two readers could read in
// two ways. Source: RFC 9110, RFC 9112. Read next: parser.go, fields.go, body.go.
package wire
