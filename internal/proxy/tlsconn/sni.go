package tlsconn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	recordHandshake = 22
	clientHello     = 1
	extensionSNI    = 0
	extensionALPN   = 16
	// MaxHello bounds a ClientHello in bytes, with the headers of its records.
	// Those of browsers, with post-quantum keys, have about 2 KiB.
	MaxHello = 32 << 10
)

// ErrNoHello says that the connection does not begin with a ClientHello that can
// be read.
var ErrNoHello = errors.New("no TLS ClientHello")

func noHello(why string) error { return fmt.Errorf("%w: %s", ErrNoHello, why) }

// PeekSNI finds the server name and the protocols that a client asks for in the
// first bytes of its connection, without taking any. With more it needs more
// bytes, at most MaxHello in all: call it again with all of them. The name is
// lower case, as it is compared; "" when the client names none.
func PeekSNI(buf []byte) (sni string, alpn []string, more bool, err error) {
	hello, more, err := helloOf(buf)
	if more || err != nil {
		return "", nil, more, err
	}
	return parseHello(hello)
}

// helloOf returns the message, put together when it came in several records.
func helloOf(buf []byte) (hello []byte, more bool, err error) {
	var message []byte
	for records := 0; ; records++ {
		size, err := helloRecord(buf)
		if size == 0 || err != nil {
			return nil, err == nil, err
		}
		part := buf[recordHeader:min(len(buf), recordHeader+size)]
		switch records {
		case 0:
			message = part // as it lies there, which is all for nearly everybody
		case 1:
			message = append(make([]byte, 0, len(message)+len(buf)), message...)
			fallthrough
		default:
			message = append(message, part...)
		}
		want, err := helloSize(message)
		switch {
		case err != nil:
			return nil, false, err
		case len(message) >= want:
			return message[4:want], false, nil
		}
		if len(buf) < recordHeader+size {
			return nil, true, nil
		}
		buf = buf[recordHeader+size:]
		if (records+1)*recordHeader+len(message) >= MaxHello {
			return nil, false, noHello("too many small records")
		}
	}
}

// helloRecord returns the size of the record at the begin of buf, 0 when that is
// not there yet.
func helloRecord(buf []byte) (int, error) {
	if len(buf) > 0 && buf[0] != recordHandshake {
		return 0, noHello("the record is of another type")
	}
	if len(buf) > 1 && buf[1] != 3 {
		return 0, noHello("the version is unknown")
	}
	if len(buf) < recordHeader {
		return 0, nil
	}
	size := int(binary.BigEndian.Uint16(buf[3:]))
	if size == 0 || size > plain {
		return 0, noHello(fmt.Sprintf("a record of %d bytes", size))
	}
	return size, nil
}

// helloSize is how long the message is with its header, or MaxHello when that is
// not there yet.
func helloSize(message []byte) (int, error) {
	if len(message) > 0 && message[0] != clientHello {
		return 0, noHello("the message is another one")
	}
	if len(message) < 4 {
		return MaxHello, nil
	}
	size := 4 + int(message[1])<<16 + int(message[2])<<8 + int(message[3])
	if size > MaxHello-recordHeader {
		return 0, noHello(fmt.Sprintf("%d bytes, above the limit of %d", size, MaxHello))
	}
	return size, nil
}

// reader takes fields from a message; bad stays set.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		r.b = nil
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

// vector takes what a length of width bytes says.
func (r *reader) vector(width int) reader {
	size := 0
	for _, c := range r.take(width) {
		size = size<<8 | int(c)
	}
	return reader{b: r.take(size)}
}

func parseHello(hello []byte) (sni string, alpn []string, more bool, err error) {
	r := reader{b: hello}
	r.take(2 + 32) // version, random
	r.vector(1)    // session
	r.vector(2)    // cipher suites
	r.vector(1)    // compression methods
	if r.bad {
		return "", nil, false, noHello("it ends too early")
	}
	if len(r.b) == 0 {
		return "", nil, false, nil // no extensions, as SSL 3 has none
	}
	extensions := r.vector(2)
	if r.bad || len(r.b) > 0 {
		return "", nil, false, noHello("the extensions do not fill it")
	}
	var sawNames, sawProtocols bool
	for len(extensions.b) > 0 {
		kind := extensions.take(2)
		body := extensions.vector(2)
		if extensions.bad {
			return "", nil, false, noHello("an extension ends too early")
		}
		switch binary.BigEndian.Uint16(kind) {
		case extensionSNI:
			sni, err = parseNames(body, &sawNames)
		case extensionALPN:
			alpn, err = parseProtocols(body, &sawProtocols)
		}
		if err != nil {
			return "", nil, false, err
		}
	}
	return sni, alpn, false, nil
}

// parseNames reads server_name (RFC 6066, 3): one host name.
func parseNames(r reader, seen *bool) (string, error) {
	list := r.vector(2)
	kind := list.take(1)
	name := list.vector(2)
	if *seen || r.bad || list.bad || len(r.b)+len(list.b) > 0 || kind[0] != 0 {
		return "", noHello("server_name is malformed")
	}
	*seen = true
	return hostName(string(name.b))
}

func hostName(sni string) (string, error) {
	// Before it is made lower case: there are letters elsewhere whose lower case
	// is one of ours.
	foreign := func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}
	if sni == "" || len(sni) > 253 || strings.Trim(sni, ".") != sni || strings.ContainsFunc(sni, foreign) {
		return "", noHello("server_name is no host name")
	}
	return strings.ToLower(sni), nil
}

// parseProtocols reads application_layer_protocol_negotiation (RFC 7301, 3.1).
func parseProtocols(r reader, seen *bool) ([]string, error) {
	list := r.vector(2)
	if *seen || r.bad || len(r.b) > 0 || len(list.b) == 0 {
		return nil, noHello("ALPN is malformed")
	}
	*seen = true
	var alpn []string
	for len(list.b) > 0 {
		p := list.vector(1)
		if list.bad || len(p.b) == 0 {
			return nil, noHello("ALPN is malformed")
		}
		alpn = append(alpn, string(p.b))
	}
	return alpn, nil
}
