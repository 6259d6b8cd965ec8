package server

import (
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tatami-platform/tatami/cluster/internal/deploy"
	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

// TestSystemObjects: what is embedded parses, and the addresses in it are those
// that the code uses.
func TestSystemObjects(t *testing.T) {
	found := map[string]deploy.Object{}
	for _, name := range []string{"system/roles.yaml", "system/dns.yaml"} {
		raw, err := system.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := deploy.Parse(name, raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			found[o.GetKind()+"/"+o.GetName()] = o
		}
	}
	for _, want := range []string{
		"ClusterRoleBinding/tatami:kubelet-api", "ClusterRole/tatami:dns", "ClusterRoleBinding/tatami:dns", "Service/kube-dns", "EndpointSlice/kube-dns-node",
	} {
		if _, ok := found[want]; !ok {
			t.Errorf("no %s", want)
		}
	}
	spec, _ := found["Service/kube-dns"].Object["spec"].(map[string]any)
	if spec["clusterIP"] != instance.DNSServiceIP.String() || spec["selector"] != nil {
		t.Errorf("DNS service %v", spec)
	}
	endpoints, _ := found["EndpointSlice/kube-dns-node"].Object["endpoints"].([]any)
	if len(endpoints) != 1 || !strings.Contains(strings.Join(addresses(endpoints[0]), " "), instance.NodeIP.String()) {
		t.Errorf("DNS endpoints %v", endpoints)
	}
}

func addresses(endpoint any) []string {
	m, _ := endpoint.(map[string]any)
	list, _ := m["addresses"].([]any)
	var all []string
	for _, a := range list {
		if s, ok := a.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func TestNotReady(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 700_000_000, time.UTC)
	for _, tt := range []struct {
		name      string
		kind      corev1.NodeConditionType
		status    corev1.ConditionStatus
		heartbeat time.Time
		want      string
	}{
		{"ready", corev1.NodeReady, corev1.ConditionTrue, since.Add(time.Second), ""},
		{"ready within the same second", corev1.NodeReady, corev1.ConditionTrue, since.Truncate(time.Second), ""},
		{"ready in the last run", corev1.NodeReady, corev1.ConditionTrue, since.Add(-time.Minute), "has not reported"},
		{"not ready", corev1.NodeReady, corev1.ConditionFalse, since.Add(time.Second), "no network"},
		{"unknown", corev1.NodeReady, corev1.ConditionUnknown, since.Add(time.Second), "no network"},
		{"another condition", corev1.NodeMemoryPressure, corev1.ConditionTrue, since.Add(time.Second), "has not reported"},
	} {
		err := notReady(&corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
			Type: tt.kind, Status: tt.status, LastHeartbeatTime: metav1.NewTime(tt.heartbeat), Message: "no network",
		}}}}, since)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if notReady(&corev1.Node{}, since) == nil {
		t.Error("a node without conditions is ready")
	}
}

func TestPublishedURLsAreWrittenBesideTheAPI(t *testing.T) {
	c := instance.Config{Name: "x", DataDir: t.TempDir()}
	s := &server{config: c, state: instance.State{Config: c, URLs: map[string]string{"api": "https://a"}}}
	for _, urls := range []map[string]string{{"shop/web": "http://w"}, {"shop/web": "http://w", "shop/queue": "nats://q"}, {}} {
		s.published(urls)
		st, err := instance.ReadState(c.DataDir)
		if err != nil {
			t.Fatal(err)
		}
		want := maps.Clone(urls)
		want["api"] = "https://a"
		if !maps.Equal(st.URLs, want) {
			t.Errorf("URLs %v, want %v", st.URLs, want)
		}
	}
}

func TestServerConfig(t *testing.T) {
	want := instance.Config{Name: "x", DataDir: t.TempDir(), Port: 7443, RealNode: true, ProgramsDir: "/p"}
	if err := WriteConfig(want); err != nil {
		t.Fatal(err)
	}
	got, err := readConfig(want.DataDir)
	if err != nil || got != want {
		t.Errorf("read %+v (%v), want %+v", got, err, want)
	}
	if _, err := readConfig(t.TempDir()); err == nil {
		t.Error("no error without a configuration")
	}
	if err := instance.WriteFile(want.Path(configFile), []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig(want.DataDir); err == nil || !strings.Contains(err.Error(), "configuration of the server") {
		t.Errorf("broken configuration: %v", err)
	}
}
