package node

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestResources(t *testing.T) {
	runCases(t, []testCase{
		{"limits reach the cgroup", cgroupLimits},
		{"processor quota", processorQuota},
		{"killed for memory", oomKilled},
		{"resize in place", resizeInPlace},
		{"quality of service", qualityOfService},
		{"what does not fit stays pending", unschedulable},
		{"emptyDir beyond its limit is evicted", evictedForEmptyDir},
		{"disk beyond the limit is evicted", evictedForStorage},
		{"eviction heeds the disruption budget", disruptionBudget},
	})
}

// cgroupValue reads a value of the container's own cgroup, by its name in
// version 2 or its path in version 1.
func (s *space) cgroupValue(pod, v2, v1 string) string {
	s.Helper()
	text, err := s.ask(pod, "file", "path", "/sys/fs/cgroup/"+v2)
	if err != nil {
		text, err = s.ask(pod, "file", "path", "/sys/fs/cgroup/"+v1)
	}
	s.must(err)
	return strings.TrimSpace(text)
}

// quota reads the share of cores: "25000 100000" in version 2, two files in version 1.
func (s *space) quota(pod string) float64 {
	s.Helper()
	text := s.cgroupValue(pod, "cpu.max", "cpu/cpu.cfs_quota_us")
	parts := strings.Fields(text)
	if len(parts) == 1 {
		parts = append(parts, s.cgroupValue(pod, "cpu.max", "cpu/cpu.cfs_period_us"))
	}
	quota, err := strconv.ParseFloat(parts[0], 64)
	s.must(err)
	period, err := strconv.ParseFloat(parts[1], 64)
	s.must(err)
	return quota / period
}

// Upstream (node suite): "Pod Cgroup/Container ... resource limits".
func cgroupLimits(s *space) {
	s.startReady(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) {
		c.Resources.Limits = amounts("cpu", "250m", "memory", "64Mi")
		c.Resources.Requests = amounts("cpu", "100m", "memory", "32Mi")
	}))
	s.equal("memory limit", s.cgroupValue("web", "memory.max", "memory/memory.limit_in_bytes"), strconv.Itoa(64<<20))
	s.equal("cores", s.quota("web"), 0.25)
	// 100m of 1024 shares for each core; version 2 has weights instead.
	if got := s.cgroupValue("web", "cpu.weight", "cpu/cpu.shares"); got == "1024" || got == "2" || got == "100" {
		s.Errorf("shares = %s: the request has no effect", got)
	}
}

// The quota must hold, not only be written.
func processorQuota(s *space) {
	s.startReady(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) { c.Resources.Limits = amounts("cpu", "100m") }))
	used, err := strconv.Atoi(s.tell("web", "burn", "millis", "3000"))
	s.must(err)
	if used < 100 || used > 600 {
		s.Errorf("it got %d ms of processor time in 3 s, want about 300", used)
	}
}

// Upstream (node suite): "OOMKiller ... the init/container should be OOMKilled".
func oomKilled(s *space) {
	p := s.startToEnd(with(once("big", "alloc", strconv.Itoa(128<<20)), func(_ *corev1.Pod, c *corev1.Container) {
		c.Resources.Limits = amounts("memory", "48Mi")
	}))
	s.equal("reason", ended(p, "main").Reason, "OOMKilled")
	s.equal("exit code", ended(p, "main").ExitCode, int32(137))
}

// Upstream: "Pod InPlace Resize".
func resizeInPlace(s *space) {
	s.startReady(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) {
		c.Resources.Limits = amounts("cpu", "200m", "memory", "64Mi")
	}))
	_, err := s.client.CoreV1().Pods(s.name).Patch(s.ctx, "web", types.StrategicMergePatchType,
		[]byte(`{"spec":{"containers":[{"name":"main","resources":{"limits":{"cpu":"400m"},"requests":{"cpu":"300m"}}}]}}`),
		metav1.PatchOptions{}, "resize")
	if err != nil {
		// The class of quality must stay, so both change together.
		_, err = s.client.CoreV1().Pods(s.name).Patch(s.ctx, "web", types.StrategicMergePatchType,
			[]byte(`{"spec":{"containers":[{"name":"main","resources":{"limits":{"cpu":"400m"},"requests":{"cpu":"400m"}}}]}}`),
			metav1.PatchOptions{}, "resize")
	}
	s.must(err)
	s.eventually("the new quota", func() error {
		if got := s.quota("web"); got != 0.4 {
			return fmt.Errorf("%v cores", got)
		}
		return nil
	})
	s.eventually("the new status", func() error {
		r := status(s.pod("web"), "main").Resources
		if r == nil || r.Limits.Cpu().MilliValue() != 400 {
			return fmt.Errorf("resources %v", r)
		}
		return nil
	})
	s.equal("restarts", restarts(s.pod("web")), int32(0))
}

// Upstream: "Pods Set QOS Class should be set on Pods with matching resource
// requests and limits".
func qualityOfService(s *space) {
	for _, tt := range []struct {
		name             string
		limits, requests corev1.ResourceList
		want             corev1.PodQOSClass
	}{
		{"guaranteed", amounts("cpu", "10m", "memory", "32Mi"), nil, corev1.PodQOSGuaranteed},
		{"burstable", nil, amounts("cpu", "10m"), corev1.PodQOSBurstable},
		{"besteffort", nil, nil, corev1.PodQOSBestEffort},
	} {
		s.start(with(podOf(tt.name), func(_ *corev1.Pod, c *corev1.Container) {
			c.Resources.Limits, c.Resources.Requests = tt.limits, tt.requests
		}))
		s.equal(tt.name, s.waitReady(tt.name).Status.QOSClass, tt.want)
	}
}

// Upstream: "SchedulerPredicates validates resource limits of pods that are
// allowed to run", "... NodeSelector is respected if not matching".
func unschedulable(s *space) {
	s.start(with(podOf("huge"), func(_ *corev1.Pod, c *corev1.Container) { c.Resources.Requests = amounts("cpu", "1000") }))
	s.start(with(podOf("elsewhere"), func(p *corev1.Pod, _ *corev1.Container) { p.Spec.NodeSelector = map[string]string{"no": "such"} }))
	for _, name := range []string{"huge", "elsewhere"} {
		s.waitPod(name, "be refused by the scheduler", func(p *corev1.Pod) bool {
			return len(p.Status.Conditions) > 0 && p.Status.Conditions[0].Reason == corev1.PodReasonUnschedulable
		})
	}
}

func evicted(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed && p.Status.Reason == "Evicted"
}

// Upstream (node suite): "LocalStorageCapacityIsolationEviction": emptyDir with
// sizeLimit. Kubelet looks every ten seconds or so.
func evictedForEmptyDir(s *space) {
	s.start(mount(once("full", "fill", "/data/file", strconv.Itoa(24<<20)), "data", "/data", emptyDir("", "8Mi")))
	p := s.waitPodFor(longPatience, "full", "be evicted", evicted)
	s.contains("message", p.Status.Message, `EmptyDir volume "data" exceeds the limit "8Mi"`)
}

// As above: limits of ephemeral-storage for what a container writes.
func evictedForStorage(s *space) {
	s.start(with(mount(once("full", "fill", "/data/file", strconv.Itoa(24<<20)), "data", "/data", emptyDir("", "")),
		func(_ *corev1.Pod, c *corev1.Container) { c.Resources.Limits = amounts("ephemeral-storage", "8Mi") }))
	s.start(with(once("layer", "fill", "/file", strconv.Itoa(24<<20)), func(p *corev1.Pod, c *corev1.Container) {
		c.Resources.Limits = amounts("ephemeral-storage", "8Mi")
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(0))}
	}))
	s.contains("message", s.waitPodFor(longPatience, "full", "be evicted", evicted).Status.Message, "ephemeral")
	s.contains("message", s.waitPodFor(longPatience, "layer", "be evicted", evicted).Status.Message, "ephemeral")
}

// Upstream: "DisruptionController evictions: enough pods, absolute => should
// allow an eviction", "... too few pods => should not allow".
func disruptionBudget(s *space) {
	s.start(labelled(podOf("one"), "web"))
	s.start(labelled(podOf("two"), "web"))
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: new(intstr.FromInt32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		},
	}
	_, err := s.client.PolicyV1().PodDisruptionBudgets(s.name).Create(s.ctx, budget, metav1.CreateOptions{})
	s.must(err)
	s.waitReady("one")
	s.waitReady("two")
	healthy := func(want int32) func() error {
		return func() error {
			b, err := s.client.PolicyV1().PodDisruptionBudgets(s.name).Get(s.ctx, "web", metav1.GetOptions{})
			if err == nil && b.Status.CurrentHealthy != want {
				err = fmt.Errorf("%d healthy", b.Status.CurrentHealthy)
			}
			return err
		}
	}
	evict := func(name string) error {
		return s.client.PolicyV1().Evictions(s.name).Evict(s.ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.name}})
	}
	s.eventually("two healthy pods", healthy(2))
	if err := evict("one"); !apierrors.IsTooManyRequests(err) {
		s.Fatalf("error = %v, want 429", err)
	}
	s.start(labelled(podOf("three"), "web"))
	s.waitReady("three")
	s.eventually("three healthy pods", healthy(3))
	s.eventually("the eviction should be allowed", func() error { return evict("one") })
	s.waitGone("one")
	if err := evict("two"); !apierrors.IsTooManyRequests(err) {
		s.Errorf("error of a second eviction = %v, want 429", err)
	}
}
