package restart

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// configuration n differs from n-1 in everything that a reload may change, and
// serves the same.
func configuration(n int, web, grpc []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# generation %d
listeners:
- {name: web, address: "127.0.0.1:0", http: {maxStreams: %d}}
routes:
- name: generation-%d
  rules:
  - matches: [{path: {value: /tatami.conformance.Echo}}]
    backends: [grpc]
  - matches: [/, /generation/%d]
    backends: [{cluster: web, weight: %d}, {cluster: web-%d, weight: 1}]
    retry: {attempts: %d}
clusters:
`, n, 100+n%7, n, n, 1+n%3, n%5, 1+n%3)
	cluster := func(name, protocol string, addrs []string) {
		fmt.Fprintf(&b, "- {name: %s, protocol: %s, connectTimeout: %dms, idleTimeout: 2s, endpoints: [%s]}\n", name, protocol, 5000+n%2, `"`+strings.Join(addrs, `", "`)+`"`)
	}
	cluster("web", "HTTP1", rotate(web, n))
	cluster(fmt.Sprintf("web-%d", n%5), "HTTP1", web)
	cluster("grpc", "HTTP2", grpc)
	return b.String()
}

// rotate leaves out one of the addresses, another each time.
func rotate(addrs []string, n int) []string {
	out := append([]string{}, addrs[n%len(addrs):]...)
	out = append(out, addrs[:n%len(addrs)]...)
	return out[:len(out)-1]
}

// site is a proxy with backends.
type site struct {
	bodies    *lab.Bodies
	web, grpc []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{bodies: lab.NewBodies(1 << 20)}
	for range 3 {
		o := lab.NewOrigin(t, s.bodies, wellOrSlow)
		s.web = append(s.web, o.Addr)
		t.Cleanup(func() {
			if err := o.Bad(); err != nil {
				t.Errorf("a backend got a wrong request: %v", err)
			}
		})
	}
	s.grpc = []string{lab.NewGRPCOrigin(t).Addr}
	return s
}

// wellOrSlow takes its time with some requests, so that at every change some are
// on their way.
func wellOrSlow(c *lab.Call) bool {
	if c.ID%32 == 7 {
		time.Sleep(30 * time.Millisecond)
	}
	return lab.Well(c)
}

func (s *site) config(n int) string { return configuration(n, s.web, s.grpc) }

func TestHundredReloads(t *testing.T) {
	signalled, watched := 44, 6
	if testing.Short() {
		signalled, watched = 10, 1
	}
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		s := newSite(t)
		p := program.Start(t, rig.Options{Kind: kind, Config: s.config(0)})
		before := p.Usage()
		load := begin(t, s.bodies, front{http: fixed(p.Addr("web")), grpc: fixed(p.Addr("web"))})
		n := 0
		reload := func(write func(string), signal bool) {
			n++
			mark := len(p.Stderr())
			write(s.config(n))
			if signal {
				p.Signal(syscall.SIGHUP)
			}
			say(t, p, mark, "is in force")
			time.Sleep(15 * time.Millisecond)
		}
		for range signalled {
			reload(p.Rewrite, true)
		}
		for range watched {
			reload(p.Rewrite, false)
		}
		swap := mount(t, p)
		for range signalled {
			reload(swap, true)
		}
		for range watched {
			reload(swap, false)
		}
		load.end()
		t.Logf("%d reloads, each taken; %+v before, %+v after", n, before, p.Settle(before, rig.Growth{FDs: 20, Goroutines: 30, RSS: 60 << 20}))
		if refused := p.Metric("tatami_proxy_config_rejected_total"); refused != 0 {
			t.Errorf("%v configurations were refused", refused)
		}
	})
}

// mount makes the proxy's file what a mounted ConfigMap has: a link to a file
// behind a link to a folder. The returned function swaps the latter.
func mount(t *testing.T, p *rig.Proxy) func(config string) {
	t.Helper()
	dir := filepath.Dir(p.Config)
	n := 0
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "..data")
	swap := func(config string) {
		n++
		folder := fmt.Sprintf("..%d", n)
		must(os.Mkdir(filepath.Join(dir, folder), 0o700))
		must(os.WriteFile(filepath.Join(dir, folder, "proxy.yaml"), []byte(config), 0o600))
		old, err := os.Readlink(data)
		must(os.Symlink(folder, data+"_tmp"))
		must(os.Rename(data+"_tmp", data))
		if err == nil {
			must(os.RemoveAll(filepath.Join(dir, old)))
		}
	}
	now, err := os.ReadFile(p.Config)
	must(err)
	swap(string(now))
	must(os.Symlink("..data/proxy.yaml", p.Config+".link"))
	must(os.Rename(p.Config+".link", p.Config))
	return swap
}

func TestBadFileIsRefusedWhole(t *testing.T) {
	s := newSite(t)
	p := program.Start(t, rig.Options{Config: s.config(0)})
	load := begin(t, s.bodies, front{http: fixed(p.Addr("web")), grpc: fixed(p.Addr("web"))})
	good := p.Get("/config")
	for _, tt := range []struct{ name, config, reason string }{
		{"no YAML", "listeners: [", "yaml"},
		{"unknown field", s.config(1) + "surprise: 1\n", "surprise"},
		{"cluster that is missing", strings.ReplaceAll(s.config(1), "backends: [grpc]", "backends: [absent]"), "absent"},
		{"path without slash", strings.ReplaceAll(s.config(1), "/generation/1", "generation"), "generation"},
		{"address of another", strings.ReplaceAll(s.config(1), "127.0.0.1:0", "192.0.2.1:80"), "192.0.2.1"},
		{"expression", strings.ReplaceAll(s.config(1), "[/, /generation/1]", `[{path: {value: "/(", kind: REGEX}}]`), "/("},
		{"endpoint that is a name", strings.ReplaceAll(s.config(1), s.web[0], "localhost:80"), "localhost"},
		{"certificate that is missing", s.config(1) + "certificates: [{name: c, chainFile: none.crt, keyFile: none.key}]\n", "none.crt"},
		{"two of a name", strings.ReplaceAll(s.config(1), "name: web-1", "name: web"), "web"},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mark := len(p.Stderr())
			p.Rewrite(tt.config)
			p.Signal(syscall.SIGHUP)
			lab.Until(t, "a refusal that names "+tt.reason, func() bool {
				said := p.Stderr()[mark:]
				return said != "" && strings.Contains(strings.ToLower(said), strings.ToLower(tt.reason))
			})
			if said := p.Stderr()[mark:]; strings.Contains(said, "is in force") {
				t.Errorf("it was taken: %s", said)
			}
			if now := p.Get("/config"); now != good {
				t.Errorf("the configuration changed to %s", now)
			}
		})
	}
	mark := len(p.Stderr())
	p.Rewrite(s.config(2))
	p.Signal(syscall.SIGHUP)
	say(t, p, mark, "is in force")
	load.end()
}
