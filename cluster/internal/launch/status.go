package launch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tatami-platform/tatami/cluster/internal/deploy"
	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/node"
	"github.com/tatami-platform/tatami/internal/control"
)

// Status implements control.Platform.
func (p *Platform) Status(ctx context.Context, ref control.Ref) (control.Status, error) {
	s := control.Status{
		Name: ref.Name, State: control.StateStopped, Context: instance.Context(ref.Name),
		Kubernetes: control.Kubernetes{Version: instance.KubernetesVersion},
		Nodes:      []control.Node{}, Pods: map[string]int{}, URLs: map[string]string{},
	}
	dir, alive, err := p.find(ref)
	if err == nil && alive {
		// One that was killed holds its lock for a moment longer.
		s.PID, err = settle(ctx, dir)
	}
	if err != nil {
		return s, err
	}
	if exists(dir) {
		s.DataDir = dir
	}
	if s.PID == 0 {
		s.Reason = p.endReason(dir)
		return s, notRunning(ref)
	}
	st, err := instance.ReadState(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	s.State, s.StartMillis = st.Phase, st.StartMillis
	s.RSSBytes = residentBytes(s.PID)
	s.Kubeconfig = mergedInto(st.Config)
	maps.Copy(s.URLs, st.URLs)
	if st.Phase != control.StateRunning {
		return s, nil
	}
	if err := fillFromAPI(ctx, st.Config, &s); err != nil {
		return s, err
	}
	return s, nil
}

// restConfig is the administrator's access to a running instance.
func restConfig(c instance.Config) (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", c.AdminKubeconfig())
	if err != nil {
		return nil, fmt.Errorf("kubeconfig of the cluster: %w", err)
	}
	cfg.QPS = -1
	return cfg, nil
}

// endReason is empty for a cluster that was stopped, or never ran.
func (p *Platform) endReason(dir string) string {
	st, err := instance.ReadState(dir)
	if err != nil || st.Phase == control.StateStopped && st.Error == "" {
		return ""
	}
	return firstLine(p.whyEnded(st.Config))
}

// answers asks the API server for no more than a sign of life.
func answers(c instance.Config) error {
	cfg, err := restConfig(c)
	if err != nil {
		return err
	}
	cfg.Timeout = statusTimeout
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	if _, err := client.Discovery().ServerVersion(); err != nil {
		return fmt.Errorf("the API server does not answer: %w", err)
	}
	return nil
}

const statusTimeout = 10 * time.Second

func fillFromAPI(ctx context.Context, c instance.Config, s *control.Status) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	cfg, err := restConfig(c)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("the API server does not answer: %w", err)
	}
	s.Kubernetes.Version = version.GitVersion
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	s.Ready = true
	for i := range nodes.Items {
		n := statusNode(&nodes.Items[i])
		s.Ready = s.Ready && n.Ready
		s.Nodes = append(s.Nodes, n)
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for i := range pods.Items {
		s.Pods[string(pods.Items[i].Status.Phase)]++
	}
	s.Shop = shopStatus(ctx, client)
	return nil
}

func statusNode(n *corev1.Node) control.Node {
	kind := control.KindSimulated
	if n.Labels[node.KindLabel] == string(control.KindReal) {
		kind = control.KindReal
	}
	out := control.Node{Name: n.Name, Kind: kind, Reason: "kubelet has not reported yet"}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			out.Ready, out.Reason = c.Status == corev1.ConditionTrue, c.Message
		}
	}
	if out.Ready {
		out.Reason = ""
	}
	return out
}

func (p *Platform) apply(ctx context.Context, c instance.Config, objects []deploy.Object) error {
	cfg, err := restConfig(c)
	if err != nil {
		return err
	}
	a, err := deploy.NewApplier(cfg)
	if err != nil {
		return err
	}
	return a.Apply(ctx, objects)
}
