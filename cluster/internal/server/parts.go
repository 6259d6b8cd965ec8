package server

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/tatami-platform/tatami/cluster/internal/box"
	"github.com/tatami-platform/tatami/cluster/internal/deploy"
	"github.com/tatami-platform/tatami/cluster/internal/dns"
	"github.com/tatami-platform/tatami/cluster/internal/egress"
	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/node"
	"github.com/tatami-platform/tatami/cluster/internal/publish"
)

//go:embed system/*.yaml
var system embed.FS

const (
	nodeTimeout    = 90 * time.Second
	accountTimeout = 30 * time.Second
)

// parts is what runs beside the control plane.
type parts struct {
	failed chan error
	stops  []func()
}

func (p *parts) stop() {
	for _, stop := range slices.Backward(p.stops) {
		stop()
	}
}

func (s *server) startParts(ctx context.Context, cfg *rest.Config) (*parts, error) {
	p := &parts{failed: make(chan error, 4)}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return p, err
	}
	// The node first: containerd needs a moment, and needs nothing applied.
	if s.config.RealNode {
		s.step("starting the node")
		if err := s.startNode(ctx, p); err != nil {
			return p, err
		}
	}
	s.step("applying the system's objects")
	if err := applySystem(ctx, cfg, s.config.RealNode); err != nil {
		return p, err
	}
	if s.config.RealNode {
		if err := s.finishNode(ctx, p, client); err != nil {
			return p, err
		}
	}
	return p, waitAccount(ctx, client)
}

// waitAccount waits for the account that pods run under: until a controller has
// made it, a pod of the first command after `up` would be refused.
func waitAccount(ctx context.Context, client *kubernetes.Clientset) error {
	ctx, cancel := context.WithTimeout(ctx, accountTimeout)
	defer cancel()
	for {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the default service account is not there: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) startNode(ctx context.Context, p *parts) error {
	programs, err := node.FindPrograms(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errNode, err)
	}
	if err := s.startEgress(ctx, programs); err != nil {
		klog.ErrorS(err, "The node has no way out")
		s.update(func(st *instance.State) { st.Note = "pods can't reach outside the cluster: " + err.Error() })
	}
	n, err := node.Start(ctx, s.config, programs)
	if err != nil {
		return fmt.Errorf("%w: %w", errNode, err)
	}
	p.stops = append(p.stops, n.Stop)
	go func() { p.failed <- <-n.Failed }()
	return nil
}

// upstreamDNS is where CoreDNS asks for names outside the cluster.
const upstreamDNS = "127.0.0.1:5353"

// startEgress opens the node's ways out before containerd may need them.
func (s *server) startEgress(ctx context.Context, programs node.Programs) error {
	firewall := programs.NFT
	if firewall == "" {
		firewall = programs.IPTables
	}
	if err := egress.Start(ctx, firewall, s.host.Dial); err != nil {
		return err
	}
	return egress.ServeDNS(ctx, upstreamDNS, s.resolvers, s.host.Dial)
}

func (s *server) resolvers() []string {
	f, err := s.resolv.Open()
	if err != nil {
		return nil
	}
	defer f.Close()
	return egress.ParseResolvers(f)
}

// finishNode starts what serves the pods, and waits until the node takes them.
func (s *server) finishNode(ctx context.Context, p *parts, client *kubernetes.Clientset) error {
	d, err := dns.Start(s.config, upstreamDNS)
	if err != nil {
		return err
	}
	p.stops = append(p.stops, func() { _ = d.Stop() })
	pubCtx, stopPublishing := context.WithCancel(ctx)
	p.stops = append(p.stops, stopPublishing)
	go func() {
		if err := publish.Run(pubCtx, client, s.host.Listen, s.published); err != nil {
			p.failed <- err
		}
	}()
	s.step("waiting for the node")
	if err := waitNode(ctx, client, s.config.NodeName(), s.state.Started, p.failed); err != nil {
		return err
	}
	return box.UncoverTunables()
}

// published merges the URLs of services with that of the API server.
func (s *server) published(urls map[string]string) {
	s.mu.Lock()
	same := len(urls)+1 == len(s.state.URLs)
	for name, url := range urls {
		same = same && s.state.URLs[name] == url
	}
	s.mu.Unlock()
	if same {
		return
	}
	s.update(func(st *instance.State) {
		all := map[string]string{"api": st.URLs["api"]}
		maps.Copy(all, urls)
		st.URLs = all
	})
}

func applySystem(ctx context.Context, cfg *rest.Config, realNode bool) error {
	applier, err := deploy.NewApplier(cfg)
	if err != nil {
		return err
	}
	files := []string{"system/roles.yaml"}
	if realNode {
		files = append(files, "system/dns.yaml")
	}
	for _, name := range files {
		raw, err := system.ReadFile(name)
		if err != nil {
			return err
		}
		objects, err := deploy.Parse(name, raw)
		if err != nil {
			return err
		}
		if err := applier.Apply(ctx, objects); err != nil {
			return err
		}
	}
	return nil
}

// waitNode waits until kubelet reports ready. A report from before since is what
// the last run left in the store.
func waitNode(ctx context.Context, client *kubernetes.Clientset, name string, since time.Time, failed <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	last := errors.New("it did not register")
	for {
		n, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			if last = notReady(n, since); last == nil {
				return nil
			}
		}
		select {
		case err := <-failed:
			return fmt.Errorf("%w: %w", errNode, err)
		case <-ctx.Done():
			return fmt.Errorf("%w: the node is not ready: %w", errNode, last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func notReady(n *corev1.Node, since time.Time) error {
	for _, c := range n.Status.Conditions {
		// Heartbeats are stored in whole seconds.
		if c.Type == corev1.NodeReady && !c.LastHeartbeatTime.Time.Before(since.Truncate(time.Second)) {
			if c.Status == corev1.ConditionTrue {
				return nil
			}
			return errors.New(c.Message)
		}
	}
	return errors.New("kubelet has not reported yet")
}
