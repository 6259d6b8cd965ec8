//go:build linux

package faults

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

const visitorImage = "tatami.dev/visitor:test"

// quickly is how soon a refusal must come: well before programs give up.
const quickly = 3 * time.Second

// TestEgress looks at what pods reach outside of the cluster, on a host that has
// another machine beside it and a resolver there.
func TestEgress(t *testing.T) {
	needRoot(t)
	c := newCluster(t, "fe")
	before := takeSnapshot(t, c)
	o := newOutside(t)
	withResolver(t, c, o.far.String())
	port, visitors := loopbackService(t)

	c.run("up", "--node", "real").must(t)
	client := c.mustClient(t)
	c.run("image", "build", buildVisitor(t, c), "-t", visitorImage).must(t)
	staying := runPod(t, client, visitorPod("staying", "stay", o.at(farStay)))

	t.Run("what a pod may reach", func(t *testing.T) { mayReach(t, client, o) })
	t.Run("what a pod may not reach", func(t *testing.T) { mayNotReach(t, client, o, port, visitors) })

	select {
	case err := <-o.stayed:
		t.Errorf("a connection in use ended before the cluster did (%v): %s", err, logs(t, client, staying.Name))
	default:
	}
	f := recordFamily(c)
	c.run("down", "--purge").must(t)
	select {
	case err := <-o.stayed:
		t.Logf("the connection that stayed ended with the cluster (%v)", err)
	case <-time.After(10 * time.Second):
		t.Error("a connection outlived the cluster")
	}
	o.close()
	mustBeGone(t, c, before, f)
}

func (o *outside) at(port string) string { return net.JoinHostPort(o.far.String(), port) }

func mayReach(t *testing.T, client kubernetes.Interface, o *outside) {
	t.Helper()
	got := visits(
		t, client, visitorPod(
			"guest",
			"get", "http://"+o.at(farHTTP)+"/peer",
			"look-up", knownName,
			"get", "http://"+knownName+"/peer",
			"get", "http://"+o.at(farHTTP)+"/body",
			"upload", o.at(farUpload),
			"answer", o.at(farAnswer),
		),
	)
	body, sent := farBody(), []byte(strings.Repeat("tatami", 20<<20/6+1))[:20<<20]
	for i, want := range []string{
		o.host.String(), o.far.String(), o.host.String(), digest(body), digest(sent), "greeting",
	} {
		if v := got[i]; v.Error != "" || v.Answer != want {
			t.Errorf("%s %s: answer %q, error %q, want %q", v.Verb, v.Target, v.Answer, v.Error, want)
		}
		t.Logf("%s %s took %d ms", got[i].Verb, got[i].Target, got[i].Millis)
	}
	select {
	case heard := <-o.heard:
		if heard != "heard greeting" {
			t.Errorf("after the far half had ended, the pod's half carried %q", heard)
		}
	case <-time.After(5 * time.Second):
		t.Error("nothing came from a pod after the far half had ended")
	}
}

// mayNotReach looks from the pod's network and from the node's, by every address
// that could mean the host's loopback.
func mayNotReach(t *testing.T, client kubernetes.Interface, o *outside, port string, visitors func() int) {
	t.Helper()
	node := instance.NodeIP.String()
	args := []string{
		"look-up", "nobody.example.test",
		"look-up", "nobody.default.svc.cluster.local",
		"knock", o.at(farNobody),
		"knock", net.JoinHostPort(node, "15001"), // the proxy itself
	}
	for _, addr := range []string{"127.0.0.1", "127.0.0.2", "0.0.0.0", o.host.String(), node, "224.0.0.1"} {
		args = append(args, "knock", net.JoinHostPort(addr, port))
	}
	onNode := visitorPod("on-node", args...)
	onNode.Spec.HostNetwork = true
	for _, pod := range []*corev1.Pod{visitorPod("in-pod", args...), onNode} {
		for _, v := range visits(t, client, pod) {
			if v.Error == "" || v.Answer != "" {
				t.Errorf("%s: %s %s: answer %q, error %q, want an error alone", pod.Name, v.Verb, v.Target, v.Answer, v.Error)
			}
			if took := time.Duration(v.Millis) * time.Millisecond; took > quickly {
				t.Errorf("%s: %s %s was refused after %s (%s), want within %s", pod.Name, v.Verb, v.Target, took, v.Error, quickly)
			}
			t.Logf("%s: %s %s: %s, %d ms", pod.Name, v.Verb, v.Target, v.Error, v.Millis)
		}
	}
	if n := visitors(); n > 0 {
		t.Errorf("%d connections reached a service on the host's loopback", n)
	}
}

func digest(b []byte) string { return fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b)) }

// withResolver makes a machine whose resolver is another one.
func withResolver(t *testing.T, c *cluster, addr string) {
	t.Helper()
	own := filepath.Join(c.base, "resolv.conf")
	if err := os.WriteFile(own, []byte("nameserver "+addr+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		t.Skipf("there is no resolv.conf here to put another one over: %v", err)
	}
	c.prelude += fmt.Sprintf("mount --bind %s %s\n", own, real)
	c.attr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
}

func buildVisitor(t *testing.T, c *cluster) string {
	t.Helper()
	program := filepath.Join(c.base, "visitor")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", program, "./visitor")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the visitor: %v\n%s", err, out)
	}
	return program
}

func visitorPod(name string, args ...string) *corev1.Pod {
	pod := pausePod(name)
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers[0] = corev1.Container{Name: "visitor", Image: visitorImage, ImagePullPolicy: corev1.PullNever, Args: args}
	return pod
}

// visit is a line of the visitor.
type visit struct {
	Verb, Target, Answer, Error string
	Millis                      int64
}

// visits runs the pod to its end and reads what it says, one visit for each pair
// of arguments.
func visits(t *testing.T, client kubernetes.Interface, pod *corev1.Pod) []visit {
	t.Helper()
	eventually(t, 20*time.Second, "create pod "+pod.Name, func() error {
		_, err := client.CoreV1().Pods(metav1.NamespaceDefault).Create(t.Context(), pod, metav1.CreateOptions{})
		return err
	})
	eventually(t, 3*time.Minute, "pod "+pod.Name+" ends well", func() error {
		p, err := client.CoreV1().Pods(metav1.NamespaceDefault).Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err == nil && p.Status.Phase != corev1.PodSucceeded {
			err = fmt.Errorf("%s, %+v", p.Status.Phase, p.Status.ContainerStatuses)
		}
		return err
	})
	var all []visit
	said := logs(t, client, pod.Name)
	for d := json.NewDecoder(strings.NewReader(said)); d.More(); {
		var v visit
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		all = append(all, v)
	}
	if want := len(pod.Spec.Containers[0].Args) / 2; len(all) != want {
		t.Fatalf("%d visits, want %d\n%s", len(all), want, said)
	}
	return all
}

func logs(t *testing.T, client kubernetes.Interface, pod string) string {
	t.Helper()
	raw, err := client.CoreV1().Pods(metav1.NamespaceDefault).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
