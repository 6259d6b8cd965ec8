package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestLifecycle(t *testing.T) {
	runCases(t, []testCase{
		{"restart policy Never", restartNever},
		{"restart policy OnFailure", restartOnFailure},
		{"restart policy Always and back-off", restartAlways},
		{"termination message", terminationMessage},
		{"init containers in order", initOrder},
		{"init container that fails", initFails},
		{"init container that is tried again", initRetries},
		{"native sidecar around a program that ends", sidecar},
		{"native sidecar ends after the main program", sidecarEndsLast},
		{"hooks", hooks},
		{"SIGTERM is heeded", gracefulTermination},
		{"SIGKILL after the grace period", killedAfterGrace},
		{"deletion without grace", deletedAtOnce},
		{"active deadline", activeDeadline},
		{"ephemeral container", ephemeralContainer},
	})
}

// Upstream: "Container Runtime ... when starting a container that exits should
// run with the expected status" for each restart policy.
func restartNever(s *space) {
	p := s.startToEnd(once("fails", "exit", "3"))
	s.equal("phase", p.Status.Phase, corev1.PodFailed)
	s.equal("exit code", ended(p, "main").ExitCode, int32(3))
	s.equal("reason", ended(p, "main").Reason, "Error")
	s.equal("restarts", restarts(p), int32(0))
	p = s.startToEnd(once("succeeds", "exit", "0"))
	s.equal("phase", p.Status.Phase, corev1.PodSucceeded)
	s.equal("reason", ended(p, "main").Reason, "Completed")
}

// As above: who fails is started again, who succeeds is not.
func restartOnFailure(s *space) {
	p := podOf("job", "exit", "1")
	p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	s.start(p)
	s.waitPod("job", "be restarted", func(p *corev1.Pod) bool { return restarts(p) > 0 })
	done := podOf("done", "exit", "0")
	done.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	s.equal("phase", s.startToEnd(done).Status.Phase, corev1.PodSucceeded)
}

// As above, and "Pods should have their container restart back-off": after the
// first, restarts wait for ten seconds and more.
func restartAlways(s *space) {
	s.start(podOf("loop", "sleep", "3"))
	// By what was done, not by the reason CrashLoopBackOff: kubelet shows that only
	// when it looks at the pod again while it waits.
	p := s.waitPod("loop", "be restarted twice", func(p *corev1.Pod) bool {
		st := status(p, "main")
		return st.RestartCount >= 2 && st.LastTerminationState.Terminated != nil && st.State.Waiting == nil
	})
	started := ended(p, "main").StartedAt
	if running := status(p, "main").State.Running; running != nil {
		started = running.StartedAt
	}
	if gap := started.Sub(status(p, "main").LastTerminationState.Terminated.FinishedAt.Time); gap < 8*time.Second {
		s.Errorf("the restart came after %s, want at least about 10 s", gap)
	}
}

// Upstream: "Container Runtime blackbox test on terminated container should
// report termination message ...".
func terminationMessage(s *space) {
	for _, tt := range []struct {
		name, path, want string
		policy           corev1.TerminationMessagePolicy
		args             []string
	}{
		{"file", "", "done", corev1.TerminationMessageReadFile, []string{"exit", "0", "/dev/termination-log", "done"}},
		{"ownpath", "/dev/own-log", "own", corev1.TerminationMessageReadFile, []string{"exit", "0", "/dev/own-log", "own"}},
		{"fromlog", "", "out\nerr\n", corev1.TerminationMessageFallbackToLogsOnError, []string{"say", "out", "err", "1"}},
		{"success", "", "", corev1.TerminationMessageFallbackToLogsOnError, []string{"say", "out", "err", "0"}},
	} {
		p := with(once(tt.name, tt.args...), func(p *corev1.Pod, c *corev1.Container) {
			c.TerminationMessagePath, c.TerminationMessagePolicy = tt.path, tt.policy
			p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(0))}
		})
		got := ended(s.startToEnd(p), "main").Message
		if tt.name == "fromlog" { // the streams may be mixed either way
			s.contains("message "+tt.name, got, "out")
			s.contains("message "+tt.name, got, "err")
			continue
		}
		s.equal("message "+tt.name, got, tt.want)
	}
}

// initPod runs init containers before a main one that shows the file in which
// each added a line.
func initPod(name string, inits ...corev1.Container) *corev1.Pod {
	p := mount(once(name, "cat", "/data/log"), "data", "/data", emptyDir("", ""))
	for i := range inits {
		inits[i].VolumeMounts = p.Spec.Containers[0].VolumeMounts
	}
	p.Spec.InitContainers = inits
	return p
}

// Upstream: "InitContainer should invoke init containers on a RestartNever pod".
func initOrder(s *space) {
	p := s.startToEnd(initPod("ordered",
		container("first", "append", "/data/log", "first"),
		container("second", "append", "/data/log", "second")))
	s.equal("phase", p.Status.Phase, corev1.PodSucceeded)
	s.equal("order", s.logs("ordered", corev1.PodLogOptions{Container: "main"}), "first\nsecond\n")
}

// Upstream: "InitContainer should not start app containers and fail the pod if
// init containers fail on a RestartNever pod".
func initFails(s *space) {
	p := s.startToEnd(initPod("fails", container("first", "exit", "4"), container("second", "exit", "0")))
	s.equal("phase", p.Status.Phase, corev1.PodFailed)
	s.equal("exit code", ended(p, "first").ExitCode, int32(4))
	for _, name := range []string{"second", "main"} {
		if st := status(p, name); st.State.Waiting == nil {
			s.Errorf("%s was started: %v", name, st.State)
		}
	}
}

// Upstream: "InitContainer should not start app containers if init containers
// fail on a RestartAlways pod".
func initRetries(s *space) {
	p := initPod("retries", container("first", "exit", "1"))
	p.Spec.RestartPolicy = corev1.RestartPolicyAlways
	s.start(p)
	got := s.waitPod("retries", "try again", func(p *corev1.Pod) bool { return restarts(p) >= 2 })
	s.equal("phase", got.Status.Phase, corev1.PodPending)
	if st := status(got, "main"); st.State.Waiting == nil {
		s.Errorf("main was started: %v", st.State)
	}
}

func sidecarContainer(name string) corev1.Container {
	c := container(name)
	c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	c.StartupProbe = httpProbe()
	c.StartupProbe.FailureThreshold = 60
	return c
}

// Upstream (node suite): "Containers Lifecycle ... restartable init containers":
// they run before the main one starts, and do not keep the pod from ending.
func sidecar(s *space) {
	p := once("works", "fetch", "http://127.0.0.1:8080/hostname")
	side := sidecarContainer("side")
	side.Env = env("START_DELAY", "2")
	p.Spec.InitContainers = []corev1.Container{side, container("after", "fetch", "http://127.0.0.1:8080/healthz")}
	end := s.startToEnd(p)
	s.equal("phase", end.Status.Phase, corev1.PodSucceeded)
	s.equal("what main got from the sidecar", s.logs("works", corev1.PodLogOptions{Container: "main"}), "works")
	s.contains("log of the sidecar", s.logs("works", corev1.PodLogOptions{Container: "side"}), "SIGTERM")
	if !ended(end, "side").FinishedAt.After(ended(end, "main").FinishedAt.Add(-time.Second)) {
		s.Error("the sidecar ended before the main program")
	}
}

// As above, when the pod is deleted: the sidecar still serves while the main
// program ends.
func sidecarEndsLast(s *space) {
	rec := s.startReady(podOf("recorder"))
	base := "http://" + rec.Status.PodIP + ":8080"
	side := sidecarContainer("side")
	side.Env = env("NOTIFY", base+"/record?text=side&from=")
	p := podOf("works")
	p.Spec.InitContainers = []corev1.Container{side}
	main := &p.Spec.Containers[0]
	main.Env = env("PORT", "8090", "ONLY_HTTP", "1", "NOTIFY", base+"/record?text=main&from=", "ON_TERM", "1.5")
	p.Spec.TerminationGracePeriodSeconds = new(int64(20))
	s.startReady(p)
	s.remove("works")
	s.waitGone("works")
	s.equal("order of the signals", s.tell("recorder", "records"), "main\nside")
}

// Upstream: "Container Lifecycle Hook when create a pod with lifecycle hook
// should execute poststart/prestop exec/http hook properly".
func hooks(s *space) {
	rec := s.startReady(podOf("recorder"))
	get := func(text string) *corev1.LifecycleHandler {
		return &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{
			Host: rec.Status.PodIP, Port: intstr.FromInt32(8080), Path: "/record?text=" + text,
		}}
	}
	run := func(text string) *corev1.LifecycleHandler {
		url := "http://" + rec.Status.PodIP + ":8080/record?text=" + text
		return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/probe", "fetch", url}}}
	}
	for name, kind := range map[string]func(string) *corev1.LifecycleHandler{"get": get, "run": run} {
		s.startReady(with(podOf(name), func(_ *corev1.Pod, c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PostStart: kind(name + "-started"), PreStop: kind(name + "-stopping")}
			c.Env = env("NOTIFY", "http://"+rec.Status.PodIP+":8080/record?text=")
		}))
		s.remove(name)
		s.waitGone(name)
		// The hook must have ended before the signal comes.
		s.contains("records", s.tell("recorder", "records"), name+"-started\n"+name+"-stopping\nSIGTERM "+name)
	}
}

// Upstream: "Pods Extended Delete Grace Period should be submitted and removed".
func gracefulTermination(s *space) {
	rec := s.startReady(podOf("recorder"))
	p := with(podOf("web"), func(p *corev1.Pod, c *corev1.Container) {
		c.Env = env("NOTIFY", "http://"+rec.Status.PodIP+":8080/record?text=", "ON_TERM", "2")
		p.Spec.TerminationGracePeriodSeconds = new(int64(60))
	})
	s.startReady(p)
	began := time.Now()
	s.remove("web")
	p = s.pod("web")
	if p.DeletionTimestamp == nil || *p.DeletionGracePeriodSeconds != 60 {
		s.Errorf("deletion = %v, want it with a grace of 60 s", p.DeletionTimestamp)
	}
	s.waitGone("web")
	if took := time.Since(began); took < 2*time.Second || took > 40*time.Second {
		s.Errorf("it took %s, want about 2 s", took)
	}
	s.equal("records", s.tell("recorder", "records"), "SIGTERM web")
}

// As above, for a program that ignores SIGTERM; its exit code is seen on a pod
// that a finalizer keeps.
func killedAfterGrace(s *space) {
	rec := s.startReady(podOf("recorder"))
	p := with(podOf("deaf"), func(p *corev1.Pod, c *corev1.Container) {
		c.Env = env("ON_TERM", "ignore", "NOTIFY", "http://"+rec.Status.PodIP+":8080/record?text=")
		p.Spec.TerminationGracePeriodSeconds = new(int64(4))
		p.Finalizers = []string{"tatami.dev/test"}
	})
	s.startReady(p)
	began := time.Now()
	s.remove("deaf")
	p = s.waitPod("deaf", "be killed", func(p *corev1.Pod) bool { return ended(p, "main").ExitCode != 0 })
	if took := time.Since(began); took < 3*time.Second || took > 40*time.Second {
		s.Errorf("it took %s, want about 4 s", took)
	}
	s.equal("exit code", ended(p, "main").ExitCode, int32(137))
	s.equal("records", s.tell("recorder", "records"), "SIGTERM deaf")
	p.Finalizers = nil
	_, err := s.client.CoreV1().Pods(s.name).Update(s.ctx, p, metav1.UpdateOptions{})
	s.must(err)
	s.waitGone("deaf")
}

// Upstream: deletion with a grace period of 0, as `kubectl delete --force` does.
func deletedAtOnce(s *space) {
	s.startReady(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) { c.Env = env("ON_TERM", "ignore") }))
	s.must(s.client.CoreV1().Pods(s.name).Delete(s.ctx, "web", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}))
	_, err := s.client.CoreV1().Pods(s.name).Get(s.ctx, "web", metav1.GetOptions{})
	if err == nil {
		s.Error("the pod is still there")
	}
}

// Upstream: "Pods should allow activeDeadlineSeconds to be updated".
func activeDeadline(s *space) {
	p := s.startReady(podOf("web"))
	p.Spec.ActiveDeadlineSeconds = new(int64(3))
	_, err := s.client.CoreV1().Pods(s.name).Update(s.ctx, p, metav1.UpdateOptions{})
	s.must(err)
	p = s.waitPod("web", "fail", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	s.equal("reason", p.Status.Reason, "DeadlineExceeded")
}

// Upstream: "Ephemeral Containers will start an ephemeral container in an
// existing pod".
func ephemeralContainer(s *space) {
	p := s.startReady(podOf("web"))
	p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "debug", Image: probeImage, ImagePullPolicy: corev1.PullNever, Args: []string{"fetch", "http://127.0.0.1:8080/hostname"},
	}}}
	_, err := s.client.CoreV1().Pods(s.name).UpdateEphemeralContainers(s.ctx, "web", p, metav1.UpdateOptions{})
	s.must(err)
	s.eventually("the ephemeral container should work", func() error {
		st := status(s.pod("web"), "debug")
		if st.State.Terminated == nil {
			return errors.New("it has not ended")
		}
		if code := st.State.Terminated.ExitCode; code != 0 {
			return fmt.Errorf("exit code %d", code)
		}
		return nil
	})
	s.equal("log", strings.TrimSpace(s.logs("web", corev1.PodLogOptions{Container: "debug"})), "web")
}
