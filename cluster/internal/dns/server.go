package dns

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"        // directive
	_ "github.com/coredns/coredns/plugin/cache"       // directive
	_ "github.com/coredns/coredns/plugin/errors"      // directive
	_ "github.com/coredns/coredns/plugin/forward"     // directive
	_ "github.com/coredns/coredns/plugin/kubernetes"  // directive
	_ "github.com/coredns/coredns/plugin/loadbalance" // directive

	"k8s.io/klog/v2"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
)

//go:embed Corefile.tmpl
var corefile string

// Server is a running DNS server.
type Server struct{ caddy *caddy.Instance }

// Stop ends it.
func (s *Server) Stop() error { return s.caddy.Stop() }

// Start returns when the server listens. Names of services resolve as soon as
// its caches are filled, well within a second. upstream is where names outside
// the cluster are asked for, as HOST:PORT; empty refuses them.
func Start(c instance.Config, upstream string) (*Server, error) {
	dnsserver.Quiet, caddy.Quiet = true, true
	inst, err := caddy.Start(caddy.CaddyfileInput{
		Contents: []byte(render(c, upstream)), Filepath: "Corefile", ServerTypeName: "dns",
	})
	// The kubernetes plugin takes over the log of the whole process.
	klog.ClearLogger()
	if err != nil {
		return nil, fmt.Errorf("start DNS: %w", err)
	}
	return &Server{caddy: inst}, nil
}

func render(c instance.Config, upstream string) string {
	return strings.NewReplacer(
		"{{.NodeIP}}", instance.NodeIP.String(), "{{.Domain}}", instance.ClusterDomain,
		"{{.Kubeconfig}}", pki.Kubeconfig(c, pki.DNS), "{{.Forward}}", forward(upstream),
	).Replace(corefile)
}

func forward(upstream string) string {
	if upstream == "" {
		return ""
	}
	return "forward . " + upstream
}
