package peer

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	state, group, used := parseStat("12 (a (b) c) S 7 11 12 0 -1 0 1 2 3 4 150 50 0 0")
	if state != "S" || group != 11 || used != 2*time.Second {
		t.Errorf("parseStat = %q, %d, %s", state, group, used)
	}
	if state, group, used := parseStat("nonsense"); state != "" || group != 0 || used != 0 {
		t.Errorf("parseStat of nonsense = %q, %d, %s", state, group, used)
	}
}

func TestUsageSince(t *testing.T) {
	before := Usage{threads: map[string]time.Duration{"a": 10, "b": 20}, total: 100}
	for _, tt := range []struct {
		name  string
		after Usage
		want  time.Duration
	}{
		{"the same threads", Usage{threads: map[string]time.Duration{"a": 15, "b": 21}, total: 200}, 6},
		{"a new thread", Usage{threads: map[string]time.Duration{"a": 15, "b": 21, "c": 4}, total: 200}, 10},
		{"a thread has ended", Usage{threads: map[string]time.Duration{"a": 15}, total: 200}, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.after.Since(before); got != tt.want {
				t.Errorf("Since = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestGroup runs a shell with a child that works: time and memory are those of
// both, and Stop ends both.
func TestGroup(t *testing.T) {
	dir := t.TempDir()
	p := Program{Name: Tatami, Path: filepath.Join(dir, "server")}
	const script = "#!/bin/sh\nsh -c 'i=0; while [ $i -lt 100000000 ]; do i=$((i+1)); done' &\nwait\n"
	if err := os.WriteFile(p.Path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	run, err := p.Start(t.Context(), Spec{Mode: HTTP, Listen: "127.0.0.1:1", Backend: "127.0.0.1:1", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			run.Stop()
		}
	}()
	group := run.cmd.Process.Pid
	waitFor(t, "two processes", func() bool { pids, err := run.pids(); return err == nil && len(pids) == 2 })
	before, err := run.Usage()
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "processor time of the child", func() bool {
		after, err := run.Usage()
		return err == nil && after.Since(before) > 50*time.Millisecond
	})
	if m, err := run.Memory(); err != nil || m.RSS < 1<<16 || m.PSS > m.RSS {
		t.Errorf("Memory = %+v, %v", m, err)
	}
	run.Stop()
	stopped = true
	if pids, err := groupOf(group); err != nil || len(pids) > 0 {
		t.Errorf("of the group are still there: %v, %v", pids, err)
	}
	if _, err := os.Stat(run.Dir); err == nil {
		t.Error("its folder is still there")
	}
	if _, err := run.Usage(); err == nil {
		t.Error("a process that has ended uses time")
	}
}

func waitFor(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !reached(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not there after ten seconds: %s", what)
		}
	}
}

func TestEndedSaysWhy(t *testing.T) {
	p := Program{Name: Tatami, Path: filepath.Join(t.TempDir(), "server")}
	if err := os.WriteFile(p.Path, []byte("#!/bin/sh\necho no such backend >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	run, err := p.Start(t.Context(), Spec{Mode: HTTP, Listen: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer run.Stop()
	waitFor(t, "the end", func() bool { return run.Ended() != nil })
	if text := run.Ended().Error(); !strings.Contains(text, "no such backend") || !strings.Contains(text, "exit status 3") {
		t.Errorf("the error does not say why: %s", text)
	}
}

// TestConfigurationsAreTaken asks the real programs what they think.
func TestConfigurationsAreTaken(t *testing.T) {
	check := map[string]func(p Program, dir string) *exec.Cmd{
		Nginx: func(p Program, dir string) *exec.Cmd {
			return exec.Command(p.Path, "-t", "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
		},
		HAProxy: func(p Program, dir string) *exec.Cmd {
			return exec.Command(p.Path, "-c", "-f", filepath.Join(dir, "haproxy.cfg"))
		},
	}
	for name, command := range check {
		p, err := installed(t.Context(), name, "-v")
		if err != nil {
			t.Skipf("CI installs it: %v", err)
		}
		for _, mode := range []Mode{HTTP, GRPC, TCP, Routes} {
			t.Run(name+" "+string(mode), func(t *testing.T) {
				if why := p.Refuses(mode); why != "" {
					t.Skipf("it cannot do that: %s", why)
				}
				dir := t.TempDir()
				v := values{Spec: Spec{Mode: mode, Listen: free(t), Backend: "127.0.0.1:1", Threads: 2, Services: []Service{
					{Name: "s0", Host: "a.example", Prefixes: []string{"/a/", "/b/"}, Endpoints: []string{"127.0.0.1:1", "127.0.0.2:1"}},
					{Name: "s1", Host: "b.example", Prefixes: []string{"/a/"}, Endpoints: []string{"127.0.0.1:1"}},
				}}}
				if err := p.render(dir, v); err != nil {
					t.Fatal(err)
				}
				if out, err := command(p, dir).CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

func free(t *testing.T) string {
	t.Helper()
	addr, err := FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// TestTemplates renders every configuration: a field that does not exist is
// found here, not after minutes of building.
func TestTemplates(t *testing.T) {
	for _, name := range []string{Tatami, Nginx, HAProxy, Traefik, Caddy, backendName} {
		for _, mode := range []Mode{HTTP, TLS, MTLS, GRPC, TCP, Routes} {
			p := Program{Name: name}
			dir := t.TempDir()
			v := values{Spec: Spec{Mode: mode, Listen: "127.0.0.1:8080", Backend: "127.0.0.1:9000", Services: []Service{
				{Name: "shop", Host: "shop.example", Prefixes: []string{"/r0/"}, Endpoints: []string{"127.0.0.9:9001"}},
			}}, Addresses: []string{"127.0.0.1:9000"}, Address: "127.0.0.1", Port: "8080"}
			if err := p.render(dir, v); err != nil {
				t.Errorf("%s, %s: %v", name, mode, err)
				continue
			}
			var all strings.Builder
			for file := range p.files(v.Spec) {
				text, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Error(err)
				}
				all.Write(text)
			}
			if len(p.files(v.Spec)) == 0 {
				all.WriteString(strings.Join(p.args(v.Spec, dir), " "))
			}
			want := "127.0.0.1:9000"
			if mode == Routes && name != backendName {
				want = "127.0.0.9:9001"
			}
			if p.Refuses(mode) == "" && !strings.Contains(all.String(), want) {
				t.Errorf("%s, %s: %s is not in it:\n%s", name, mode, want, all.String())
			}
		}
	}
}

func TestBackend(t *testing.T) {
	run, addresses, err := StartBackend(t.Context(), 300)
	if err != nil {
		t.Skipf("CI installs nginx: %v", err)
	}
	defer run.Stop()
	for _, addr := range addresses {
		waitFor(t, addr, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", addr)
			if err != nil {
				return false
			}
			return conn.Close() == nil
		})
	}
	slices.Sort(addresses)
	if n := len(slices.Compact(addresses)); n != 300 {
		t.Errorf("%d addresses, want 300", n)
	}
}

func TestUnknownProgram(t *testing.T) {
	if _, err := (Workshop{}).Program(t.Context(), "envoy"); err == nil || !strings.Contains(err.Error(), Caddy) {
		t.Errorf("error = %v, want the names that there are", err)
	}
}

func TestLastLines(t *testing.T) {
	if got := string(lastLines([]byte("1\n2\n3\n4\n5\n6\n7\n"))); got != "3\n4\n5\n6\n7" {
		t.Errorf("lastLines = %q", got)
	}
}

// TestTatamiIsBuiltAsReleased holds that what is measured is what the Makefile makes.
func TestTatamiIsBuiltAsReleased(t *testing.T) {
	text, err := os.ReadFile("../../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, _ := strings.Cut(string(text), "\nbin/tatami-proxy:")
	recipe, _, _ = strings.Cut(recipe, "./cmd/tatami-proxy\n")
	if flags := strings.Join(tatamiFlags(), " "); !strings.Contains(recipe, " "+flags+" ") {
		t.Errorf("%q is not in the Makefile's recipe:\n%s", flags, recipe)
	}
}
