package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/node"
	"github.com/tatami-platform/tatami/internal/control"
)

func TestFolder(t *testing.T) {
	p := New(Host{DataHome: "/home"})
	for _, tt := range []struct {
		name      string
		p         *Platform
		ref       control.Ref
		ephemeral bool
		want      string
	}{
		{"lasting", p, control.Ref{Name: "a"}, false, "/home/clusters/a"},
		{"ephemeral", p, control.Ref{Name: "a"}, true, "/home/ephemeral/a"},
		{"named", p, control.Ref{Name: "a", DataDir: "/d"}, true, "/d"},
		{"named, no home", New(Host{}), control.Ref{Name: "a", DataDir: "/d/../e"}, false, "/e"},
		{"no home", New(Host{}), control.Ref{Name: "a"}, false, ""},
	} {
		got, err := tt.p.folder(tt.ref, tt.ephemeral)
		if got != tt.want || (err != nil) != (tt.want == "") || err != nil && control.NextStep(err) == "" {
			t.Errorf("%s: %q (%v), want %q", tt.name, got, err, tt.want)
		}
	}
}

// TestFind: the instance that runs, whichever of its folders it is in.
func TestFind(t *testing.T) {
	home := t.TempDir()
	p, ref := New(Host{DataHome: home}), control.Ref{Name: "a"}
	lasting, ephemeral := filepath.Join(home, "clusters", "a"), filepath.Join(home, "ephemeral", "a")
	check := func(want string, wantAlive bool) {
		t.Helper()
		dir, alive, err := p.find(ref)
		if dir != want || alive != wantAlive || err != nil {
			t.Errorf("found %q, alive %t (%v); want %q, %t", dir, alive, err, want, wantAlive)
		}
	}
	check(lasting, false)
	for _, dir := range []string{lasting, ephemeral} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		check(lasting, false)
		lock, err := instance.Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		check(dir, true)
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
		check(lasting, false)
	}
}

func TestNothingRuns(t *testing.T) {
	p, ref := New(Host{DataHome: t.TempDir()}), control.Ref{Name: "a"}
	s, err := p.Status(t.Context(), ref)
	if !errors.Is(err, control.ErrNotRunning) || s.State != control.StateStopped || s.Context != "tatami-a" || s.DataDir != "" || s.Nodes == nil || s.Pods == nil || s.URLs == nil {
		t.Errorf("status %+v, %v", s, err)
	}
	if err := p.Down(t.Context(), control.DownRequest{Cluster: ref}, silent{}); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("down: %v", err)
	}
	if _, err := p.LoadImages(t.Context(), ref, []string{"x.tar"}); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("load: %v", err)
	}
}

func TestPurge(t *testing.T) {
	ours, foreign := t.TempDir(), t.TempDir()
	write(t, filepath.Join(ours, instance.MarkerFile), "{}")
	write(t, filepath.Join(foreign, "thesis.tex"), "x")
	if err := purge(ours); err != nil || exists(ours) {
		t.Errorf("ours: %v", err)
	}
	if err := purge(ours); err != nil {
		t.Errorf("what is gone: %v", err)
	}
	if err := purge(foreign); err == nil || control.NextStep(err) == "" || !exists(filepath.Join(foreign, "thesis.tex")) {
		t.Errorf("foreign: %v", err)
	}
}

func portOf(t *testing.T, f *os.File) int {
	t.Helper()
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_ = f.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestPortChoice(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	_, _, err = listen(t.Context(), port, t.TempDir())
	if want := fmt.Sprintf("port %d is taken", port); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(control.NextStep(err), "--port") {
		t.Errorf("a taken port: %v", err)
	}

	// The last port is taken: another one will do.
	c := instance.Config{Name: "a", DataDir: t.TempDir(), Port: port}
	if err := instance.WriteState(instance.State{Config: c}); err != nil {
		t.Fatal(err)
	}
	f, got, err := listen(t.Context(), 0, c.DataDir)
	if err != nil || got == port || got == 0 || portOf(t, f) != got {
		t.Errorf("instead of a taken one: port %d (%v)", got, err)
	}

	// It is free again: the same as last time.
	_ = taken.Close()
	for _, asked := range []int{0, port} {
		f, got, err = listen(t.Context(), asked, c.DataDir)
		if err != nil || got != port || portOf(t, f) != port {
			t.Errorf("asked for %d: port %d (%v), want %d", asked, got, err, port)
		}
	}
}

func TestSumMetric(t *testing.T) {
	const m = "orders_total"
	for _, tt := range []struct {
		name, text string
		want       int64
		bad        bool
	}{
		{"plain", "# HELP orders_total x\n# TYPE orders_total counter\norders_total 12\n", 12, false},
		{"labels", "orders_total{worker=\"a\"} 3\norders_total{worker=\"b\"} 4\n", 7, false},
		{"labels and space", "orders_total {worker=\"a\"}  3 \n", 3, false},
		{"a brace in a label", "orders_total{path=\"/{id}\"} 5\n", 5, false},
		{"a time after it", "orders_total{a=\"b\"} 5 1700000000000\norders_total 6 1700000000000\n", 11, false},
		{"large", "orders_total 1.2e+06\n", 1_200_000, false},
		{"zero", "orders_total 0\n", 0, false},
		{"lines of Windows", "orders_total 2\r\n", 2, false},
		{"others with its beginning", "orders_total_created 9\norders_totals 9\norders 9\norders_total 1\n", 1, false},
		{"none", "up 1\n", 0, true},
		{"empty", "", 0, true},
		{"only its description", "# TYPE orders_total counter\n", 0, true},
		{"no value", "orders_total{a=\"b\"}\n", 0, true},
		{"not a number", "orders_total NaN\n", 0, true},
		{"infinite", "orders_total +Inf\n", 0, true},
		{"word", "orders_total many\n", 0, true},
	} {
		got, err := sumMetric([]byte(tt.text), m)
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%s: %d (%v), want %d, error %t", tt.name, got, err, tt.want, tt.bad)
		}
	}
}

// FuzzSumMetric: whatever precedes or follows them, two samples are found, or
// the text is refused.
func FuzzSumMetric(f *testing.F) {
	f.Add("", uint16(1), "a", uint16(2))
	f.Add("x 1\n", uint16(0), "}", uint16(0))
	f.Fuzz(func(t *testing.T, before string, a uint16, label string, b uint16) {
		_, _ = sumMetric([]byte(before), "m")
		if strings.ContainsAny(label, "\r\n") || strings.Contains(before, "m") || len(before)+len(label) > 60_000 {
			return
		}
		text := fmt.Sprintf("%s\nm{l=\"x%sy\"} %d\nm %d\n", before, label, a, b)
		got, err := sumMetric([]byte(text), "m")
		if err != nil || got != int64(a)+int64(b) {
			t.Errorf("%q: %d (%v), want %d", text, got, err, int64(a)+int64(b))
		}
	})
}

func TestLastWords(t *testing.T) {
	for _, tt := range []struct{ name, log, want string }{
		{"panic", "some line\npanic: nil map\n\ngoroutine 1 [running]:\npanic: later\n", "panic: nil map"},
		{"out of memory", "fatal error: runtime: out of memory\n\nruntime stack:\n", "fatal error: runtime: out of memory"},
		{"an error of ours", "error: configuration of the server: x\n", "error: configuration of the server: x"},
		{"nothing said", "goroutine 1 [running]:\n", ""},
		{"empty", "", ""},
	} {
		path := filepath.Join(t.TempDir(), "crash.log")
		write(t, path, tt.log)
		if got := lastWords(path); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := lastWords(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("no log: %q", got)
	}
}

func TestWhyEnded(t *testing.T) {
	p := New(Host{})
	c := instance.Config{Name: "a", DataDir: t.TempDir()}
	check := func(want string) {
		t.Helper()
		err := p.whyEnded(c)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(control.NextStep(err), c.Path("log")) {
			t.Errorf("error %v, advice %q; want %q", err, control.NextStep(err), want)
		}
	}
	check("it was killed")
	write(t, c.Path("log", "crash.log"), "panic: boom\n")
	check("panic: boom")
	if err := instance.WriteState(instance.State{Config: c, Error: "store: bad"}); err != nil {
		t.Fatal(err)
	}
	check("store: bad")
}

// TestWaitProblem: time that ran out is explained, an interruption is not.
func TestWaitProblem(t *testing.T) {
	st := instance.State{Config: instance.Config{DataDir: "/d"}, Step: "waiting for the node"}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	<-ctx.Done()
	if err := waitProblem(ctx, st); !strings.Contains(err.Error(), "waiting for the node") || !strings.Contains(control.NextStep(err), "/d/log") {
		t.Errorf("time ran out: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := waitProblem(ctx, st); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestStatusNode(t *testing.T) {
	ready := func(status corev1.ConditionStatus, message string) []corev1.NodeCondition {
		return []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Message: "enough"},
			{Type: corev1.NodeReady, Status: status, Message: message},
		}
	}
	for _, tt := range []struct {
		name       string
		kind       string
		conditions []corev1.NodeCondition
		want       control.Node
	}{
		{"ready", "real", ready(corev1.ConditionTrue, "kubelet is posting ready status"), control.Node{Name: "n", Kind: control.KindReal, Ready: true}},
		{"not ready", "real", ready(corev1.ConditionFalse, "no network"), control.Node{Name: "n", Kind: control.KindReal, Reason: "no network"}},
		{"lost", "", ready(corev1.ConditionUnknown, "stopped posting"), control.Node{Name: "n", Kind: control.KindSimulated, Reason: "stopped posting"}},
		{"new", "real", nil, control.Node{Name: "n", Kind: control.KindReal, Reason: "kubelet has not reported yet"}},
	} {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{node.KindLabel: tt.kind}}}
		n.Status.Conditions = tt.conditions
		if got := statusNode(n); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestCheckCertificates(t *testing.T) {
	c, now := made(t, "a"), time.Now()
	_, err := checkCertificates(c, now)
	if err != nil {
		t.Error(err)
	}
	if text, err := checkCertificates(c, now.Add(680*24*time.Hour)); err == nil || !strings.Contains(err.Error(), "ends on") {
		t.Errorf("50 days before the end: %q, %v", text, err)
	}
}

func TestHostChecks(t *testing.T) {
	dir := t.TempDir()
	p := New(Host{DataHome: dir, Program: filepath.Join(dir, "bin", "tatami")})
	results := map[string]error{}
	for _, c := range p.Checks(control.Ref{Name: "a"}, control.ScopePre) {
		if c.Hint == "" {
			t.Errorf("%s has no hint", c.Name)
		}
		_, results[c.Name] = c.Run(t.Context())
	}
	if err := results["the data folder can be used"]; err != nil {
		t.Errorf("data folder: %v", err)
	}
	if err := results["helper programs lie beside tatami"]; err == nil || !strings.Contains(err.Error(), "tatami-pause") {
		t.Errorf("helper programs: %v", err)
	}
	if err := results["a real node can run here"]; err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("real node as an ordinary user: %v", err)
	}
	for _, name := range []string{"tatami-pause", "shop"} {
		write(t, filepath.Join(dir, "bin", name), "x")
	}
	if _, err := p.checkHelpers(); err != nil {
		t.Errorf("with helpers: %v", err)
	}
	all := p.Checks(control.Ref{Name: "a"}, control.ScopeAll)
	report := control.RunChecks(t.Context(), all, 0, time.Second, nil)
	if report.Healthy {
		t.Error("healthy without a cluster")
	}
}

func TestFirstLine(t *testing.T) {
	err := fmt.Errorf("%w", errors.Join(errors.New("runc is not installed"), errors.New("no CNI")))
	if got := firstLine(err); got != "runc is not installed, no CNI" {
		t.Errorf("%q", got)
	}
}
