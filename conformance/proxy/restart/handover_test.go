package restart

import (
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

func TestHotRestarts(t *testing.T) {
	restarts := 10
	if testing.Short() {
		restarts = 2
	}
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		s := newSite(t)
		path := filepath.Join(lab.ShortDir(t), "handover")
		options := rig.Options{Kind: kind, Config: s.config(0), Args: []string{"--handover", path}}
		now := program.Start(t, options)
		addr := fixed(now.Addr("web"))
		load := begin(t, s.bodies, front{http: addr, grpc: addr})
		for n := range restarts {
			next := program.Start(t, options)
			if got := next.Addr("web"); got != addr() {
				t.Fatalf("the successor listens at %s, not %s", got, addr())
			}
			say(t, now, 0, "draining")
			if err := now.Wait(); err != nil {
				t.Errorf("restart %d: the predecessor ended with %v", n, err)
			}
			now = next
			time.Sleep(50 * time.Millisecond)
		}
		load.end()
	})
}

// TestSuccessorThatFails: what cannot serve takes nothing away.
func TestSuccessorThatFails(t *testing.T) {
	s := newSite(t)
	path := filepath.Join(lab.ShortDir(t), "handover")
	args := []string{"--handover", path}
	now := program.Start(t, rig.Options{Config: s.config(0), Args: args})
	addr := fixed(now.Addr("web"))
	load := begin(t, s.bodies, front{http: addr, grpc: addr})
	for range 3 {
		bad := program.Launch(t, rig.Options{Config: "listeners: [{name: bad, address: nowhere}]\n", Args: args})
		if err := bad.Wait(); err == nil {
			t.Error("a configuration without sense was served")
		}
		for _, last := range []string{"", "N"} {
			takeAndFail(t, path, last)
		}
	}
	if now.Ended() || strings.Contains(now.Stderr(), "draining") {
		t.Errorf("it went for a successor that does not serve:\n%s", now.Stderr())
	}
	good := program.Start(t, rig.Options{Config: s.config(0), Args: args})
	say(t, now, 0, "draining")
	if err := now.Wait(); err != nil {
		t.Error(err)
	}
	load.end()
	if good.Ended() {
		t.Error("the successor ended")
	}
}

// takeAndFail is a successor that dies with the sockets in its hands, or answers
// what nobody understands.
func takeAndFail(t *testing.T, path, last string) {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	text, rights := make([]byte, 64<<10), make([]byte, 4096)
	_ = c.SetDeadline(time.Now().Add(lab.Patience))
	n, m, _, _, err := c.ReadMsgUnix(text, rights)
	if err != nil || n == 0 || m == 0 {
		t.Fatalf("the predecessor gave %d bytes and %d of rights: %v", n, m, err)
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:m])
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	}
	_, _ = c.Write([]byte(last))
}

// TestDrain ends proxies by SIGTERM, one of two at a time, as a rollout of a
// gateway does. Clients keep the rules: an announced end is obeyed, and where
// nobody listens they go to the other one.
func TestDrain(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		s := newSite(t)
		options := rig.Options{Kind: kind, Config: s.config(0)}
		var live atomic.Pointer[string]
		use := func(p *rig.Proxy) {
			addr := p.Addr("web")
			live.Store(&addr)
		}
		now := program.Start(t, options)
		use(now)
		load := begin(t, s.bodies, front{http: func() string { return *live.Load() }})
		for n := range rounds {
			next := program.Start(t, options)
			use(next)
			// Who looked up the address before has connected by then.
			time.Sleep(50 * time.Millisecond)
			now.Signal(syscall.SIGTERM)
			if err := now.Wait(); err != nil {
				t.Errorf("round %d: the proxy ended with %v\n%s", n, err, now.Stderr())
			}
			now = next
		}
		load.end()
	})
}

// TestDrainTimeout: who does not leave is cut.
func TestDrainTimeout(t *testing.T) {
	s := newSite(t)
	o := lab.NewOrigin(t, s.bodies, func(*lab.Call) bool {
		time.Sleep(5 * time.Second)
		return false
	})
	p := program.Start(t, rig.Options{Args: []string{"--listen", "127.0.0.1:0", "--backend", o.Addr, "--drain-timeout", "300ms"}})
	conn, err := lab.Dial(p.Addr("main"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	lab.Until(t, "the request is on its way", func() bool { return o.Active.Load() == 1 })
	began := time.Now()
	p.Signal(syscall.SIGTERM)
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if !strings.Contains(p.Stderr(), "1 connections were still open") {
		t.Errorf("it does not say what it cut: %s", p.Stderr())
	}
}
