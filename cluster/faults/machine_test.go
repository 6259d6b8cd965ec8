//go:build linux

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestTwoSideBySide runs two clusters with the same addresses inside; what
// happens to one is nothing to the other.
func TestTwoSideBySide(t *testing.T) {
	needRoot(t)
	pair := []*cluster{newCluster(t, "fx"), newCluster(t, "fy")}
	results := make([]result, len(pair))
	var both sync.WaitGroup
	for i, c := range pair {
		both.Go(func() { results[i] = c.run("up", "--node", "real") })
	}
	both.Wait()
	for i, c := range pair {
		results[i].must(t)
		c.waitReady(t, 1)
		runPod(t, c.mustClient(t), pausePod("pod-of-"+c.name))
	}
	for i, c := range pair {
		pods, err := c.mustClient(t).CoreV1().Pods(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) != 1 || pods.Items[0].Name != "pod-of-"+pair[i].name {
			t.Errorf("cluster %s has the pods %v (%v), want its own only", c.name, pods.Items, err)
		}
	}
	gone, stays := pair[0], pair[1]
	client := stays.mustClient(t)
	before := waitRunning(t, client, "pod-of-"+stays.name).Status.ContainerStatuses[0]
	gone.run("down", "--purge").must(t)
	stays.waitReady(t, 1)
	runPod(t, client, pausePod("another"))
	if after := waitRunning(t, client, "pod-of-"+stays.name).Status.ContainerStatuses[0]; after.ContainerID != before.ContainerID {
		t.Errorf("the pod of the cluster that stays was restarted: %+v, before %+v", after, before)
	}
	gone.mustBeStopped(t)
}

// TestNoNetwork runs on a machine that has nothing but its loopback.
func TestNoNetwork(t *testing.T) {
	needRoot(t)
	offMainThread(t, testNoNetwork)
}

func testNoNetwork(t *testing.T) {
	t.Helper()
	c := newCluster(t, "f0")
	leaveNetwork(t)
	manifest := filepath.Join(c.base, "pod.yaml")
	const pod = `apiVersion: v1
kind: Pod
metadata: {name: offline, namespace: default}
spec:
  containers: [{name: pause, image: "` + pauseImage + `"}]
`
	if err := os.WriteFile(manifest, []byte(pod), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run("up", "--node", "real", "-f", manifest).must(t)
	c.waitReady(t, 1)
	eventually(t, 60*time.Second, "a pod runs without a network", func() error {
		if s := c.status(t); s.Pods["Running"] != 1 {
			return fmt.Errorf("pods %v", s.Pods)
		}
		return nil
	})
	c.run("check", "--wait", "30s").must(t)
	c.run("down", "--purge").must(t)
}

// offMainThread runs a test on a thread that ends with it. The process's first
// thread would not, and /proc/self speaks of that one.
func offMainThread(t *testing.T, test func(*testing.T)) {
	t.Helper()
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		test(t)
		return // still locked: the thread ends with this goroutine
	}
	defer runtime.UnlockOSThread()
	t.Run("on another thread", func(t *testing.T) {
		runtime.LockOSThread()
		test(t)
	})
}

// leaveNetwork moves the test's thread, and so the programs that it starts, into
// a network namespace of their own; no other goroutine is over there.
func leaveNetwork(t *testing.T) {
	t.Helper()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("this machine's root may not make a network namespace: %v", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	if links, err := netlink.LinkList(); err != nil || len(links) != 1 {
		t.Fatalf("links without a network: %v, %v", links, err)
	}
}

const nobody = 65534

// TestNotRoot runs as an ordinary user: all but the real node.
func TestNotRoot(t *testing.T) {
	c := newCluster(t, "fu")
	if os.Geteuid() == 0 {
		becomeNobody(t, c)
	}
	before := takeSnapshot(t, c)
	r := c.run("up").must(t)
	if n := strings.Count(r.err, "no real node"); n != 1 || !strings.Contains(r.err, "it needs root") {
		t.Errorf("up must say once why there is no real node\n%s", r)
	}
	if s := c.status(t); !s.Ready || len(s.Nodes) != 0 {
		t.Errorf("ready %v with nodes %v, want ready without", s.Ready, s.Nodes)
	}
	book := &ledger{acked: map[string]string{}}
	if err := book.create(t.Context(), c.mustClient(t), "written-by-nobody", "x"); err != nil {
		t.Error(err)
	}
	book.mustHold(t, c)
	f := recordFamily(c)
	if len(f.alive()) == 0 {
		t.Error("found no process of a running cluster")
	}
	c.run("up", "--node", "real").mustSay(t, "it runs without a real node", "next:")
	c.run("down").must(t)
	mustBeGone(t, c, before, f)
	c.run("up", "--node", "real").mustSay(t, "can't be a real node", "it needs root", "next:")
	c.run("up").must(t)
	book.mustHold(t, c)
	f = recordFamily(c)
	c.run("down", "--purge").must(t)
	mustBeGone(t, c, before, f)
	if _, err := os.Stat(c.dir); !os.IsNotExist(err) {
		t.Errorf("the data folder is still there: %v", err)
	}
}

// becomeNobody gives the cluster to a user without rights. The program is copied:
// the folder in which it was built may be closed to others.
func becomeNobody(t *testing.T, c *cluster) {
	t.Helper()
	raw, err := os.ReadFile(c.program)
	if err != nil {
		t.Fatal(err)
	}
	c.program = filepath.Join(c.base, "tatami")
	if err := os.WriteFile(c.program, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{c.base, filepath.Join(c.base, "home"), filepath.Join(c.base, "tmp")} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	c.attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{}}}
}
