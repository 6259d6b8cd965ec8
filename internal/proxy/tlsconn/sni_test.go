package tlsconn_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
)

// recorded is what a crypto/tls client sends first.
func recorded(tb testing.TB, config *tls.Config) []byte {
	tb.Helper()
	config.InsecureSkipVerify = true
	ours, theirs := net.Pipe()
	got := make(chan []byte, 1)
	go func() {
		buf := make([]byte, 64<<10)
		n, _ := ours.Read(buf)
		_ = ours.Close()
		got <- buf[:n]
	}()
	_ = tls.Client(theirs, config).Handshake()
	_ = theirs.Close()
	return <-got
}

// fragment puts the message of one record into records of size bytes.
func fragment(hello []byte, size int) []byte {
	var out []byte
	for part := range slices.Chunk(hello[5:], size) {
		out = append(out, hello[:3]...)
		out = binary.BigEndian.AppendUint16(out, uint16(len(part)))
		out = append(out, part...)
	}
	return out
}

// checkPeek looks at every prefix and then at the whole.
func checkPeek(t *testing.T, hello []byte, sni string, alpn []string) {
	t.Helper()
	for i := range len(hello) {
		if _, _, more, err := tlsconn.PeekSNI(hello[:i]); !more || err != nil {
			t.Fatalf("%d of %d bytes: more %v, %v", i, len(hello), more, err)
		}
	}
	for _, rest := range []string{"", "early data"} {
		got, protocols, more, err := tlsconn.PeekSNI(append(bytes.Clone(hello), rest...))
		if got != sni || !slices.Equal(protocols, alpn) || more || err != nil {
			t.Errorf("%q, %q, more %v, %v", got, protocols, more, err)
		}
	}
}

func TestPeekSNI(t *testing.T) {
	tests := map[string]struct {
		config *tls.Config
		sni    string
		alpn   []string
	}{
		"name and ALPN": {&tls.Config{ServerName: "a.example.test", NextProtos: []string{"h2", "http/1.1"}}, "a.example.test", []string{"h2", "http/1.1"}},
		"upper case":    {&tls.Config{ServerName: "A.Example.TEST"}, "a.example.test", nil},
		"no name":       {&tls.Config{NextProtos: []string{"x"}}, "", []string{"x"}},
		"version 1.2":   {&tls.Config{ServerName: "a.test", MaxVersion: tls.VersionTLS12}, "a.test", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hello := recorded(t, test.config)
			checkPeek(t, hello, test.sni, test.alpn)
			for _, size := range []int{1, 3, 50, 1000} {
				checkPeek(t, fragment(hello, size), test.sni, test.alpn)
			}
		})
	}
}

func TestPeekOpenSSL(t *testing.T) {
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed; CI has it")
	}
	for name, args := range map[string][]string{
		"1.3":   {"-servername", "o.test", "-alpn", "h2,http/1.1"},
		"1.2":   {"-servername", "o.test", "-alpn", "h2,http/1.1", "-tls1_2"},
		"split": {"-servername", "o.test", "-alpn", "h2,http/1.1", "-split_send_frag", "512", "-max_send_frag", "512"},
	} {
		t.Run(name, func(t *testing.T) {
			ln := evlooptest.Listen(t, "tcp")
			cmd := exec.CommandContext(t.Context(), path, append([]string{"s_client", "-connect", ln.Addr().String()}, args...)...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Wait() }()
			c := evlooptest.Accept(t, ln)
			defer func() { _ = c.Close() }()
			var buf []byte
			for piece := make([]byte, 100); ; {
				sni, alpn, more, err := tlsconn.PeekSNI(buf)
				if more {
					n, rerr := c.Read(piece)
					if buf = append(buf, piece[:n]...); rerr != nil {
						t.Fatal(rerr)
					}
					continue
				}
				if sni != "o.test" || !slices.Equal(alpn, []string{"h2", "http/1.1"}) || err != nil {
					t.Errorf("%q, %q, %v", sni, alpn, err)
				}
				return
			}
		})
	}
}

func TestPeekRefuses(t *testing.T) {
	hello := recorded(t, &tls.Config{ServerName: "a.example.test", NextProtos: []string{"h2"}})
	name := bytes.Index(hello, []byte("a.example.test"))
	changed := func(at int, to ...byte) []byte {
		b := bytes.Clone(hello)
		copy(b[at:], to)
		return b
	}
	tests := map[string][]byte{
		"HTTP":                 []byte("G"),
		"alert":                {21, 3, 1, 0, 2},
		"SSL 2":                {0x80, 0x2e, 1},
		"version 4":            {22, 4},
		"empty record":         {22, 3, 1, 0, 0},
		"large record":         {22, 3, 1, 0x40, 1},
		"another message":      {22, 3, 1, 0, 4, 2},
		"large message":        {22, 3, 1, 0, 4, 1, 0, 0x80, 0},
		"small records":        bytes.Repeat(append([]byte{22, 3, 1, 0, 1}, 1), 9000),
		"a zero in the name":   changed(name+1, 0),
		"a space":              changed(name+1, ' '),
		"a star":               changed(name, '*'),
		"a dot at the begin":   changed(name, '.'),
		"not a host name":      changed(name-3, 1),
		"name too long":        changed(name-1, 200),
		"list too long":        changed(name-4, 200),
		"extensions too short": changed(5+4+2+32, 31),
	}
	for what, b := range tests {
		if sni, alpn, more, err := tlsconn.PeekSNI(b); !errors.Is(err, tlsconn.ErrNoHello) || more || sni != "" || alpn != nil {
			t.Errorf("%s: %q, %q, more %v, %v", what, sni, alpn, more, err)
		}
	}
}

func FuzzPeekSNI(f *testing.F) {
	hello := recorded(f, &tls.Config{ServerName: "a.example.test", NextProtos: []string{"h2"}})
	f.Add(hello)
	f.Add(fragment(hello, 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		sni, alpn, more, err := tlsconn.PeekSNI(b)
		if more && (err != nil || len(b) > tlsconn.MaxHello) {
			t.Fatalf("more after %d bytes, %v", len(b), err)
		}
		if sni != strings.ToLower(sni) || strings.ContainsAny(sni, " \x00*/") || slices.Contains(alpn, "") {
			t.Fatalf("%q, %q", sni, alpn)
		}
		if more || err != nil {
			return
		}
		if again, _, more, err := tlsconn.PeekSNI(append(bytes.Clone(b), 1)); again != sni || more || err != nil {
			t.Fatalf("with what follows: %q, %v, %v", again, more, err)
		}
	})
}
