package node

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"

	"github.com/spf13/pflag"
	proxyapp "k8s.io/kubernetes/cmd/kube-proxy/app"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
)

//go:embed kube-proxy.yaml.tmpl
var proxyTemplate string

func runProxy(ctx context.Context, c instance.Config, p Programs) error {
	path := c.Path("node", "kube-proxy.yaml")
	mode := "nftables"
	if p.NFT == "" {
		mode = "iptables"
	}
	if err := render(path, proxyTemplate, map[string]string{
		"Kubeconfig": pki.Kubeconfig(c, pki.KubeProxy), "Mode": mode, "Node": c.NodeName(),
		"PodCIDR": instance.PodCIDR.String(), "NodeIP": instance.NodeIP.String(), "OOMScore": strconv.Itoa(int(ownOOMScore())),
	}); err != nil {
		return err
	}
	o := proxyapp.NewOptions()
	fs := pflag.NewFlagSet("kube-proxy", pflag.ContinueOnError)
	o.AddFlags(fs)
	if err := fs.Parse([]string{"--config=" + path}); err != nil {
		return fmt.Errorf("kube-proxy flags: %w", err)
	}
	if err := o.Complete(fs); err != nil {
		return fmt.Errorf("kube-proxy options: %w", err)
	}
	if err := o.Validate(); err != nil {
		return fmt.Errorf("kube-proxy options: %w", err)
	}
	return o.Run(ctx)
}
