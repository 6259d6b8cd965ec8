package proxyproto

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

const (
	// MaxV1 is the longest header of version 1 in bytes, CR LF included.
	MaxV1 = 107
	// MaxV2 is the longest header of version 2 that is taken, in bytes. The format
	// allows 64 KiB; addresses and what proxies add to them need far less.
	MaxV2 = 4096

	fixedV2 = 16
	unixLen = 108
)

// signature begins every header of version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// Family and transport of version 2, as its 14th byte has them.
const (
	familyUnspec = 0x0
	familyINET   = 0x1
	familyINET6  = 0x2
	familyUNIX   = 0x3
)

// Header is what a PROXY protocol header says.
type Header struct {
	// Version is 1 or 2.
	Version uint8
	// Local says that the connection is the proxy's own (LOCAL, e.g. a health
	// check) or of a kind that it does not know (UNKNOWN, UNSPEC): the addresses
	// of the socket hold, and those below are not set.
	Local bool
	// Source is the client, Destination what it connected to; invalid for Unix
	// sockets.
	Source      netip.AddrPort
	Destination netip.AddrPort
	// Datagram says that the client's transport is UDP; version 2 only.
	Datagram bool
	// Unix says that both are Unix sockets; their paths are not kept.
	Unix bool
}

// AppendV1 appends h as a line of version 1. Two addresses of one family are
// written, anything else is UNKNOWN.
func AppendV1(dst []byte, h Header) []byte {
	family := "TCP4"
	switch {
	case h.Local || h.Datagram || !paired(h):
		return append(dst, "PROXY UNKNOWN\r\n"...)
	case !h.Source.Addr().Is4():
		family = "TCP6"
	}
	return fmt.Appendf(dst, "PROXY %s %s %s %d %d\r\n", family, h.Source.Addr().WithZone(""), h.Destination.Addr().WithZone(""),
		h.Source.Port(), h.Destination.Port())
}

// AppendV2 appends h in the form of version 2. With checksum it carries a CRC32C.
// What version 2 cannot say (addresses of two families) is UNSPEC.
func AppendV2(dst []byte, h Header, checksum bool) []byte {
	begin := len(dst)
	command, family := familyOf(h)
	dst = append(dst, signature...)
	dst = append(dst, command, family, 0, 0)
	switch family >> 4 {
	case familyUNIX:
		dst = append(dst, make([]byte, 2*unixLen)...)
	case familyINET, familyINET6:
		dst = append(dst, h.Source.Addr().AsSlice()...)
		dst = append(dst, h.Destination.Addr().AsSlice()...)
		dst = binary.BigEndian.AppendUint16(dst, h.Source.Port())
		dst = binary.BigEndian.AppendUint16(dst, h.Destination.Port())
	}
	at := len(dst)
	if checksum {
		dst = append(dst, typeCRC32C, 0, 4, 0, 0, 0, 0)
	}
	header := dst[begin:]
	binary.BigEndian.PutUint16(header[fixedV2-2:], uint16(len(header)-fixedV2))
	if checksum {
		binary.BigEndian.PutUint32(dst[at+tlvHead:], sum(header))
	}
	return dst
}

// familyOf returns the 13th and the 14th byte.
func familyOf(h Header) (command, family byte) {
	transport := byte(0x1)
	if h.Datagram {
		transport = 0x2
	}
	switch {
	case h.Local:
		return 0x20, familyUnspec
	case h.Unix:
		return 0x21, familyUNIX<<4 | transport
	case paired(h) && h.Source.Addr().Is4():
		return 0x21, familyINET<<4 | transport
	case paired(h):
		return 0x21, familyINET6<<4 | transport
	default:
		return 0x21, familyUnspec
	}
}

// paired says that both addresses are there and of one family.
func paired(h Header) bool {
	return h.Source.IsValid() && h.Destination.IsValid() && !h.Unix &&
		h.Source.Addr().Is4() == h.Destination.Addr().Is4()
}
