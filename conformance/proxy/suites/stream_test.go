package suites

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// TestTCPHalfClose sends, ends its direction, and gets an answer that the backend
// gives only after that end.
func TestTCPHalfClose(t *testing.T) {
	sum := rig.TCP(t, func(c net.Conn) {
		h := sha256.New()
		n, err := io.Copy(h, c)
		if err == nil {
			fmt.Fprintf(c, "%d %x\n", n, h.Sum(nil))
			_, _ = io.WriteString(c, pattern(4<<20))
		}
	})
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			p, addr := front(t, kind, "--tcp", "--backend", sum)
			before := p.Usage()
			for _, size := range []int{0, 1, 100_000, 16 << 20} {
				t.Run(fmt.Sprint(size), func(t *testing.T) {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					_ = c.SetDeadline(time.Now().Add(20 * time.Second))
					content := pattern(size)
					if _, err := io.WriteString(c, content); err != nil {
						t.Fatal(err)
					}
					_ = c.(*net.TCPConn).CloseWrite()
					got, err := io.ReadAll(c)
					if err != nil {
						t.Fatal(err)
					}
					want := fmt.Sprintf("%d %x\n", size, sha256.Sum256([]byte(content))) + pattern(4<<20)
					if string(got) != want {
						t.Errorf("the answer of %d bytes begins with %q, want %d that begin with %q", len(got), clip(string(got[:min(80, len(got))])), len(want), want[:80])
					}
				})
			}
			p.Settle(before, rig.Growth{FDs: 6, Goroutines: 6, RSS: 64 << 20})
		})
	}
}

// haproxy runs HAProxy with an inherited listener, which the configuration names
// fd@3; FRONT is where it listens.
func haproxy(t *testing.T, config string) string {
	t.Helper()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/haproxy")
	}
	if err != nil {
		t.Fatalf("%v: install what build/packages.sh names for tests (make packages-test)", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte("defaults\n timeout connect 5s\n timeout client 10s\n timeout server 10s\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), path, "-db", "-f", file)
	cmd.ExtraFiles = []*os.File{f}
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	return addr
}

// from is a client that comes from another address than the proxies do.
func from(ip string) *http.Client {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	return &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}, Timeout: 10 * time.Second}
}

func fetch(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// TestProxyProtocolFromHAProxy has HAProxy as the sender of the header.
func TestProxyProtocolFromHAProxy(t *testing.T) {
	addr := rig.HTTP(t, backend())
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			p := program.Start(t, rig.Options{Kind: kind, Config: `
listeners: [{name: main, address: "127.0.0.1:0", proxyProtocol: true}]
routes: [{name: main, rules: [{backends: [main]}]}]
clusters: [{name: main, endpoints: ["` + addr + `"]}]
`})
			for _, send := range []string{"send-proxy", "send-proxy-v2"} {
				t.Run(send, func(t *testing.T) {
					front := haproxy(t, "listen x\n mode tcp\n bind fd@3\n server s "+p.Addr("main")+" "+send+"\n")
					wants(t, fetch(t, from("127.0.0.9"), "http://"+front+"/echo"), "X-Forwarded-For: 127.0.0.9\n")
				})
			}
			t.Run("without the header nobody is served", func(t *testing.T) {
				resp, err := from("127.0.0.9").Get("http://" + p.Addr("main") + "/echo")
				if err == nil {
					_ = resp.Body.Close()
					t.Error("a connection without the header was served")
				}
			})
		})
	}
}

// TestProxyProtocolToHAProxy has HAProxy as the receiver of the header.
func TestProxyProtocolToHAProxy(t *testing.T) {
	addr := rig.HTTP(t, backend())
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			for _, version := range []string{"1", "2"} {
				t.Run("version "+version, func(t *testing.T) {
					back := haproxy(t, "listen x\n mode http\n bind fd@3 accept-proxy\n option forwardfor\n server s "+addr+"\n")
					p := program.Start(t, rig.Options{Kind: kind, Config: `
listeners: [{name: main, address: "127.0.0.1:0", protocol: TCP}]
streamRoutes: [{name: main, backends: [main]}]
clusters: [{name: main, proxyProtocol: ` + version + `, endpoints: ["` + back + `"]}]
`})
					wants(t, fetch(t, from("127.0.0.9"), "http://"+p.Addr("main")+"/echo"), "X-Forwarded-For: 127.0.0.9\n")
				})
			}
		})
	}
}
