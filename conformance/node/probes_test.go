package node

import (
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probe asks each second, and one failure is enough.
func probe(h corev1.ProbeHandler) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: h, PeriodSeconds: 1, FailureThreshold: 1, TimeoutSeconds: 5}
}

func httpProbe() *corev1.Probe { return probe(probeHandlers()["HTTP"]) }

// probeHandlers are the four kinds; all see the same health of the program.
func probeHandlers() map[string]corev1.ProbeHandler {
	return map[string]corev1.ProbeHandler{
		"HTTP": {HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}},
		"TCP":  {TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8082)}},
		"gRPC": {GRPC: &corev1.GRPCAction{Port: 9090}},
		"exec": {Exec: &corev1.ExecAction{Command: []string{"/probe", "fetch", "http://127.0.0.1:8080/healthz"}}},
	}
}

func TestProbes(t *testing.T) {
	var cases []testCase
	for kind, handler := range probeHandlers() {
		cases = append(cases,
			testCase{"liveness by " + kind, func(s *space) { liveness(s, handler) }},
			testCase{"readiness by " + kind, func(s *space) { readiness(s, handler) }})
	}
	runCases(t, append(cases,
		testCase{"startup holds the others back", startupHolds},
		testCase{"startup that never succeeds", startupFails},
		testCase{"startup by gRPC and exec", startupOthers}))
}

// Upstream: "Probing container should *not* be restarted with a ... liveness
// probe", "should be restarted with a ... liveness probe" for /healthz, tcp, exec
// and GRPC.
func liveness(s *space, h corev1.ProbeHandler) {
	s.startReady(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) { c.LivenessProbe = probe(h) }))
	s.always("a healthy program is left alone", func() error {
		if n := restarts(s.pod("web")); n != 0 {
			return fmt.Errorf("%d restarts", n)
		}
		return nil
	})
	s.tell("web", "fail")
	p := s.waitPod("web", "be restarted", func(p *corev1.Pod) bool { return restarts(p) == 1 && ready(p) })
	if last := status(p, "main").LastTerminationState.Terminated; last == nil {
		s.Error("the last state is not kept")
	}
	s.equal("health after the restart", s.tell("web", "healthz"), "ok")
}

// Upstream: "Probing container with readiness probe that fails should never be
// ready and never restart", "should mark readiness on pods to false ...".
func readiness(s *space, h corev1.ProbeHandler) {
	s.startReady(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) { c.ReadinessProbe = probe(h) }))
	s.tell("web", "fail")
	s.waitPod("web", "become unready", func(p *corev1.Pod) bool { return !ready(p) })
	s.always("it stays so and is not restarted", func() error {
		p := s.pod("web")
		if ready(p) || restarts(p) != 0 {
			return fmt.Errorf("ready %t, %d restarts", ready(p), restarts(p))
		}
		return nil
	})
	s.tell("web", "heal")
	s.waitReady("web")
}

// Upstream: "Probing container should *not* be restarted by liveness probe
// because startup probe delays it". That readiness follows at once is left out:
// a kubelet younger than the probe's period spreads its probes at random.
func startupHolds(s *space) {
	s.start(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) {
		c.Env = env("START_DELAY", "6")
		c.StartupProbe = httpProbe()
		c.StartupProbe.FailureThreshold = 60
		c.LivenessProbe, c.ReadinessProbe = httpProbe(), httpProbe()
	}))
	s.waitPod("web", "run", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
	if st := status(s.pod("web"), "main"); st.Started == nil || *st.Started {
		s.Error("it counts as started before the startup probe succeeded")
	}
	p := s.waitReady("web")
	s.equal("restarts", restarts(p), int32(0))
	if st := status(p, "main"); st.Started == nil || !*st.Started {
		s.Error("it does not count as started")
	}
}

// Upstream: "Probing container should be restarted startup probe fails".
func startupFails(s *space) {
	s.start(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) {
		c.Env = env("START_DELAY", "600")
		c.StartupProbe = httpProbe()
		c.StartupProbe.FailureThreshold = 2
	}))
	p := s.waitPod("web", "be restarted", func(p *corev1.Pod) bool { return restarts(p) > 0 })
	s.equal("ready", ready(p), false)
}

// The two other kinds that upstream tests for startup.
func startupOthers(s *space) {
	for name, h := range map[string]corev1.ProbeHandler{"grpc": probeHandlers()["gRPC"], "exec": probeHandlers()["exec"]} {
		s.start(with(podOf(name), func(_ *corev1.Pod, c *corev1.Container) {
			c.StartupProbe = probe(h)
			c.StartupProbe.FailureThreshold = 30
		}))
	}
	s.eventually("both should start", func() error {
		if !ready(s.pod("grpc")) || !ready(s.pod("exec")) {
			return errors.New("not ready")
		}
		return nil
	})
}
