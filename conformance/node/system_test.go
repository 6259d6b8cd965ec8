package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSystem(t *testing.T) {
	runCases(t, []testCase{
		{"kubelet's metrics", kubeletMetrics},
		{"summary of usage", summary},
		{"audit log", auditLog},
		{"node's report", nodeReport},
		{"node's lease", nodeLease},
		{"events", podEvents},
	})
}

// nodeProxy asks kubelet through the API server.
func (s *space) nodeProxy(path string) (string, error) {
	raw, err := s.client.CoreV1().RESTClient().Get().Resource("nodes").Name(s.node().Name).SubResource("proxy").Suffix(path).DoRaw(s.ctx)
	return string(raw), err
}

// Upstream: "MetricsGrabber should grab all metrics from a Kubelet".
func kubeletMetrics(s *space) {
	s.startReady(podOf("web"))
	for path, metric := range map[string]string{
		"metrics":          "kubelet_running_pods",
		"metrics/cadvisor": `container_cpu_usage_seconds_total{`,
		"metrics/resource": `pod_memory_working_set_bytes{namespace="` + s.name + `",pod="web"}`,
		"metrics/probes":   "prober_probe_total",
	} {
		s.eventually(metric+" in "+path, func() error {
			text, err := s.nodeProxy(path)
			if err == nil && !strings.Contains(text, metric) {
				err = fmt.Errorf("not in %d bytes", len(text))
			}
			return err
		})
	}
	s.eventually("the pod in cadvisor's metrics", func() error {
		text, err := s.nodeProxy("metrics/cadvisor")
		if err != nil {
			return err
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "container_memory_working_set_bytes{") && strings.Contains(line, `container="main"`) &&
				strings.Contains(line, `namespace="`+s.name+`"`) {
				return nil
			}
		}
		return fmt.Errorf("no working set of the pod")
	})
}

// summaryPod is what kubelet's summary says of a pod.
type summaryPod struct {
	PodRef struct{ Name, Namespace string }
	CPU    struct{ UsageNanoCores, UsageCoreNanoSeconds uint64 }
	Memory struct{ WorkingSetBytes uint64 }
	// EphemeralStorage counts logs and what the containers wrote.
	EphemeralStorage struct{ UsedBytes *uint64 } `json:"ephemeral-storage"`
	Network          struct{ RxBytes uint64 }
	Containers       []struct{ Name string }
}

// Upstream (node suite): "Summary API when querying /stats/summary should report
// resource usage through the stats api".
func summary(s *space) {
	s.startReady(podOf("web"))
	s.within(longPatience, "usage of the pod", func() error {
		text, err := s.nodeProxy("stats/summary")
		if err != nil {
			return err
		}
		var all struct{ Pods []summaryPod }
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return err
		}
		for _, p := range all.Pods {
			if p.PodRef.Namespace != s.name {
				continue
			}
			if p.CPU.UsageCoreNanoSeconds == 0 || p.Memory.WorkingSetBytes == 0 || p.EphemeralStorage.UsedBytes == nil || len(p.Containers) != 1 {
				return fmt.Errorf("incomplete: %+v", p)
			}
			if p.Network.RxBytes == 0 {
				return fmt.Errorf("no network traffic: %+v", p)
			}
			return nil
		}
		return fmt.Errorf("the pod is not among %d", len(all.Pods))
	})
}

// Upstream (removed with dynamic audit): "[sig-auth] Advanced Audit should audit
// API calls".
func auditLog(s *space) {
	s.secret("keys", "token", "not-for-the-log")
	s.eventually("a line for the new secret", func() error {
		raw, err := os.ReadFile(filepath.Join(shared.dataDir, "audit", "audit.log"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(raw)) {
			var e struct {
				Verb      string
				User      struct{ Username string }
				ObjectRef struct{ Resource, Namespace, Name string }
			}
			if json.Unmarshal([]byte(line), &e) != nil || e.ObjectRef.Namespace != s.name || e.ObjectRef.Name != "keys" {
				continue
			}
			s.equal("verb", e.Verb, "create")
			s.equal("user", e.User.Username, "tatami-admin")
			if strings.Contains(line, "not-for-the-log") {
				s.Error("the audit log holds the secret")
			}
			return nil
		}
		return fmt.Errorf("none in %d bytes", len(raw))
	})
}

// Upstream (node suite): "Node Conformance": what a node says of itself.
func nodeReport(s *space) {
	n := s.node()
	for _, want := range []struct {
		kind   corev1.NodeConditionType
		status corev1.ConditionStatus
	}{
		{corev1.NodeReady, corev1.ConditionTrue},
		{corev1.NodeMemoryPressure, corev1.ConditionFalse},
		{corev1.NodeDiskPressure, corev1.ConditionFalse},
		{corev1.NodePIDPressure, corev1.ConditionFalse},
	} {
		for _, c := range n.Status.Conditions {
			if c.Type == want.kind {
				s.equal(string(c.Type), c.Status, want.status)
			}
		}
	}
	for _, name := range []corev1.ResourceName{"cpu", "memory", "pods", "ephemeral-storage"} {
		if q := n.Status.Allocatable[name]; q.IsZero() {
			s.Errorf("nothing of %s can be allocated", name)
		}
	}
	s.contains("container runtime", n.Status.NodeInfo.ContainerRuntimeVersion, "containerd://")
	s.equal("kubelet's version", n.Status.NodeInfo.KubeletVersion, "v1.37.2")
}

// Upstream: "NodeLease when the NodeLease feature is enabled the kubelet should
// create and update a lease in the kube-node-lease namespace".
func nodeLease(s *space) {
	renewed := func() (time.Time, error) {
		l, err := s.client.CoordinationV1().Leases("kube-node-lease").Get(s.ctx, s.node().Name, metav1.GetOptions{})
		if err != nil {
			return time.Time{}, err
		}
		return l.Spec.RenewTime.Time, nil
	}
	var first time.Time
	// Kubelet makes the lease a moment after the node is ready.
	s.eventually("there should be a lease", func() (err error) {
		first, err = renewed()
		return err
	})
	s.eventually("the lease should be renewed", func() error {
		last, err := renewed()
		if err == nil && !last.After(first) {
			err = fmt.Errorf("last at %s", first)
		}
		return err
	})
}

// Upstream: "Events should be sent by kubelets and the scheduler about pods
// scheduling and running".
func podEvents(s *space) {
	s.startReady(podOf("web"))
	s.eventually("events of scheduler and kubelet", func() error {
		list, err := s.client.CoreV1().Events(s.name).List(s.ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=web"})
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for i := range list.Items {
			seen[list.Items[i].Reason] = true
		}
		for _, reason := range []string{"Scheduled", "Created", "Started"} {
			if !seen[reason] {
				return fmt.Errorf("only %v", seen)
			}
		}
		return nil
	})
}
