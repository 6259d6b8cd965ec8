package controlplane

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/tools/cache"
	cliflag "k8s.io/component-base/cli/flag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controllermanageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
)

// leftOut names the controllers that a platform without volumes, cloud
// provider, bootstrap tokens and devices does not need. Each costs goroutines
// and caches. The two for certificates of pods stay: identity is built on them.
func leftOut() []string {
	return []string{
		"bootstrap-signer-controller", "token-cleaner-controller",
		"node-ipam-controller", "ttl-controller",
		"persistentvolume-binder-controller", "persistentvolume-attach-detach-controller",
		"persistentvolume-expander-controller", "persistentvolumeclaim-protection-controller",
		"persistentvolume-protection-controller", "ephemeral-volume-controller",
		"volumeattributesclass-protection-controller", "selinux-warning-controller",
		"resourceclaim-controller", "device-taint-eviction-controller", "resourcepoolstatusrequest-controller",
		"replicationcontroller-controller", "endpoints-controller", "endpointslice-mirroring-controller",
		"storageversion-garbage-collector-controller", "storage-version-migrator-controller",
		"legacy-serviceaccount-token-cleaner-controller",
	}
}

func parse(sets cliflag.NamedFlagSets, args []string) error {
	all := pflag.NewFlagSet("component", pflag.ContinueOnError)
	for _, fs := range sets.FlagSets {
		all.AddFlagSet(fs)
	}
	return all.Parse(args)
}

func runAPIServer(ctx context.Context, c instance.Config, l net.Listener, auditPolicy string) error {
	s := apiserveroptions.NewServerRunOptions()
	if err := parse(s.Flags(), apiServerFlags(c, auditPolicy)); err != nil {
		return fmt.Errorf("API server flags: %w", err)
	}
	s.SecureServing.Listener = l
	// The registry is shared by all components of this process, and is set once.
	if err := s.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return fmt.Errorf("feature gates: %w", err)
	}
	completed, err := s.Complete(ctx)
	if err != nil {
		return fmt.Errorf("API server options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return fmt.Errorf("API server options: %w", utilerrors.NewAggregate(errs))
	}
	return apiserver.Run(ctx, completed)
}

func apiServerFlags(c instance.Config, auditPolicy string) []string {
	flags := []string{
		"--etcd-servers=unix://" + etcdSocket(c),
		"--tls-cert-file=" + pki.File(c, "apiserver.crt"),
		"--tls-private-key-file=" + pki.File(c, "apiserver.key"),
		"--client-ca-file=" + pki.File(c, "ca.crt"),
		"--kubelet-client-certificate=" + pki.File(c, "apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + pki.File(c, "apiserver-kubelet-client.key"),
		"--kubelet-certificate-authority=" + pki.File(c, "ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--proxy-client-cert-file=" + pki.File(c, "front-proxy-client.crt"),
		"--proxy-client-key-file=" + pki.File(c, "front-proxy-client.key"),
		"--requestheader-client-ca-file=" + pki.File(c, "front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--service-account-issuer=https://kubernetes.default.svc." + instance.ClusterDomain,
		"--service-account-key-file=" + pki.File(c, "service-account.key"),
		"--service-account-signing-key-file=" + pki.File(c, "service-account.key"),
		"--service-cluster-ip-range=" + instance.ServiceCIDR.String(),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction,PodSecurity",
		"--anonymous-auth=true", // for /healthz, /readyz and /livez only: RBAC refuses the rest
		"--allow-privileged=true",
		"--profiling=false",
		"--event-ttl=1h",
		"--goaway-chance=0",
		"--audit-policy-file=" + auditPolicy,
		"--audit-log-path=" + c.Path("audit", "audit.log"),
		"--audit-log-maxsize=20", "--audit-log-maxbackup=2",
		"--audit-log-mode=batch",
		"--shutdown-delay-duration=0s",
		"--shutdown-watch-termination-grace-period=0s",
		"--request-timeout=60s",
	}
	if c.RealNode {
		return append(flags, "--advertise-address="+instance.NodeIP.String())
	}
	// Without a node nobody can use the service "kubernetes", and loopback is
	// not allowed as its endpoint.
	return append(flags, "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none")
}

func runControllerManager(ctx context.Context, c instance.Config) error {
	s, err := controllermanageroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return fmt.Errorf("controller manager options: %w", err)
	}
	known, off, aliases := controllermanager.KnownControllers(), controllermanager.ControllersDisabledByDefault(), controllermanager.ControllerAliases()
	sets := s.Flags(known, off, aliases)
	s.ParsedFlags = &sets
	kubeconfig := pki.Kubeconfig(c, pki.ControllerManager)
	if err := parse(sets, []string{
		"--kubeconfig=" + kubeconfig,
		"--secure-port=0",
		"--leader-elect=false",
		"--profiling=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + pki.File(c, "service-account.key"),
		"--root-ca-file=" + pki.File(c, "ca.crt"),
		"--cluster-signing-cert-file=" + pki.File(c, "ca.crt"),
		"--cluster-signing-key-file=" + pki.File(c, "ca.key"),
		"--controllers=*,-" + strings.Join(leftOut(), ",-"),
		"--min-resync-period=12h",
		"--node-monitor-period=2s",
		"--controller-start-interval=0s",
	}); err != nil {
		return fmt.Errorf("controller manager flags: %w", err)
	}
	cfg, err := s.Config(ctx, known, off, aliases)
	if err != nil {
		return fmt.Errorf("controller manager options: %w", err)
	}
	return controllermanager.Run(ctx, cfg.Complete())
}

func runScheduler(ctx context.Context, c instance.Config) error {
	s := scheduleroptions.NewOptions()
	kubeconfig := pki.Kubeconfig(c, pki.Scheduler)
	if err := parse(*s.Flags, []string{
		"--kubeconfig=" + kubeconfig,
		"--secure-port=0",
		"--leader-elect=false",
		"--profiling=false",
	}); err != nil {
		return fmt.Errorf("scheduler flags: %w", err)
	}
	name, err := cache.NewInformerName("kube-scheduler")
	if err != nil {
		return err
	}
	s.InformerName = name
	cfg, sched, err := scheduler.Setup(ctx, s)
	if err != nil {
		return fmt.Errorf("scheduler options: %w", err)
	}
	return scheduler.Run(ctx, cfg, sched)
}
