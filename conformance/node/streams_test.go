package node

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // what client-go still speaks
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

func TestStreams(t *testing.T) {
	cases := []testCase{
		{"log options", logOptions},
		{"previous log", previousLog},
		{"following a log", followLog},
	}
	for _, protocol := range []string{"SPDY", "WebSocket"} {
		cases = append(cases,
			testCase{"exec over " + protocol, func(s *space) { execute(s, protocol) }},
			testCase{"attach over " + protocol, func(s *space) { attach(s, protocol) }},
			testCase{"port-forward over " + protocol, func(s *space) { forward(s, protocol) }})
	}
	runCases(t, cases)
}

// Upstream: "Kubectl logs should be able to retrieve and filter logs", "Kubelet
// when scheduling a busybox command in a pod should print the output to logs".
func logOptions(s *space) {
	s.startToEnd(once("lines", "count", "5"))
	s.equal("log", s.logs("lines", corev1.PodLogOptions{}), "line 1\nline 2\nline 3\nline 4\nline 5\n")
	s.equal("tail", s.logs("lines", corev1.PodLogOptions{TailLines: new(int64(2))}), "line 4\nline 5\n")
	s.equal("limit", s.logs("lines", corev1.PodLogOptions{LimitBytes: new(int64(6))}), "line 1")
	s.equal("future", s.logs("lines", corev1.PodLogOptions{SinceSeconds: new(int64(3600)), TailLines: new(int64(1))}), "line 5\n")
	stamp, _, _ := strings.Cut(s.logs("lines", corev1.PodLogOptions{Timestamps: true}), " ")
	if at, err := time.Parse(time.RFC3339Nano, stamp); err != nil || time.Since(at) > time.Hour {
		s.Errorf("time stamp %q: %v", stamp, err)
	}
	s.startToEnd(once("both", "say", "to out", "to err", "0"))
	all := s.logs("both", corev1.PodLogOptions{})
	s.contains("log of both streams", all, "to out\n")
	s.contains("log of both streams", all, "to err\n")
}

// Upstream: "Kubectl logs ... --previous".
func previousLog(s *space) {
	s.startReady(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) { c.Env = env("NAME", "web") }))
	s.tell("web", "exit", "code", "5")
	p := s.waitPod("web", "be restarted", func(p *corev1.Pod) bool { return restarts(p) == 1 && ready(p) })
	s.equal("exit code of the last run", status(p, "main").LastTerminationState.Terminated.ExitCode, int32(5))
	s.equal("previous log", s.logs("web", corev1.PodLogOptions{Previous: true}), "serving\n")
}

// Upstream: "Pods should support retrieving logs from the container over
// websockets", here by HTTP, as it grows.
func followLog(s *space) {
	s.start(once("lines", "count", "8", "400"))
	s.waitPod("lines", "run", func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodPending })
	stream, err := s.client.CoreV1().Pods(s.name).GetLogs("lines", &corev1.PodLogOptions{Follow: true}).Stream(s.ctx)
	s.must(err)
	defer stream.Close()
	seen := 0
	for lines := bufio.NewScanner(stream); lines.Scan(); seen++ {
		s.equal("line", lines.Text(), fmt.Sprintf("line %d", seen+1))
	}
	s.equal("lines", seen, 8)
}

// Upstream: "Pods should support remote command execution over websockets",
// "Kubectl exec ... should return command exit codes", with stdin.
func execute(s *space, protocol string) {
	s.startReady(podOf("web"))
	run := func(in string, args ...string) (streams, error) {
		u := s.execURL("exec", "web", &corev1.PodExecOptions{
			Container: "main", Command: append([]string{"/probe"}, args...), Stdin: in != "", Stdout: true, Stderr: true,
		})
		return s.stream(s.executor(protocol, u), in)
	}
	got, err := run("", "say", "to out", "to err", "0")
	s.must(err)
	s.equal("stdout", got.out, "to out\n")
	s.equal("stderr", got.err, "to err\n")
	_, err = run("", "say", "a", "b", "42")
	var code exec.CodeExitError
	if !errors.As(err, &code) || code.Code != 42 {
		s.Errorf("error = %v, want exit code 42", err)
	}
	got, err = run("hello\nyou\n", "upper")
	s.must(err)
	s.equal("stdout of what reads stdin", got.out, "HELLO\nYOU\n")
	u := s.execURL("exec", "web", &corev1.PodExecOptions{Container: "main", Command: []string{"/missing"}, Stdout: true, Stderr: true})
	if _, err := s.stream(s.executor(protocol, u), ""); err == nil {
		s.Error("a missing program could be executed")
	}
}

// Upstream: "Kubectl run ... --attach" with stdin.
func attach(s *space, protocol string) {
	s.startReady(with(podOf("echo", "upper"), func(p *corev1.Pod, c *corev1.Container) {
		c.Stdin, c.StdinOnce = true, true
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
	}))
	u := s.execURL("attach", "echo", &corev1.PodAttachOptions{Container: "main", Stdin: true, Stdout: true, Stderr: true})
	got, err := s.stream(s.executor(protocol, u), "hello\n")
	s.must(err)
	s.equal("stdout", got.out, "HELLO\n")
	s.waitPod("echo", "end with its stdin", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
}

// Upstream: "Kubectl Port forwarding ... should support a client that connects,
// sends data, and disconnects".
func forward(s *space, protocol string) {
	s.startReady(podOf("web"))
	u := s.execURL("portforward", "web", nil)
	var dialer httpstream.Dialer
	var err error
	if protocol == "SPDY" {
		transport, upgrader, e := spdy.RoundTripperFor(shared.config)
		s.must(e)
		dialer = spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", u)
	} else {
		dialer, err = portforward.NewSPDYOverWebsocketDialer(u, shared.config)
		s.must(err)
	}
	stop, isReady := make(chan struct{}), make(chan struct{})
	var messages bytes.Buffer
	fw, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:8080"}, stop, isReady, io.Discard, &messages)
	s.must(err)
	done := make(chan error, 1)
	go func() { done <- fw.ForwardPorts() }()
	select {
	case <-isReady:
	case err := <-done:
		s.Fatalf("forwarding ended: %v", err)
	}
	ports, err := fw.GetPorts()
	s.must(err)
	for range 3 {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/hostname", ports[0].Local))
		s.must(err)
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		s.must(err)
		s.equal("answer", string(text), "web")
	}
	close(stop)
	s.must(<-done)
}
