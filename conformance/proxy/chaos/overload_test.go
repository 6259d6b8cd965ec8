package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// TestOverload gives the proxy a small part of a processor and more to do than it
// can: it sheds with 503 and Retry-After, goes on to serve what it accepts, and
// sheds no more when the load is gone.
func TestOverload(t *testing.T) {
	if testing.Short() {
		t.Skip("it keeps a processor busy for seconds")
	}
	for _, tool := range []string{"taskset", "nice"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("without %s the proxy can't be given a part of a processor", tool)
		}
	}
	script := filepath.Join(t.TempDir(), "proxy")
	text := fmt.Sprintf("#!/bin/sh\nexec taskset 1 nice -n 10 '%s' \"$@\"\n", program.Path)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	bodies := lab.NewBodies(1 << 20)
	o := lab.NewOrigin(t, bodies, lab.Well)
	p := rig.Program{Path: script}.Start(t, rig.Options{Args: []string{"--loops", "1"}, Config: fmt.Sprintf(`
listeners: [{name: web, address: "127.0.0.1:0"}]
routes: [{name: all, rules: [{backends: [web]}]}]
clusters: [{name: web, endpoints: ["%s"], breaker: {maxConnections: 100000, maxPending: 100000}}]
`, o.Addr)})
	end := hog(t)
	addr := p.Addr("web")
	stop := lab.Begin(&lab.Load{Name: "too much", Workers: 3000, Rate: 20_000, Client: func() lab.Client {
		return &lab.HTTP1{Addr: func() string { return addr }, Bodies: bodies}
	}})
	time.Sleep(6 * time.Second)
	r := lab.Sum("too much", stop()...)
	t.Log(r)
	end()
	if n := r.Failed["status 503"]; n == 0 {
		t.Error("nothing was shed")
	}
	if shed := p.Metric("tatami_proxy_overload_shed_total"); shed == 0 {
		t.Error("no shedding is counted")
	}
	if r.Good == 0 {
		t.Error("nothing was served")
	}
	for why := range r.Failed {
		if why != "status 503" {
			t.Errorf("a request ended with %s", why)
		}
	}
	c := dial(t, addr)
	lab.Until(t, "it serves everything again", func() bool {
		for range 20 {
			status, header := c.send(get).status()
			if status == 503 && header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if status != 200 {
				return false
			}
		}
		return true
	})
}

// hog keeps the first processor busy until the returned function is called.
func hog(t *testing.T) (end func()) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), "taskset", "1", "sh", "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(end)
	return end
}
