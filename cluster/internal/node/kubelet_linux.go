package node

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
)

func runKubelet(ctx context.Context, c instance.Config) error {
	// Not configurable by flag or file.
	kubelet.ContainerLogsDir = c.Path("node", "log", "containers")
	// As it is for cadvisor, whose flag is registered by its package; without it
	// metrics lack the names of pods, and their network.
	if err := flag.Set("containerd", c.ContainerdSocket()); err != nil {
		return fmt.Errorf("kubelet: where cadvisor finds containerd: %w", err)
	}
	cfg, err := kubeletConfiguration(c)
	if err != nil {
		return err
	}
	s := &options.KubeletServer{KubeletFlags: *kubeletFlags(c), KubeletConfiguration: *cfg}
	deps, err := kubeletapp.UnsecuredDependencies(ctx, s, utilfeature.DefaultFeatureGate)
	if err != nil {
		return fmt.Errorf("kubelet: %w", err)
	}
	return kubeletapp.Run(ctx, s, deps, utilfeature.DefaultFeatureGate)
}

func kubeletFlags(c instance.Config) *options.KubeletFlags {
	f := options.NewKubeletFlags()
	f.KubeConfig = pki.Kubeconfig(c, pki.Kubelet)
	f.RootDirectory = c.Path("node", "kubelet")
	f.CertDirectory = c.Path("node", "kubelet", "pki")
	f.HostnameOverride = c.NodeName()
	f.NodeIP = instance.NodeIP.String()
	f.NodeLabels = map[string]string{KindLabel: "real"}
	return f
}

func kubeletConfiguration(c instance.Config) (*kubeletconfig.KubeletConfiguration, error) {
	k, err := options.NewKubeletConfiguration()
	if err != nil {
		return nil, fmt.Errorf("kubelet defaults: %w", err)
	}
	k.Address = instance.NodeIP.String()
	k.ReadOnlyPort = 0
	k.HealthzBindAddress = "127.0.0.1"
	k.TLSCertFile = pki.File(c, "kubelet-server.crt")
	k.TLSPrivateKeyFile = pki.File(c, "kubelet-server.key")
	k.Authentication.Anonymous.Enabled = false
	k.Authentication.X509.ClientCAFile = pki.File(c, "ca.crt")
	k.Authentication.Webhook.Enabled = true
	k.Authorization.Mode = kubeletconfig.KubeletAuthorizationModeWebhook
	k.ClusterDNS = []string{instance.DNSServiceIP.String()}
	k.ClusterDomain = instance.ClusterDomain
	k.ResolverConfig = "/etc/resolv.conf"
	k.ContainerRuntimeEndpoint = "unix://" + c.ContainerdSocket()
	k.ImageServiceEndpoint = k.ContainerRuntimeEndpoint
	k.CgroupDriver = "cgroupfs"
	k.CgroupRoot = c.Cgroup()
	k.CgroupsPerQOS = true
	k.EnforceNodeAllocatable = []string{"pods"}
	k.FailCgroupV1 = false
	k.FailSwapOn = false
	k.OOMScoreAdj = ownOOMScore()
	k.PodLogsDir = c.Path("node", "log", "pods")
	k.VolumePluginDir = c.Path("node", "volume-plugins")
	// The disk is the user's: a laptop that is 90 % full must still run pods,
	// and their images, which can't be pulled again, must not be collected.
	k.ImageGCHighThresholdPercent = 100
	k.ImageGCLowThresholdPercent = 99
	k.EvictionHard = map[string]string{
		"memory.available": "100Mi", "nodefs.available": "128Mi", "imagefs.available": "128Mi", "nodefs.inodesFree": "1%",
	}
	k.EvictionPressureTransitionPeriod = metav1.Duration{Duration: 30 * time.Second}
	k.NodeStatusUpdateFrequency = metav1.Duration{Duration: 5 * time.Second}
	k.SerializeImagePulls = false
	k.EnableProfilingHandler = false
	k.EnableDebugFlagsHandler = false
	k.SeccompDefault = true
	return k, nil
}

// ownOOMScore keeps kubelet from asking for a score that it may not have.
func ownOOMScore() int32 {
	raw, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0
	}
	score, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 32)
	if err != nil {
		return 0
	}
	return int32(score)
}
