package proxyproto_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/proxy/proxyproto"
)

const sig = "\r\n\r\n\x00\r\nQUIT\n"

// v2 is a header by hand: command, family and transport, and what follows.
func v2(command, family byte, rest string) string {
	b := append([]byte(sig), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rest)))
	return string(b) + rest
}

var (
	from4 = netip.MustParseAddrPort("192.0.2.1:56324")
	to4   = netip.MustParseAddrPort("198.51.100.7:443")
	from6 = netip.MustParseAddrPort("[2001:db8::1]:1")
	to6   = netip.MustParseAddrPort("[::ffff:198.51.100.7]:65535")
)

const (
	addrs4 = "\xc0\x00\x02\x01" + "\xc6\x33\x64\x07" + "\xdc\x04" + "\x01\xbb"
	addrs6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x07" + "\x00\x01" + "\xff\xff"
)

func TestParse(t *testing.T) {
	tests := map[string]struct {
		in   string
		want proxyproto.Header
	}{
		"v1 TCP4":             {"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", proxyproto.Header{Version: 1, Source: from4, Destination: to4}},
		"v1 TCP6":             {"PROXY TCP6 2001:db8::1 ::ffff:198.51.100.7 1 65535\r\n", proxyproto.Header{Version: 1, Source: from6, Destination: to6}},
		"v1 unknown":          {"PROXY UNKNOWN\r\n", proxyproto.Header{Version: 1, Local: true}},
		"v1 unknown and more": {"PROXY UNKNOWN ffff:f...f:ffff ? 65535\r\n", proxyproto.Header{Version: 1, Local: true}},
		"v1 port 0":           {"PROXY TCP4 192.0.2.1 198.51.100.7 0 443\r\n", proxyproto.Header{Version: 1, Source: netip.AddrPortFrom(from4.Addr(), 0), Destination: to4}},
		"v2 TCP4":             {v2(0x21, 0x11, addrs4), proxyproto.Header{Version: 2, Source: from4, Destination: to4}},
		"v2 UDP4":             {v2(0x21, 0x12, addrs4), proxyproto.Header{Version: 2, Source: from4, Destination: to4, Datagram: true}},
		"v2 TCP6":             {v2(0x21, 0x21, addrs6), proxyproto.Header{Version: 2, Source: from6, Destination: to6}},
		"v2 unix":             {v2(0x21, 0x31, strings.Repeat("a", 216)), proxyproto.Header{Version: 2, Unix: true}},
		"v2 local":            {v2(0x20, 0x00, ""), proxyproto.Header{Version: 2, Local: true}},
		"v2 local, addresses": {v2(0x20, 0x11, addrs4), proxyproto.Header{Version: 2, Local: true}},
		"v2 local, family 9":  {v2(0x20, 0x91, "abc"), proxyproto.Header{Version: 2, Local: true}},
		"v2 unspec":           {v2(0x21, 0x00, ""), proxyproto.Header{Version: 2, Local: true}},
		"v2 TLVs":             {v2(0x21, 0x11, addrs4+"\x01\x00\x02h2"+"\x04\x00\x00"), proxyproto.Header{Version: 2, Source: from4, Destination: to4}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// Every prefix asks for more, and no payload is taken for the header.
			for i := range len(test.in) {
				if _, n, err := proxyproto.Parse([]byte(test.in[:i])); !errors.Is(err, proxyproto.ErrMore) || n != 0 {
					t.Fatalf("%d bytes: %d, %v", i, n, err)
				}
			}
			for _, payload := range []string{"", "G", "\r\n\r\n", "PROXY TCP4"} {
				h, n, err := proxyproto.Parse([]byte(test.in + payload))
				if err != nil || n != len(test.in) || h != test.want {
					t.Errorf("payload %q: %+v, %d of %d, %v", payload, h, n, len(test.in), err)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	none := map[string]string{
		"HTTP":            "GET / HTTP/1.1\r\n",
		"lower case":      "proxy TCP4",
		"almost v1":       "PROXX",
		"almost v2":       "\r\n\r\n\x00\r\nQUIX",
		"TLS":             "\x16\x03\x01",
		"CR LF and other": "\r\nGET",
	}
	for name, in := range none {
		if _, n, err := proxyproto.Parse([]byte(in)); !errors.Is(err, proxyproto.ErrNone) || n != 0 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	bad := map[string]string{
		"v1 too long":               "PROXY UNKNOWN " + strings.Repeat("x", 100),
		"v1 bare LF":                "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n",
		"v1 two spaces":             "PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
		"v1 space at the end":       "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
		"v1 few fields":             "PROXY TCP4 192.0.2.1\r\n",
		"v1 other family":           "PROXY UDP4 192.0.2.1 198.51.100.7 56324 443\r\n",
		"v1 IPv6 in TCP4":           "PROXY TCP4 ::1 198.51.100.7 56324 443\r\n",
		"v1 IPv4 in TCP6":           "PROXY TCP6 192.0.2.1 ::1 56324 443\r\n",
		"v1 zone":                   "PROXY TCP6 fe80::1%eth0 ::1 56324 443\r\n",
		"v1 host name":              "PROXY TCP4 localhost 198.51.100.7 56324 443\r\n",
		"v1 port above":             "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
		"v1 port with a zero":       "PROXY TCP4 192.0.2.1 198.51.100.7 080 443\r\n",
		"v1 port with a sign":       "PROXY TCP4 192.0.2.1 198.51.100.7 +80 443\r\n",
		"v1 empty family":           "PROXY \r\n",
		"v1 UNKNOWNX":               "PROXY UNKNOWNX\r\n",
		"v2 version 1":              sig + "\x11",
		"v2 command 2":              sig + "\x22",
		"v2 family 4":               v2(0x21, 0x41, addrs4),
		"v2 transport 3":            v2(0x21, 0x13, addrs4),
		"v2 short addresses":        v2(0x21, 0x11, addrs4[:11]),
		"v2 short unix":             v2(0x21, 0x31, addrs6),
		"v2 above the limit":        sig + "\x21\x11\x10\x00",
		"v2 half a TLV":             v2(0x21, 0x11, addrs4+"\x01\x00"),
		"v2 TLV after the end":      v2(0x21, 0x11, addrs4+"\x01\x00\x02h"),
		"v2 wrong checksum":         v2(0x21, 0x11, addrs4+"\x03\x00\x04\x00\x00\x00\x00"),
		"v2 checksum of 3 bytes":    v2(0x21, 0x11, addrs4+"\x03\x00\x03\x00\x00\x00"),
		"v2 half a TLV after LOCAL": v2(0x20, 0x00, "\x01"),
	}
	for name, in := range bad {
		if _, n, err := proxyproto.Parse([]byte(in)); !errors.Is(err, proxyproto.ErrMalformed) || n != 0 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for name, h := range map[string]proxyproto.Header{
		"IPv4":     {Source: from4, Destination: to4},
		"IPv6":     {Source: from6, Destination: to6},
		"local":    {Local: true},
		"unix":     {Unix: true},
		"datagram": {Source: from4, Destination: to4, Datagram: true},
	} {
		for _, checksum := range []bool{false, true} {
			h.Version = 2
			b := proxyproto.AppendV2([]byte("before"), h, checksum)[len("before"):]
			got, n, err := proxyproto.Parse(append(b, "payload"...))
			if err != nil || n != len(b) || got != h {
				t.Errorf("%s, version 2: %+v, %d of %d, %v", name, got, n, len(b), err)
			}
			if !checksum {
				continue
			}
			for i := range b {
				// The type: it is no checksum any more. LOCAL's family: it is ignored,
				// and with it where a checksum would be.
				if i == len(b)-7 || h.Local && i == 13 {
					continue
				}
				broken := bytes.Clone(b)
				broken[i] ^= 0x80
				if _, n, err := proxyproto.Parse(broken); err == nil {
					t.Errorf("%s: byte %d broken, and %d bytes taken", name, i, n)
				}
			}
		}
		h.Version = 1
		b := proxyproto.AppendV1(nil, h)
		want := h
		if h.Unix || h.Datagram {
			want = proxyproto.Header{Version: 1, Local: true} // version 1 has no word for it
		}
		if got, n, err := proxyproto.Parse(b); err != nil || n != len(b) || got != want {
			t.Errorf("%s, version 1: %+v, %d of %d, %v", name, got, n, len(b), err)
		}
	}
	mixed := proxyproto.Header{Source: from4, Destination: to6}
	for _, b := range [][]byte{proxyproto.AppendV1(nil, mixed), proxyproto.AppendV2(nil, mixed, true)} {
		if h, _, err := proxyproto.Parse(b); err != nil || !h.Local {
			t.Errorf("two families: %+v, %v", h, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET"))
	f.Add(proxyproto.AppendV2(nil, proxyproto.Header{Source: from6, Destination: to6}, true))
	f.Add([]byte(v2(0x20, 0x31, addrs4)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := proxyproto.Parse(b)
		switch {
		case err == nil:
			if n <= 0 || n > min(len(b), proxyproto.MaxV2) {
				t.Fatalf("%d bytes of %d", n, len(b))
			}
			// The same bytes alone say the same; one less asks for more.
			if again, m, err := proxyproto.Parse(b[:n]); err != nil || m != n || again != h {
				t.Fatalf("alone: %+v, %d, %v", again, m, err)
			}
			if _, _, err := proxyproto.Parse(b[:n-1]); !errors.Is(err, proxyproto.ErrMore) {
				t.Fatalf("one byte less: %v", err)
			}
			if h.Version == 2 {
				if again, _, err := proxyproto.Parse(proxyproto.AppendV2(nil, h, true)); err != nil || again != h {
					t.Fatalf("written again: %+v, %v", again, err)
				}
			}
		case errors.Is(err, proxyproto.ErrMore):
			if len(b) >= proxyproto.MaxV2 {
				t.Fatalf("more than %d bytes wanted", len(b))
			}
		default:
			// What is refused stays refused, whatever follows.
			if _, _, err := proxyproto.Parse(append(bytes.Clone(b), 0)); err == nil || errors.Is(err, proxyproto.ErrMore) {
				t.Fatalf("refused, and then not: %v", err)
			}
		}
	})
}
