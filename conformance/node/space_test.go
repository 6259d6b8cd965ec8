package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

const (
	// patience is for what takes seconds on an idle machine.
	patience = 90 * time.Second
	// longPatience is for kubelet's own periods of about a minute.
	longPatience = 150 * time.Second
	pollEvery    = 150 * time.Millisecond
	// settle is how long something must hold that must not change.
	settle = 3 * time.Second
)

// testCase is one behaviour, in a namespace of its own.
type testCase struct {
	name string
	run  func(*space)
}

// runCases runs the cases beside each other.
func runCases(t *testing.T, cases []testCase) {
	t.Helper()
	if shared.skip != "" {
		t.Skip(shared.skip)
	}
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newSpace(t, nil))
		})
	}
}

// space is a namespace for one case, and what the case does in it.
type space struct {
	*testing.T
	ctx    context.Context
	client *kubernetes.Clientset
	name   string
}

func newSpace(t *testing.T, labels map[string]string) *space {
	t.Helper()
	s := &space{T: t, ctx: t.Context(), client: shared.client}
	ns, err := s.client.CoreV1().Namespaces().Create(s.ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "node-", Labels: labels},
	}, metav1.CreateOptions{})
	s.must(err)
	s.name = ns.Name
	t.Cleanup(func() {
		// The test's own context has ended.
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if t.Failed() {
			s.explain(ctx)
		}
		_ = s.client.CoreV1().Namespaces().Delete(ctx, s.name, metav1.DeleteOptions{})
	})
	s.eventually("the default service account", func() error {
		_, err := s.client.CoreV1().ServiceAccounts(s.name).Get(s.ctx, "default", metav1.GetOptions{})
		return err
	})
	return s
}

// explain prints what a person would look at.
func (s *space) explain(ctx context.Context) {
	pods, _ := s.client.CoreV1().Pods(s.name).List(ctx, metav1.ListOptions{})
	var b strings.Builder
	for i := range pods.Items {
		p := &pods.Items[i]
		fmt.Fprintf(&b, "pod %s: %s %s %s\n", p.Name, p.Status.Phase, p.Status.Reason, p.Status.Message)
		for _, st := range containerStatuses(p) {
			fmt.Fprintf(&b, "  %s ready=%t restarts=%d state=%s last=%s\n", st.Name, st.Ready, st.RestartCount, st.State.String(), st.LastTerminationState.String())
			tail := int64(10)
			text, err := s.client.CoreV1().Pods(s.name).GetLogs(p.Name, &corev1.PodLogOptions{Container: st.Name, TailLines: &tail}).DoRaw(ctx)
			if err != nil {
				text = []byte(err.Error())
			}
			fmt.Fprintf(&b, "  log: %s\n", bytes.TrimSpace(text))
		}
	}
	events, _ := s.client.CoreV1().Events(s.name).List(ctx, metav1.ListOptions{})
	for i := range events.Items {
		e := &events.Items[i]
		fmt.Fprintf(&b, "event %s %s: %s (%d)\n", e.InvolvedObject.Name, e.Reason, e.Message, e.Count)
	}
	s.Log("namespace " + s.name + "\n" + b.String())
}

func containerStatuses(p *corev1.Pod) []corev1.ContainerStatus {
	all := append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...)
	all = append(all, p.Status.ContainerStatuses...)
	return append(all, p.Status.EphemeralContainerStatuses...)
}

func (s *space) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// eventually repeats f until it returns nil.
func (s *space) eventually(what string, f func() error) {
	s.Helper()
	s.within(patience, what, f)
}

func (s *space) within(limit time.Duration, what string, f func() error) {
	s.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		time.Sleep(pollEvery)
	}
}

// always fails when f fails within the time for settling.
func (s *space) always(what string, f func() error) {
	s.Helper()
	for end := time.Now().Add(settle); time.Now().Before(end); time.Sleep(pollEvery) {
		if err := f(); err != nil {
			s.Fatalf("%s: %v", what, err)
		}
	}
}

// equal compares what was got with what was wanted.
func (s *space) equal(what string, got, want any) {
	s.Helper()
	if got != want {
		s.Errorf("%s = %v, want %v", what, got, want)
	}
}

func (s *space) contains(what, text, part string) {
	s.Helper()
	if !strings.Contains(text, part) {
		s.Errorf("%s = %q, want it to contain %q", what, text, part)
	}
}

// start creates the pod.
func (s *space) start(p *corev1.Pod) *corev1.Pod {
	s.Helper()
	created, err := s.client.CoreV1().Pods(s.name).Create(s.ctx, p, metav1.CreateOptions{})
	s.must(err)
	return created
}

// startReady creates the pod and waits until it is ready.
func (s *space) startReady(p *corev1.Pod) *corev1.Pod {
	s.Helper()
	return s.waitReady(s.start(p).Name)
}

// startToEnd creates the pod and waits until it has succeeded or failed.
func (s *space) startToEnd(p *corev1.Pod) *corev1.Pod {
	s.Helper()
	return s.waitPod(s.start(p).Name, "end", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
}

func (s *space) pod(name string) *corev1.Pod {
	s.Helper()
	p, err := s.client.CoreV1().Pods(s.name).Get(s.ctx, name, metav1.GetOptions{})
	s.must(err)
	return p
}

func (s *space) waitReady(name string) *corev1.Pod {
	s.Helper()
	p := s.waitPod(name, "become ready", ready)
	if c := p.Spec.Containers[0]; c.Args[0] == "serve" && len(c.Env) == 0 {
		s.tell(name, "hostname") // so that it listens
	}
	return p
}

func (s *space) waitPod(name, what string, done func(*corev1.Pod) bool) *corev1.Pod {
	s.Helper()
	return s.waitPodFor(patience, name, what, done)
}

func (s *space) waitPodFor(limit time.Duration, name, what string, done func(*corev1.Pod) bool) *corev1.Pod {
	s.Helper()
	var p *corev1.Pod
	s.within(limit, "pod "+name+" should "+what, func() (err error) {
		p, err = s.client.CoreV1().Pods(s.name).Get(s.ctx, name, metav1.GetOptions{})
		if err == nil && !done(p) {
			err = fmt.Errorf("it is %s %s", p.Status.Phase, p.Status.Reason)
		}
		return err
	})
	return p
}

func (s *space) waitGone(name string) {
	s.Helper()
	s.eventually("pod "+name+" should go", func() error {
		_, err := s.client.CoreV1().Pods(s.name).Get(s.ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err == nil:
			return errors.New("it is still there")
		}
		return err
	})
}

func (s *space) remove(name string) {
	s.Helper()
	s.must(s.client.CoreV1().Pods(s.name).Delete(s.ctx, name, metav1.DeleteOptions{}))
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func restarts(p *corev1.Pod) int32 {
	var sum int32
	for _, st := range containerStatuses(p) {
		sum += st.RestartCount
	}
	return sum
}

// status finds the status of a container, of whatever kind.
func status(p *corev1.Pod, container string) corev1.ContainerStatus {
	for _, st := range containerStatuses(p) {
		if st.Name == container {
			return st
		}
	}
	return corev1.ContainerStatus{}
}

// ended is the terminated state of a container, empty while it runs.
func ended(p *corev1.Pod, container string) corev1.ContainerStateTerminated {
	if end := status(p, container).State.Terminated; end != nil {
		return *end
	}
	return corev1.ContainerStateTerminated{}
}

// ask asks a serving probe, through the API server's proxy.
func (s *space) ask(pod, path string, query ...string) (string, error) {
	r := s.client.CoreV1().RESTClient().Get().Namespace(s.name).Resource("pods").Name(pod + ":8080").SubResource("proxy").Suffix(path)
	for i := 0; i+1 < len(query); i += 2 {
		r = r.Param(query[i], query[i+1])
	}
	raw, err := r.DoRaw(s.ctx)
	if err != nil && len(raw) > 0 {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(raw))
	}
	return string(raw), err
}

// listenPatience is for programs that run and do not listen yet: without a
// readiness probe a pod is ready when its programs have been started.
const listenPatience = 20 * time.Second

// tell is ask for what must work.
func (s *space) tell(pod, path string, query ...string) string {
	s.Helper()
	text, err := s.ask(pod, path, query...)
	for end := time.Now().Add(listenPatience); err != nil && time.Now().Before(end); time.Sleep(pollEvery) {
		if !strings.Contains(err.Error(), "connection refused") {
			break
		}
		text, err = s.ask(pod, path, query...)
	}
	if err != nil {
		s.Fatalf("asking %s for %s %v: %v", pod, path, query, err)
	}
	return text
}

// fetchFrom lets a pod fetch a URL.
func (s *space) fetchFrom(pod, target string) (string, error) {
	return s.ask(pod, "fetch", "url", target)
}

func (s *space) logs(pod string, o corev1.PodLogOptions) string {
	s.Helper()
	raw, err := s.client.CoreV1().Pods(s.name).GetLogs(pod, &o).DoRaw(s.ctx)
	s.must(err)
	return string(raw)
}

// streams are the ends of an exec or attach session.
type streams struct{ in, out, err string }

// execURL is where a session of the kind (exec or attach) begins.
func (s *space) execURL(kind, pod string, options any) *url.URL {
	r := s.client.CoreV1().RESTClient().Post().Namespace(s.name).Resource("pods").Name(pod).SubResource(kind)
	switch o := options.(type) {
	case *corev1.PodExecOptions:
		r = r.VersionedParams(o, scheme.ParameterCodec)
	case *corev1.PodAttachOptions:
		r = r.VersionedParams(o, scheme.ParameterCodec)
	}
	return r.URL()
}

// executor makes an executor by protocol: SPDY or WebSocket.
func (s *space) executor(protocol string, u *url.URL) remotecommand.Executor {
	s.Helper()
	var e remotecommand.Executor
	var err error
	if protocol == "SPDY" {
		e, err = remotecommand.NewSPDYExecutor(rest.CopyConfig(shared.config), "POST", u)
	} else {
		e, err = remotecommand.NewWebSocketExecutor(rest.CopyConfig(shared.config), "GET", u.String())
	}
	s.must(err)
	return e
}

// stream runs a session to its end.
func (s *space) stream(e remotecommand.Executor, in string) (streams, error) {
	var out, errs bytes.Buffer
	o := remotecommand.StreamOptions{Stdout: &out, Stderr: &errs}
	if in != "" {
		o.Stdin = strings.NewReader(in)
	}
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	err := e.StreamWithContext(ctx, o)
	return streams{in: in, out: out.String(), err: errs.String()}, err
}

// exec runs a command of the probe in a container.
func (s *space) exec(pod, container string, args ...string) (streams, error) {
	s.Helper()
	u := s.execURL("exec", pod, &corev1.PodExecOptions{
		Container: container, Command: append([]string{"/probe"}, args...), Stdout: true, Stderr: true,
	})
	return s.stream(s.executor("WebSocket", u), "")
}
