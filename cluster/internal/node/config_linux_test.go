package node

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"
	proxyapp "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	kubeletvalidation "k8s.io/kubernetes/pkg/kubelet/apis/config/validation"

	utilfeature "k8s.io/apiserver/pkg/util/feature"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

func TestRender(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "file")
	if err := render(path, "x {{.A}} {{.B}} {{.A}}", map[string]string{"A": "1", "B": ""}); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "x 1  1" {
		t.Errorf("rendered %q (%v)", raw, err)
	}
	err := render(path, "{{.A}} {{.Missing}}", map[string]string{"A": "1"})
	if err == nil || !strings.Contains(err.Error(), "no value for Missing") {
		t.Errorf("missing value: %v", err)
	}
	if raw, _ := os.ReadFile(path); string(raw) != "x 1  1" {
		t.Errorf("a failure left %q", raw)
	}
}

// containerdFile writes the configuration below a folder with a name that needs
// quotes.
func containerdFile(t *testing.T) (c instance.Config, path string) {
	t.Helper()
	c = instance.Config{Name: "x", DataDir: filepath.Join(t.TempDir(), "a b 'ç")}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := writeContainerdConfig(c, Programs{Containerd: "/usr/bin/containerd", Runc: "/usr/sbin/runc", CNIDir: "/usr/lib/cni"})
	if err != nil {
		t.Fatal(err)
	}
	return c, path
}

// dig follows keys into nested maps.
func dig(t *testing.T, v any, keys ...string) any {
	t.Helper()
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%s of %v: no table", k, keys)
		}
		v = m[k]
	}
	return v
}

func TestContainerdConfig(t *testing.T) {
	c, path := containerdFile(t)
	var cfg map[string]any
	if _, err := toml.DecodeFile(path, &cfg); err != nil {
		t.Fatal(err)
	}
	const cri = "io.containerd.grpc.v1.cri"
	runc := []string{"plugins", cri, "containerd", "runtimes", "runc"}
	for _, tt := range []struct {
		keys []string
		want any
	}{
		{[]string{"version"}, int64(2)},
		{[]string{"root"}, c.Path("node", "containerd")},
		{[]string{"grpc", "address"}, c.ContainerdSocket()},
		{[]string{"plugins", cri, "sandbox_image"}, PauseImage},
		{[]string{"plugins", cri, "disable_tcp_service"}, true},
		{[]string{"plugins", cri, "stream_server_address"}, "127.0.0.1"},
		{[]string{"plugins", cri, "cni", "bin_dir"}, "/usr/lib/cni"},
		{[]string{"plugins", cri, "cni", "conf_dir"}, c.Path("node", "cni")},
		{append(runc, "runtime_type"), "io.containerd.runc.v2"},
		{append(runc, "options", "BinaryName"), "/usr/sbin/runc"},
		{append(runc, "options", "SystemdCgroup"), false},
	} {
		if got := dig(t, cfg, tt.keys...); got != tt.want {
			t.Errorf("%s is %v, want %v", strings.Join(tt.keys, "."), got, tt.want)
		}
	}
	if _, ok := dig(t, cfg, "plugins", cri, "restrict_oom_score_adj").(bool); !ok {
		t.Error("restrict_oom_score_adj is no bool")
	}
}

// TestContainerdReadsItsConfig asks the containerd of this machine, if it has
// one.
func TestContainerdReadsItsConfig(t *testing.T) {
	program, err := lookPath("containerd")
	if err != nil {
		t.Skip("containerd is not installed")
	}
	c, path := containerdFile(t)
	out, err := exec.Command(program, "--config", path, "config", "dump").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{c.ContainerdSocket(), PauseImage, "/usr/lib/cni", "/usr/sbin/runc", `snapshotter = "` + snapshotter(c)} {
		if !strings.Contains(string(out), want) {
			t.Errorf("containerd does not take %q over:\n%s", want, out)
		}
	}
}

func TestCNIConfig(t *testing.T) {
	c, _ := containerdFile(t)
	raw, err := os.ReadFile(c.Path("node", "cni", "10-tatami.conflist"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		CNIVersion string
		Plugins    []struct {
			Type, Bridge string
			IsGateway    bool
			HairpinMode  bool
			IPAM         struct {
				Ranges [][]struct{ Subnet, Gateway string }
			}
		}
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Plugins) != 2 || list.Plugins[0].Type != "bridge" || list.Plugins[1].Type != "portmap" {
		t.Fatalf("plugins %+v", list.Plugins)
	}
	bridge := list.Plugins[0]
	if !bridge.IsGateway || !bridge.HairpinMode || bridge.Bridge == "" {
		t.Errorf("bridge %+v", bridge)
	}
	r := bridge.IPAM.Ranges[0][0]
	if r.Subnet != instance.PodCIDR.String() || r.Gateway != instance.NodeIP.String() {
		t.Errorf("range %+v", r)
	}
}

// TestKubeletIsClosed: what an auditor asks of a kubelet, and what a laptop
// needs of it.
func TestKubeletIsClosed(t *testing.T) {
	c := instance.Config{Name: "x", DataDir: "/d"}
	k, err := kubeletConfiguration(c)
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"nobody without a name":        !k.Authentication.Anonymous.Enabled,
		"tokens are checked":           k.Authentication.Webhook.Enabled,
		"certificates are checked":     k.Authentication.X509.ClientCAFile == "/d/pki/ca.crt",
		"rights are checked":           k.Authorization.Mode == kubeletconfig.KubeletAuthorizationModeWebhook,
		"no port without checks":       k.ReadOnlyPort == 0,
		"health on loopback only":      k.HealthzBindAddress == "127.0.0.1",
		"serves with our certificate":  k.TLSCertFile == "/d/pki/kubelet-server.crt" && k.TLSPrivateKeyFile == "/d/pki/kubelet-server.key",
		"no profiles":                  !k.EnableProfilingHandler && !k.EnableDebugFlagsHandler,
		"seccomp by default":           k.SeccompDefault,
		"cgroup v1 will do":            !k.FailCgroupV1,
		"swap will do":                 !k.FailSwapOn,
		"below its own cgroup":         k.CgroupRoot == "/tatami-x.platform" && k.CgroupDriver == "cgroupfs",
		"our containerd":               k.ContainerRuntimeEndpoint == "unix:///d/node/containerd.sock",
		"nothing outside the data":     strings.HasPrefix(k.PodLogsDir, "/d/") && strings.HasPrefix(k.VolumePluginDir, "/d/"),
		"images are not thrown away":   k.ImageGCHighThresholdPercent == 100,
		"listens on the node's own IP": k.Address == instance.NodeIP.String(),
		"DNS":                          len(k.ClusterDNS) == 1 && k.ClusterDNS[0] == instance.DNSServiceIP.String() && k.ClusterDomain == instance.ClusterDomain,
	} {
		if !ok {
			t.Error("not so:", what)
		}
	}
	if err := kubeletvalidation.ValidateKubeletConfiguration(k, utilfeature.DefaultFeatureGate); err != nil {
		t.Errorf("kubelet would refuse it: %v", err)
	}
	f := kubeletFlags(c)
	if f.HostnameOverride != "tatami-x-node" || f.NodeIP != instance.NodeIP.String() || f.NodeLabels[KindLabel] != "real" || !strings.HasPrefix(f.RootDirectory, "/d/") {
		t.Errorf("flags %+v", f)
	}
}

// TestProxyConfig lets kube-proxy read and check what is written for it.
func TestProxyConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kube-proxy.yaml")
	for _, mode := range []string{"nftables", "iptables"} {
		if err := render(path, proxyTemplate, map[string]string{
			"Kubeconfig": "/d/pki/kube-proxy.kubeconfig", "Mode": mode, "Node": "tatami-node",
			"PodCIDR": instance.PodCIDR.String(), "NodeIP": instance.NodeIP.String(), "OOMScore": "0",
		}); err != nil {
			t.Fatal(err)
		}
		o := proxyapp.NewOptions()
		fs := pflag.NewFlagSet("kube-proxy", pflag.ContinueOnError)
		o.AddFlags(fs)
		if err := fs.Parse([]string{"--config=" + path}); err != nil {
			t.Fatal(err)
		}
		if err := o.Complete(fs); err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestOwnOOMScore(t *testing.T) {
	raw, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		t.Skip("no /proc:", err)
	}
	if want := strings.TrimSpace(string(raw)); strconv.Itoa(int(ownOOMScore())) != want {
		t.Errorf("score %d, want %s", ownOOMScore(), want)
	}
}

// TestPrepareFolders: a socket of a dead containerd must not look alive.
func TestPrepareFolders(t *testing.T) {
	c := instance.Config{Name: "x", DataDir: t.TempDir()}
	if err := os.MkdirAll(c.Path("node"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.ContainerdSocket(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := prepareFolders(c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(c.ContainerdSocket()); !os.IsNotExist(err) {
		t.Errorf("the old socket is still there (%v)", err)
	}
	if st, err := os.Stat(c.Path("node", "log", "pods")); err != nil || !st.IsDir() {
		t.Errorf("no folder for the logs of pods: %v", err)
	}
}
