// Package proxyproto reads and writes the header of the PROXY protocol, versions
// 1 and 2, which tells a server behind a proxy who the client is.
//
// In: the first bytes of a connection, as many as are there. Out: a Header and
// how many bytes it took, or that more are needed; what follows is untouched. It
// is strict and bounded, and never reads by itself. Source: proxy-protocol.txt of
// HAProxy, 2.2, 2.3 and 2.6. Read next: header.go, parse.go.
package proxyproto
