//go:build linux

package faults

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tatami-platform/tatami/internal/control"
)

// verbPatience bounds one run of the program; the longest starts a real node.
const verbPatience = 2 * time.Minute

const pauseImage = "tatami.dev/pause:dev"

// cluster is one cluster of a test, driven through the program's verbs.
type cluster struct {
	name, dir, kubeconfig string
	// base is the folder of everything that the test makes; home and temp lie in
	// it, so that what the program leaves there is seen.
	base    string
	program string
	env     []string
	// attr and prelude make another machine of this one: another user, other
	// namespaces, and shell commands that run in them first.
	attr    *syscall.SysProcAttr
	prelude string
}

// newCluster chooses a name and folders of its own, and removes all of it when
// the test ends, whatever its result.
func newCluster(t *testing.T, short string) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	base, err := os.MkdirTemp("/tmp", "tt") //nolint:usetesting // sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{
		name: fmt.Sprintf("%s%d", short, os.Getpid()), base: base, dir: filepath.Join(base, "d"),
		kubeconfig: filepath.Join(base, "kubeconfig"), program: programPath(t),
	}
	home, temp := filepath.Join(base, "home"), filepath.Join(base, "tmp")
	for _, dir := range []string{home, temp} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c.env = append(os.Environ(), "HOME="+home, "TMPDIR="+temp, mark+"="+c.name, "KUBECONFIG=", "XDG_DATA_HOME=")
	t.Cleanup(func() { c.remove(t) })
	return c
}

// mark is a variable that every process of a cluster inherits.
const mark = "TATAMI_FAULTS"

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a real node, namespaces or mounts")
	}
}

func programPath(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(cmp.Or(os.Getenv("TATAMI_BIN"), "../../bin/tatami"))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("the program is missing, run make build: %v", err)
	}
	return path
}

// remove runs in a cleanup, so it goes on after each failure.
func (c *cluster) remove(t *testing.T) {
	t.Helper()
	if t.Failed() {
		c.showLogs(t)
	}
	if r := c.run("down", "--purge"); r.code != 0 {
		t.Errorf("clearing up: %s", r)
	}
	for _, pid := range c.serverPIDs() {
		t.Errorf("process %d is still there after down, killing it", pid)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err := os.RemoveAll(c.base); err != nil {
		t.Errorf("clearing up: %v", err)
	}
}

func (c *cluster) showLogs(t *testing.T) {
	t.Helper()
	for _, name := range []string{"crash.log", "cluster.log", "containerd.log"} {
		raw, err := os.ReadFile(filepath.Join(c.dir, "log", name))
		if err != nil || len(raw) == 0 {
			continue
		}
		const most = 3000
		if name != "crash.log" {
			raw = raw[max(0, len(raw)-most):]
		}
		t.Logf("%s:\n%s", name, raw[:min(len(raw), most)])
	}
}

// result is how one run of the program ended.
type result struct {
	args     []string
	code     int
	out, err string
}

func (r result) String() string {
	return fmt.Sprintf("tatami %s: exit code %d\n%s%s", strings.Join(r.args, " "), r.code, r.out, r.err)
}

// mustSay fails the test unless the run failed and its message has every part.
func (r result) mustSay(t *testing.T, parts ...string) {
	t.Helper()
	if r.code != 1 {
		t.Errorf("exit code %d, want 1\n%s", r.code, r)
	}
	for _, part := range parts {
		if !strings.Contains(r.err, part) {
			t.Errorf("the error does not say %q\n%s", part, r)
		}
	}
}

func (r result) must(t *testing.T) result {
	t.Helper()
	if r.code != 0 {
		t.Fatal(r)
	}
	return r
}

// run runs one verb to its end; it is safe in any goroutine.
func (c *cluster) run(verb string, args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), verbPatience)
	defer cancel()
	p := c.start(ctx, verb, args...)
	return p.wait()
}

// process is a verb that may still run.
type process struct {
	cmd      *exec.Cmd
	out, err bytes.Buffer
	started  error
}

func (c *cluster) start(ctx context.Context, verb string, args ...string) *process {
	all := append([]string{verb}, args...)
	all = append(all, "--name", c.name, "--data-dir", c.dir)
	if verb == "up" || verb == "down" {
		all = append(all, "--kubeconfig", c.kubeconfig)
	}
	p := &process{cmd: exec.CommandContext(ctx, c.program, all...)}
	if c.prelude != "" {
		// The program follows as $0 and its arguments as $@.
		shell := append([]string{"-ec", c.prelude + "\nexec \"$0\" \"$@\"", c.program}, all...)
		p.cmd = exec.CommandContext(ctx, "/bin/sh", shell...)
	}
	p.cmd.Env, p.cmd.Dir, p.cmd.SysProcAttr = c.env, c.base, c.attr
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.cmd.WaitDelay = 5 * time.Second
	p.started = p.cmd.Start()
	return p
}

func (p *process) wait() result {
	err := p.started
	if err == nil {
		err = p.cmd.Wait()
	}
	r := result{args: p.cmd.Args[1:], out: p.out.String(), err: p.err.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			// As a shell tells it.
			r.code = 128 + int(status.Signal())
		}
	case err != nil:
		r.code, r.err = -2, r.err+err.Error()
	}
	return r
}

// status asks the program; a cluster that does not run is a failure.
func (c *cluster) status(t *testing.T) control.Status {
	t.Helper()
	var s control.Status
	r := c.run("status", "-o", "json").must(t)
	if err := json.Unmarshal([]byte(r.out), &s); err != nil {
		t.Fatalf("%v\n%s", err, r)
	}
	return s
}

func (c *cluster) mustBeStopped(t *testing.T) {
	t.Helper()
	if r := c.run("status"); r.code != 1 || !strings.Contains(r.out, "is not running") || !strings.Contains(r.out, "tatami up") {
		t.Errorf("want a cluster that is not running, and how to start it\n%s", r)
	}
}

// waitReady waits for every node; wantNodes is how many there must be.
func (c *cluster) waitReady(t *testing.T, wantNodes int) {
	t.Helper()
	eventually(t, 90*time.Second, "cluster "+c.name+" is ready", func() error {
		if s := c.status(t); !s.Ready || len(s.Nodes) != wantNodes {
			return fmt.Errorf("ready %v, nodes %+v", s.Ready, s.Nodes)
		}
		return nil
	})
}

func (c *cluster) client() (*kubernetes.Clientset, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	cfg.Timeout = 10 * time.Second
	return kubernetes.NewForConfig(cfg)
}

func (c *cluster) mustClient(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	client, err := c.client()
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// serverPIDs are the server processes of the data folder; one, or none.
func (c *cluster) serverPIDs() []int {
	return pidsOf(func(args []string) bool {
		return len(args) == 3 && args[1] == "serve-cluster" && args[2] == c.dir
	})
}

func (c *cluster) killServer() {
	for _, pid := range c.serverPIDs() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// pidsOf finds processes by their command line.
func pidsOf(match func(args []string) bool) []int {
	var pids []int
	for _, pid := range allPIDs() {
		raw, err := os.ReadFile(procFile(pid, "cmdline"))
		if err == nil && match(strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func allPIDs() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

func eventually(t *testing.T, patience time.Duration, what string, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
	}
}

func pausePod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceDefault, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "pause", Image: pauseImage}}},
	}
}

// runPod creates a pod and waits until it runs. The first tries may come before
// its service account.
func runPod(t *testing.T, client kubernetes.Interface, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	eventually(t, 20*time.Second, "create pod "+pod.Name, func() error {
		_, err := client.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{})
		return err
	})
	return waitRunning(t, client, pod.Name)
}

func waitRunning(t *testing.T, client kubernetes.Interface, name string) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	eventually(t, 60*time.Second, "pod "+name+" runs", func() error {
		var err error
		if pod, err = client.CoreV1().Pods(metav1.NamespaceDefault).Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Running != nil && s.Ready {
				return nil
			}
		}
		return fmt.Errorf("%s, %+v", pod.Status.Phase, pod.Status.ContainerStatuses)
	})
	return pod
}
