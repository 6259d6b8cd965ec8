package proxyproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strconv"
	"strings"
)

// ErrMore says that the header is not complete: read on and call again with all
// bytes.
var ErrMore = errors.New("the PROXY protocol header is not complete")

// ErrNone says that the connection begins with something else. Where a header is
// required, close the connection: the client could claim any address otherwise.
var ErrNone = errors.New("the connection does not begin with a PROXY protocol header")

// ErrMalformed is wrapped by the errors of headers that break the rules.
var ErrMalformed = errors.New("malformed PROXY protocol header")

// Types of what version 2 may carry after the addresses.
const (
	typeCRC32C = 0x03
	tlvHead    = 3 // a type and a length
)

// Parse reads the header at the begin of b and returns how many bytes it takes:
// the payload begins there. ErrMore asks for more bytes, at most MaxV2 in all;
// any other error is final.
func Parse(b []byte) (h Header, n int, err error) {
	if len(b) == 0 {
		return Header{}, 0, ErrMore
	}
	if b[0] == signature[0] {
		return parseV2(b)
	}
	return parseV1(b)
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

const prefixV1 = "PROXY "

func parseV1(b []byte) (Header, int, error) {
	if k := min(len(b), len(prefixV1)); string(b[:k]) != prefixV1[:k] {
		return Header{}, 0, ErrNone
	}
	line, found := "", false
	for i, c := range b[:min(len(b), MaxV1)] {
		if c == '\n' {
			line, found = string(b[:i+1]), true
			break
		}
	}
	if !found {
		if len(b) >= MaxV1 {
			return Header{}, 0, malformed("no end of line within %d bytes", MaxV1)
		}
		return Header{}, 0, ErrMore
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return Header{}, 0, malformed("the line does not end with CR LF")
	}
	h := Header{Version: 1}
	// What follows UNKNOWN is to be ignored.
	if text == prefixV1+"UNKNOWN" || strings.HasPrefix(text, prefixV1+"UNKNOWN ") {
		h.Local = true
		return h, len(line), nil
	}
	fields := strings.Split(text, " ")
	if len(fields) != 6 {
		return Header{}, 0, malformed("%d fields instead of 6", len(fields))
	}
	var err error
	if h.Source, err = addressV1(fields[1], fields[2], fields[4]); err != nil {
		return Header{}, 0, err
	}
	if h.Destination, err = addressV1(fields[1], fields[3], fields[5]); err != nil {
		return Header{}, 0, err
	}
	return h, len(line), nil
}

func addressV1(family, host, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.AddrPort{}, malformed("%q is no address", host)
	}
	switch family {
	case "TCP4":
		if !addr.Is4() {
			return netip.AddrPort{}, malformed("%q is not IPv4", host)
		}
	case "TCP6":
		if !addr.Is6() {
			return netip.AddrPort{}, malformed("%q is not IPv6", host)
		}
	default:
		return netip.AddrPort{}, malformed("family %q", family)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || port != strconv.FormatUint(n, 10) {
		return netip.AddrPort{}, malformed("%q is no port", port)
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

func parseV2(b []byte) (Header, int, error) {
	if k := min(len(b), len(signature)); string(b[:k]) != signature[:k] {
		return Header{}, 0, ErrNone
	}
	// What is known to be wrong is said at once, not after waiting for the rest.
	if len(b) > 12 && b[12]&^1 != 0x20 {
		return Header{}, 0, malformed("version %d, command %d", b[12]>>4, b[12]&0xf)
	}
	if len(b) < fixedV2 {
		return Header{}, 0, ErrMore
	}
	size := fixedV2 + int(binary.BigEndian.Uint16(b[fixedV2-2:]))
	if size > MaxV2 {
		return Header{}, 0, malformed("%d bytes, above the limit of %d", size, MaxV2)
	}
	if len(b) < size {
		return Header{}, 0, ErrMore
	}
	h := Header{Version: 2, Local: b[12] == 0x20}
	addresses, err := h.setFamily(b[13], b[fixedV2:size])
	if err != nil {
		return Header{}, 0, err
	}
	if err := checkTLVs(b[:size], fixedV2+addresses); err != nil {
		return Header{}, 0, err
	}
	return h, size, nil
}

// setFamily reads the addresses and returns how many bytes they take.
func (h *Header) setFamily(code byte, rest []byte) (int, error) {
	family, transport := code>>4, code&0xf
	if family > familyUNIX || transport > 2 {
		if h.Local {
			return len(rest), nil // the family is to be ignored, so nothing can be said of the rest
		}
		return 0, malformed("family %d, transport %d", family, transport)
	}
	size := [...]int{familyUnspec: 0, familyINET: 12, familyINET6: 36, familyUNIX: 2 * unixLen}[family]
	if h.Local || family == familyUnspec || transport == 0 {
		// Addresses may be there and mean nothing; where they would end is known
		// by the family, if they are all there.
		h.Local = true
		return min(size, len(rest)), nil
	}
	if len(rest) < size {
		return 0, malformed("%d bytes of addresses instead of %d", len(rest), size)
	}
	h.Datagram = transport == 2
	if family == familyUNIX {
		h.Unix = true
		return size, nil
	}
	width := (size - 4) / 2
	source, _ := netip.AddrFromSlice(rest[:width])
	destination, _ := netip.AddrFromSlice(rest[width : 2*width])
	h.Source = netip.AddrPortFrom(source, binary.BigEndian.Uint16(rest[2*width:]))
	h.Destination = netip.AddrPortFrom(destination, binary.BigEndian.Uint16(rest[2*width+2:]))
	return size, nil
}

// checkTLVs holds that what follows the addresses is well-formed, and that the
// checksum is right if there is one.
func checkTLVs(header []byte, at int) error {
	summed := false
	for at < len(header) {
		if len(header)-at < tlvHead {
			return malformed("%d bytes after the last TLV", len(header)-at)
		}
		end := at + tlvHead + int(binary.BigEndian.Uint16(header[at+1:]))
		if end > len(header) {
			return malformed("TLV %#02x ends after the header", header[at])
		}
		if header[at] == typeCRC32C {
			if summed || end-at != tlvHead+4 {
				return malformed("checksum of %d bytes, or a second one", end-at-tlvHead)
			}
			summed = true
			if err := checkSum(header, at+tlvHead); err != nil {
				return err
			}
		}
		at = end
	}
	return nil
}

func checkSum(header []byte, at int) error {
	want := binary.BigEndian.Uint32(header[at:])
	// It is computed with zeroes in its own place.
	got := crc32.Update(0, castagnoli(), header[:at])
	got = crc32.Update(got, castagnoli(), []byte{0, 0, 0, 0})
	got = crc32.Update(got, castagnoli(), header[at+4:])
	if got != want {
		return malformed("the checksum is %08x, not %08x", got, want)
	}
	return nil
}

// sum is that of a header whose checksum is zero.
func sum(header []byte) uint32 { return crc32.Checksum(header, castagnoli()) }

// castagnoli is made once by the standard library.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
