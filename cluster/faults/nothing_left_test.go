//go:build linux

package faults

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TestNothingLeftBehind compares the host before and after: once with a server
// that was killed, once with one that was stopped.
func TestNothingLeftBehind(t *testing.T) {
	needRoot(t)
	c := newCluster(t, "fn")
	disturbSysctl(t)
	before := takeSnapshot(t, c)
	c.run("up", "--node", "real").must(t)
	busy(t, c)
	f := mustHaveFamily(t, c)

	c.killServer()
	c.run("down").must(t)
	mustBeGone(t, c, before, f)
	if _, err := os.Stat(c.dir); err != nil {
		t.Errorf("down without --purge must leave the data: %v", err)
	}

	c.run("up", "--node", "real").must(t)
	f = mustHaveFamily(t, c)
	c.run("down", "--purge").must(t)
	mustBeGone(t, c, before, f)
	if _, err := os.Stat(c.dir); !os.IsNotExist(err) {
		t.Errorf("the data folder is still there after down --purge: %v", err)
	}
	if raw, err := os.ReadFile(c.kubeconfig); err != nil || strings.Contains(string(raw), c.name) {
		t.Errorf("the kubeconfig still has the context (%v):\n%s", err, raw)
	}
}

// disturbSysctl moves a value of the whole machine, which kubelet has an opinion
// on, by one: a cluster that sets it back changes the host. The value is a limit
// on kernel keys of root, far above what is in use.
func disturbSysctl(t *testing.T) {
	t.Helper()
	const path = "/proc/sys/kernel/keys/root_maxkeys"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	value, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(value+1)), 0o644); err != nil {
		t.Skipf("this machine's root may not set sysctls: %v", err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Error(err)
		}
	})
}

// busy runs pods that need what a host could be left with: mounts, a port, rules
// of a firewall, a published port.
func busy(t *testing.T, c *cluster) {
	t.Helper()
	client := c.mustClient(t)
	volumes := pausePod("volumes")
	volumes.Spec.Volumes = []corev1.Volume{
		{Name: "empty", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
		{Name: "map", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
		}}},
	}
	volumes.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{
		{Name: "empty", MountPath: "/empty"}, {Name: "map", MountPath: "/map"},
	}
	hostPort := pausePod("hostport")
	hostPort.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8080, HostPort: 18080}}
	for _, pod := range []*corev1.Pod{pausePod("plain"), volumes, hostPort} {
		runPod(t, client, pod)
	}
	_, err := client.CoreV1().Services(metav1.NamespaceDefault).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "published"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": "plain"},
			Ports: []corev1.ServicePort{{Port: 18081, TargetPort: intstr.FromInt32(8080)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the service is published", func() error {
		_, err := dial(c.status(t).URLs["default/published"])
		return err
	})
}

// mustHaveFamily proves that the comparison has something to find: a server and
// three pods with namespaces of their own. After a start, pods are Running by
// what the last run wrote, until kubelet has started them again.
func mustHaveFamily(t *testing.T, c *cluster) family {
	t.Helper()
	var f family
	eventually(t, 60*time.Second, "all pods have processes", func() error {
		f = recordFamily(c)
		// Five of the server; network, IPC, UTS, mount and PID of each pod.
		if n := len(f.alive()); n < 10 || len(f.namespaces) < 5+3*5 {
			return fmt.Errorf("found %d processes and their %d namespaces", n, len(f.namespaces))
		}
		return nil
	})
	return f
}

func dial(rawURL string) (net.Conn, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", u.Host, 2*time.Second)
	if err != nil {
		return nil, err
	}
	return conn, conn.Close()
}
