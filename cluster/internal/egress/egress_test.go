package egress

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAllowed(t *testing.T) {
	for target, want := range map[string]bool{
		"192.0.2.7:443":     true,
		"10.0.0.5:5432":     true,
		"169.254.169.254:1": true,
		"127.0.0.1:22":      false,
		"127.1.2.3:22":      false,
		"0.0.0.0:22":        false,
		"224.0.0.1:22":      false,
		"10.244.0.1:15001":  false,
		"10.96.0.1:443":     false,
	} {
		if got := allowed(netip.MustParseAddrPort(target)); got != want {
			t.Errorf("allowed(%s) = %v, want %v", target, got, want)
		}
	}
}

func TestParseResolvers(t *testing.T) {
	got := ParseResolvers(strings.NewReader("# nameserver 1.1.1.1\nnameserver 192.0.2.53\nsearch lan\nnameserver   fd00::1 # x\nnameserver nonsense\nnameserver\n"))
	if want := []string{"192.0.2.53", "fd00::1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// resolver answers each question with a prefix and the question.
func resolver(t *testing.T, prefix string) net.PacketConn {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo(append([]byte(prefix), buf[:n]...), from)
		}
	}()
	return pc
}

func TestServeDNSAsksTheNextResolverWhenOneFails(t *testing.T) {
	good := resolver(t, "answer to ")
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "192.0.2.1:") {
			return nil, fmt.Errorf("no route")
		}
		var d net.Dialer
		return d.DialContext(ctx, network, good.LocalAddr().String())
	}
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := pc.LocalAddr().String()
	_ = pc.Close()
	if err := ServeDNS(t.Context(), addr, func() []string { return []string{"192.0.2.1", "192.0.2.2"} }, dial); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "question"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(buf[:n]); got != "answer to question" {
		t.Errorf("got %q", got)
	}
}

// A pod that opens connections to where nothing answers must not use up the
// threads of the platform.
func TestDialsAreBounded(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	now, most := make(chan int, 1), make(chan int, 1)
	now <- 0
	most <- 0
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		n := <-now + 1
		now <- n
		most <- max(<-most, n)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
		now <- <-now - 1
		return nil, fmt.Errorf("nothing there")
	}
	limited := limit(dial)
	done := make(chan struct{})
	const attempts = 3 * maxDials
	for range attempts {
		go func() {
			_, _ = limited(t.Context(), "tcp4", "192.0.2.1:1")
			done <- struct{}{}
		}()
	}
	for range attempts {
		<-done
	}
	if got := <-most; got > maxDials {
		t.Errorf("%d dials at once, want at most %d", got, maxDials)
	}
}
