//go:build linux

package faults

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// outside is another machine, as far as the network can tell: a namespace with
// one cable to the host. It lasts as long as its sockets, so it goes whatever
// way this process ends.
type outside struct {
	// host is the host's end of the cable, far the other.
	host, far netip.Addr
	sockets   []io.Closer
	// stayed tells when a connection to the port for staying has ended, heard
	// what was said after this side had ended its half.
	stayed chan error
	heard  chan string
}

// The ports of the outside.
const (
	farHTTP   = "80"
	farUpload = "81"
	farAnswer = "82"
	farStay   = "83"
	farNobody = "84"
)

// knownName is the only name that the outside's resolver knows.
const knownName = "far.example.test"

// farBody is a long body that no compression or repetition would hide a fault in.
func farBody() []byte {
	body := make([]byte, 0, 20<<20)
	for sum := sha256.Sum256(nil); len(body) < cap(body); sum = sha256.Sum256(sum[:]) {
		body = append(body, sum[:]...)
	}
	return body
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	// Each test takes four addresses of the range for network tests.
	base := netip.AddrFrom4([4]byte{198, 18, byte(os.Getpid() >> 6), byte(os.Getpid()&63) << 2})
	o := &outside{host: base.Next(), far: base.Next().Next(), stayed: make(chan error, 1), heard: make(chan string, 1)}
	cable := fmt.Sprintf("tt%d", os.Getpid())
	if err := inNewNetwork(func() error { return o.furnish(cable) }); err != nil {
		o.close()
		if errors.Is(err, unix.EPERM) {
			t.Skipf("this machine's root may not make a network namespace: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(o.close)
	if err := address(cable, o.host); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *outside) close() {
	for _, s := range o.sockets {
		_ = s.Close()
	}
}

// inNewNetwork runs f on a thread with a network namespace of its own, which
// ends with the call unless f leaves sockets in it.
func inNewNetwork(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		if unix.Gettid() == os.Getpid() {
			// The process's first thread would not end.
			defer runtime.UnlockOSThread()
			done <- inNewNetwork(f)
			return
		}
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// furnish lays the cable and opens the sockets.
func (o *outside) furnish(cable string) error {
	pair := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: cable, PeerNamespace: netlink.NsPid(os.Getpid())}
	pair.Name = "host"
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("lay a cable: %w", err)
	}
	if err := address("host", o.far); err != nil {
		return err
	}
	for port, serve := range map[string]func(net.Listener){
		farHTTP: o.serveHTTP, farUpload: each(o.takeUpload), farAnswer: each(o.speakFirst), farStay: each(o.keep),
	} {
		l, err := net.Listen("tcp4", net.JoinHostPort(o.far.String(), port))
		if err != nil {
			return err
		}
		o.sockets = append(o.sockets, l)
		go serve(l)
	}
	resolver, err := net.ListenPacket("udp4", net.JoinHostPort(o.far.String(), "53"))
	if err != nil {
		return err
	}
	o.sockets = append(o.sockets, resolver)
	go o.resolve(resolver)
	return nil
}

func address(link string, addr netip.Addr) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	a := &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(30, 32)}}
	if err := netlink.AddrAdd(l, a); err != nil {
		return fmt.Errorf("address of %s: %w", link, err)
	}
	return netlink.LinkSetUp(l)
}

func each(serve func(*net.TCPConn) error) func(net.Listener) {
	return func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = serve(c.(*net.TCPConn))
			}()
		}
	}
}

func (o *outside) serveHTTP(l net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /peer", func(w http.ResponseWriter, r *http.Request) {
		peer, _, _ := net.SplitHostPort(r.RemoteAddr)
		_, _ = io.WriteString(w, peer)
	})
	body := farBody()
	mux.HandleFunc("GET /body", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	_ = http.Serve(l, mux)
}

// takeUpload speaks after the other half has ended.
func (o *outside) takeUpload(c *net.TCPConn) error {
	digest := sha256.New()
	n, err := io.Copy(digest, c)
	if err == nil {
		_, err = fmt.Fprintf(c, "%d bytes %x", n, digest.Sum(nil))
	}
	return err
}

// speakFirst ends its own half, and listens on.
func (o *outside) speakFirst(c *net.TCPConn) error {
	if _, err := io.WriteString(c, "greeting"); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	heard, err := io.ReadAll(c)
	o.heard <- string(heard)
	return err
}

func (o *outside) keep(c *net.TCPConn) error {
	_, err := io.Copy(io.Discard, c)
	o.stayed <- err
	return err
}

// resolve answers as a resolver of a small office does.
func (o *outside) resolve(pc net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		if reply := o.reply(buf[:n]); reply != nil {
			_, _ = pc.WriteTo(reply, from)
		}
	}
}

// reply is a DNS message (RFC 1035, section 4) with the address of the one name
// that is known; others do not exist.
func (o *outside) reply(question []byte) []byte {
	const header, typeA = 12, 1
	var labels []string
	at := header
	for at < len(question) && question[at] != 0 {
		end := at + 1 + int(question[at])
		if end >= len(question) {
			return nil
		}
		labels = append(labels, string(question[at+1:end]))
		at = end
	}
	if at+5 > len(question) {
		return nil
	}
	asked := question[header : at+5]
	known := strings.EqualFold(strings.Join(labels, "."), knownName)
	answers, code := byte(0), byte(3) // NXDOMAIN
	if known {
		code = 0
	}
	var record []byte
	if known && asked[len(asked)-3] == typeA {
		answers = 1
		record = append([]byte{0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 60, 0, 4}, o.far.AsSlice()...)
	}
	out := append([]byte{question[0], question[1], 0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0}, asked...)
	return append(out, record...)
}

// loopbackService listens on the host's loopback only, and counts who comes.
func loopbackService(t *testing.T) (port string, visitors func() int) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	came := make(chan struct{}, 100)
	go each(func(c *net.TCPConn) error {
		came <- struct{}{}
		_, err := io.WriteString(c, "private")
		return err
	})(l)
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// Proof that a visitor would be counted.
	c, err := net.DialTimeout("tcp4", l.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if said, err := io.ReadAll(c); err != nil || string(said) != "private" {
		t.Fatalf("the service said %q (%v)", said, err)
	}
	<-came
	return port, func() int { return len(came) }
}
