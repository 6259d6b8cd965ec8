//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestContainerdKilled kills the node's containerd: it is started again, and the
// pods go on in the same containers.
func TestContainerdKilled(t *testing.T) {
	needRoot(t)
	c := newCluster(t, "fc")
	c.run("up", "--node", "real").must(t)
	client := c.mustClient(t)
	before := runPod(t, client, pausePod("first")).Status.ContainerStatuses[0]
	old := containerdPID(t, c)
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "containerd is started again", func() error {
		if pids := containerdPIDs(c); len(pids) != 1 || pids[0] == old {
			return fmt.Errorf("processes %v", pids)
		}
		return nil
	})
	runPod(t, client, pausePod("second"))
	c.waitReady(t, 1)
	pod, err := client.CoreV1().Pods(metav1.NamespaceDefault).Get(t.Context(), "first", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if after := pod.Status.ContainerStatuses[0]; after.ContainerID != before.ContainerID || after.RestartCount != 0 || !after.Ready {
		t.Errorf("the container of a pod did not go on: %+v, before %+v", after, before)
	}
}

func containerdPIDs(c *cluster) []int {
	return pidsOf(func(args []string) bool {
		return len(args) == 3 && filepath.Base(args[0]) == "containerd" && args[2] == filepath.Join(c.dir, "node", "containerd.toml")
	})
}

func containerdPID(t *testing.T, c *cluster) int {
	t.Helper()
	pids := containerdPIDs(c)
	if len(pids) != 1 {
		t.Fatalf("containerd processes of the node: %v, want one", pids)
	}
	return pids[0]
}

// withContainerd makes a machine whose every containerd is the given file.
func withContainerd(t *testing.T, c *cluster, content string, mode os.FileMode) {
	t.Helper()
	fake := filepath.Join(c.base, "fake-containerd")
	if err := os.WriteFile(fake, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(fake, mode); err != nil {
		t.Fatal(err)
	}
	var real []string
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin") {
		path, err := filepath.EvalSymlinks(filepath.Join(dir, "containerd"))
		if st, serr := os.Stat(path); err == nil && serr == nil && st.Mode().IsRegular() && !slices.Contains(real, path) {
			real = append(real, path)
			c.prelude += fmt.Sprintf("mount --bind %s %s\n", fake, path)
		}
	}
	if len(real) == 0 && mode&0o111 != 0 {
		t.Skip("there is no containerd here to put another version over")
	}
	c.attr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
}

// TestContainerdMissing and too old: --node auto goes on without it and says why
// in one line, --node real fails and says what to do.
func TestContainerdMissing(t *testing.T) {
	needRoot(t)
	for _, tt := range []struct {
		name, short, content string
		mode                 os.FileMode
		why                  string
	}{
		{"missing", "f5", "", 0o644, "containerd is not installed"},
		{"too old", "f6", "#!/bin/sh\necho 'containerd github.com/containerd/containerd v1.4.0 abcdef'\n", 0o755, "containerd v1.4.0 is too old"},
		{"broken", "f7", "#!/bin/sh\nexit 1\n", 0o755, "--version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, tt.short)
			withContainerd(t, c, tt.content, tt.mode)
			r := c.run("up", "--node", "real")
			r.mustSay(t, "this machine can't be a real node", tt.why, "next:", "--node none")
			if pids := c.serverPIDs(); len(pids) > 0 {
				t.Errorf("a server was left: %v", pids)
			}
			r = c.run("up").must(t)
			var said []string
			for line := range strings.Lines(r.err) {
				if strings.Contains(line, "no real node") {
					said = append(said, line)
				}
			}
			if len(said) != 1 || !strings.Contains(said[0], tt.why) {
				t.Errorf("want one line that says why there is no real node, got %q\n%s", said, r)
			}
			if s := c.status(t); !s.Ready || len(s.Nodes) != 0 {
				t.Errorf("ready %v with nodes %v, want ready without", s.Ready, s.Nodes)
			}
			c.run("check", "--pre").must(t)
		})
	}
}

// foreign is a containerd of somebody else's, with a container in it.
type foreign struct {
	dir, ctr string
	cmd      *exec.Cmd
}

// TestContainerdOfOthers runs a cluster beside a containerd that is in use.
func TestContainerdOfOthers(t *testing.T) {
	needRoot(t)
	c := newCluster(t, "fo")
	f := startForeign(t, c)
	before := f.tasks(t)
	if !strings.Contains(before, "RUNNING") {
		t.Fatalf("the foreign container does not run:\n%s", before)
	}
	check := func(when string) {
		t.Helper()
		if err := f.cmd.Process.Signal(syscall.Signal(0)); err != nil {
			t.Fatalf("%s: the foreign containerd has ended: %v", when, err)
		}
		if after := f.tasks(t); after != before {
			t.Errorf("%s: the foreign containers were\n%s\nand are\n%s", when, before, after)
		}
	}
	c.run("up", "--node", "real").must(t)
	runPod(t, c.mustClient(t), pausePod("ours"))
	check("beside a running cluster")
	c.killServer()
	check("after a kill")
	c.run("down").must(t)
	check("after down")
	c.run("up", "--node", "real").must(t)
	c.run("down", "--purge").must(t)
	check("after down --purge")
}

// startForeign runs Debian's containerd with folders of its own, as another
// container engine would, and one container in it.
func startForeign(t *testing.T, c *cluster) *foreign {
	t.Helper()
	containerd, err := exec.LookPath("containerd")
	if err != nil {
		t.Skipf("no containerd here: %v", err)
	}
	f := &foreign{dir: filepath.Join(c.base, "foreign")}
	if f.ctr, err = exec.LookPath("ctr"); err != nil {
		t.Skipf("no ctr here: %v", err)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		filepath.Join(f.dir, "root"), filepath.Join(f.dir, "state"), f.socket())
	path := filepath.Join(f.dir, "config.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	leftovers := keepHostClean(t)
	f.cmd = exec.Command(containerd, "--config", path)
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.stop(t)
		leftovers()
	})
	f.runContainer(t, c)
	return f
}

func (f *foreign) socket() string { return filepath.Join(f.dir, "containerd.sock") }

func (f *foreign) do(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, f.ctr, append([]string{"--address", f.socket()}, args...)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("ctr %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func (f *foreign) runContainer(t *testing.T, c *cluster) {
	t.Helper()
	const image = "example.com/foreign:v1"
	archive := filepath.Join(f.dir, "image.tar")
	pause := filepath.Join(filepath.Dir(c.program), "tatami-pause")
	out, err := exec.CommandContext(t.Context(), c.program, "image", "build", pause, "-t", image, "--output", archive).CombinedOutput()
	if err != nil {
		t.Fatalf("image build: %v\n%s", err, out)
	}
	eventually(t, 20*time.Second, "the foreign containerd answers", func() error {
		_, err := f.do("version")
		return err
	})
	for _, args := range [][]string{
		{"images", "import", "--snapshotter", "native", archive},
		{"run", "--detach", "--snapshotter", "native", image, "theirs"},
	} {
		if _, err := f.do(args...); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *foreign) tasks(t *testing.T) string {
	t.Helper()
	out, err := f.do("tasks", "list")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (f *foreign) stop(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"tasks", "kill", "--signal", "SIGKILL", "theirs"}, {"tasks", "delete", "--force", "theirs"}, {"containers", "delete", "theirs"},
	} {
		if _, err := f.do(args...); err != nil {
			t.Log(err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	_ = f.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		_ = f.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = f.cmd.Process.Kill()
		<-done
	}
}

// keepHostClean removes afterwards what containerd itself leaves on a host: the
// folders of shims' sockets and the cgroup of its namespace, both empty then.
func keepHostClean(t *testing.T) func() {
	t.Helper()
	candidates := []string{"/run/containerd", "/run/containerd/s", "/run/containerd/fifo", "/run/containerd/runc", "/run/containerd/runc/default"}
	groups, err := filepath.Glob("/sys/fs/cgroup/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range append(groups, "/sys/fs/cgroup") {
		candidates = append(candidates, filepath.Join(g, "default"))
	}
	absent := slices.DeleteFunc(candidates, func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	})
	return func() {
		for _, path := range slices.Backward(absent) {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Logf("clearing up: %v", err)
			}
		}
	}
}
