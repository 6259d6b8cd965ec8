// Package stream is the contract between codecs (HTTP/1.1, HTTP/2) and the
// exchange that joins a client's stream with a backend's: message parts go one
// way, room for more comes back the other.
//
// Everything here happens on one event loop, so nothing locks. Parts are
// borrowed: what a callee keeps it copies. It never does input or output itself.
// Read next: stream.go.
package stream
