//go:build linux

package faults

import (
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestSecondUpWhileStarting starts the same cluster twice at the same moment.
func TestSecondUpWhileStarting(t *testing.T) {
	needRoot(t)
	c := newCluster(t, "f2")
	var results [2]result
	var both sync.WaitGroup
	for i := range results {
		both.Go(func() { results[i] = c.run("up", "--node", "real") })
	}
	both.Wait()
	for _, r := range results {
		if r.code != 0 {
			t.Error(r)
		}
	}
	if pids := c.serverPIDs(); len(pids) != 1 {
		t.Errorf("server processes: %v, want one", pids)
	}
	pid := c.status(t).PID
	c.run("up", "--node", "real").must(t)
	if s := c.status(t); s.PID != pid || !s.Ready {
		t.Errorf("a third up left process %d, ready %v; want %d, ready", s.PID, s.Ready, pid)
	}
}

// TestInterruptedUp presses Control-C at several moments of a start.
func TestInterruptedUp(t *testing.T) {
	needRoot(t)
	c := newCluster(t, "fi")
	for _, after := range []time.Duration{50 * time.Millisecond, 400 * time.Millisecond, 1200 * time.Millisecond, 2500 * time.Millisecond} {
		before := takeSnapshot(t, c)
		up := c.start(t.Context(), "up", "--node", "real")
		if up.started != nil {
			t.Fatal(up.started)
		}
		time.Sleep(after)
		f := recordFamily(c)
		_ = up.cmd.Process.Signal(os.Interrupt)
		if r := up.wait(); r.code != 130 {
			t.Errorf("interrupted after %s: exit code %d, want 130\n%s", after, r.code, r)
		}
		if pids := c.serverPIDs(); len(pids) != 0 {
			t.Errorf("interrupted after %s: server %v still runs", after, pids)
		}
		mustBeGone(t, c, before, f)
	}
	c.run("up", "--node", "real").must(t)
	c.waitReady(t, 1)
}

// TestTerminatedServer ends the server by SIGTERM, as a shutdown of the machine
// does, instead of by `down`.
func TestTerminatedServer(t *testing.T) {
	c := newCluster(t, "ft")
	c.run("up", "--node", "none").must(t)
	for _, pid := range c.serverPIDs() {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	eventually(t, 20*time.Second, "the server ends", func() error {
		if pids := c.serverPIDs(); len(pids) > 0 {
			return &os.PathError{Op: "run", Path: c.dir, Err: syscall.EBUSY}
		}
		return nil
	})
	c.mustBeStopped(t)
	c.run("up", "--node", "none").must(t)
}

// TestManifestBroken gives `up -f` a file of which only the first object can be
// read, while the cluster runs: nothing of it may be applied.
func TestManifestBroken(t *testing.T) {
	c := newCluster(t, "fm")
	c.run("up", "--node", "none").must(t)
	before := configMaps(t, c)
	for name, text := range map[string]string{
		"broken.yaml":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\n---\napiVersion: v1\nkind: [ConfigMap\n",
		"nokind.yaml":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\n---\nmetadata: {name: nothing}\n",
		"broken.json":   `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"`,
		"notatall.yaml": "\x00\x01\x02",
	} {
		path := filepath.Join(c.base, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		pid := c.status(t).PID
		c.run("up", "--node", "none", "-f", path).mustSay(t, "error:", name)
		if after := configMaps(t, c); !maps.Equal(before, after) {
			t.Errorf("%s changed the cluster: %v, before %v", name, after, before)
		}
		if s := c.status(t); s.PID != pid || !s.Ready {
			t.Errorf("%s: process %d ready %v, want %d ready", name, s.PID, s.Ready, pid)
		}
	}
}

func configMaps(t *testing.T, c *cluster) map[string]string {
	t.Helper()
	list, err := c.mustClient(t).CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for i := range list.Items {
		if list.Items[i].Name == "kube-root-ca.crt" {
			continue // a controller makes it when it has started
		}
		versions[list.Items[i].Namespace+"/"+list.Items[i].Name] = list.Items[i].ResourceVersion
	}
	return versions
}
