package launch

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/node"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
	"github.com/tatami-platform/tatami/internal/control"
)

// Checks implements control.Platform.
func (p *Platform) Checks(ref control.Ref, scope control.Scope) []control.Check {
	checks := p.hostChecks(ref)
	if scope == control.ScopePre {
		return checks
	}
	return append(checks, p.clusterChecks(ref)...)
}

const (
	sectionHost    = "this machine"
	sectionControl = "control plane"
	sectionNode    = "nodes"
	sectionPods    = "system and workloads"
)

func (p *Platform) hostChecks(ref control.Ref) []control.Check {
	return []control.Check{
		{
			Section: sectionHost, Name: "the data folder can be used", Severity: control.Fatal,
			Hint: "choose another with --data-dir",
			Run:  func(context.Context) (string, error) { return p.checkDataDir(ref) },
		},
		{
			Section: sectionHost, Name: "programs of a real node are installed", Severity: control.Warning,
			Hint: "apt-get install containerd runc containernetworking-plugins nftables iptables conntrack iproute2",
			Run:  checkPrograms,
		},
		{
			Section: sectionHost, Name: "a real node can run here", Severity: control.Warning,
			Hint: "run as root on Linux with the programs above; without it Kubernetes runs, but no containers",
			Run:  func(ctx context.Context) (string, error) { return "", p.realNode(ctx) },
		},
		{
			Section: sectionHost, Name: "helper programs lie beside tatami", Severity: control.Warning,
			Hint: "run `make build`",
			Run:  func(context.Context) (string, error) { return p.checkHelpers() },
		},
	}
}

func (p *Platform) checkDataDir(ref control.Ref) (string, error) {
	dir, _, err := p.find(ref)
	if err != nil {
		return "", err
	}
	if err := instance.CheckDataDir(dir); err != nil {
		return "", err
	}
	existing := dir
	for !exists(existing) {
		existing = filepath.Dir(existing)
	}
	if err := instance.CheckFree(existing); err != nil {
		return "", err
	}
	free, err := instance.FreeBytes(existing)
	return fmt.Sprintf("%s, %d GiB free", dir, free>>30), err
}

func checkPrograms(ctx context.Context) (string, error) {
	programs, err := node.FindPrograms(ctx)
	if err != nil {
		return "", err
	}
	return programs.Containerd, nil
}

func (p *Platform) checkHelpers() (string, error) {
	for _, name := range []string{"tatami-pause", shopProgram} {
		if path := siblingOf(p.host.Program, name); !exists(path) {
			return "", fmt.Errorf("%s is missing", path)
		}
	}
	return "", nil
}

func (p *Platform) clusterChecks(ref control.Ref) []control.Check {
	return []control.Check{
		{
			Section: sectionControl, Name: "the cluster runs", Severity: control.Fatal, Hint: "start it with `tatami up`",
			Run: func(context.Context) (string, error) {
				_, err := p.running(ref)
				return "", err
			},
		},
		{
			Section: sectionControl, Name: "the API server is ready", Severity: control.Fatal,
			Hint: "see the log folder below the data folder (`tatami status` names it)",
			Run:  p.withClient(ref, checkReadyz),
		},
		{
			Section: sectionControl, Name: "certificates last for more than 60 days", Severity: control.Warning,
			Hint: "`tatami down` and `tatami up` renew them",
			Run: func(context.Context) (string, error) {
				c, err := p.running(ref)
				if err != nil {
					return "", err
				}
				return checkCertificates(c, time.Now())
			},
		},
		{
			Section: sectionNode, Name: "every node is ready", Severity: control.Failure,
			Hint: "see `kubectl describe nodes`",
			Run:  p.withClient(ref, checkNodes),
		},
		{
			Section: sectionPods, Name: "every pod runs", Severity: control.Failure,
			Hint: "see `kubectl get pods -A` and `kubectl get events -A`",
			Run:  p.withClient(ref, checkPods),
		},
	}
}

type clientCheck func(ctx context.Context, client *kubernetes.Clientset) (string, error)

func (p *Platform) withClient(ref control.Ref, check clientCheck) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		c, err := p.running(ref)
		if err != nil {
			return "", err
		}
		cfg, err := restConfig(c)
		if err != nil {
			return "", err
		}
		client, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(ctx, statusTimeout)
		defer cancel()
		return check(ctx, client)
	}
}

func checkReadyz(ctx context.Context, client *kubernetes.Clientset) (string, error) {
	if _, err := client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return "", err
	}
	v, err := client.Discovery().ServerVersion()
	if err != nil {
		return "", err
	}
	return "Kubernetes " + v.GitVersion, nil
}

const certificateWarning = 60 * 24 * time.Hour

func checkCertificates(c instance.Config, now time.Time) (string, error) {
	name, end, err := pki.FirstExpiry(c)
	if err != nil {
		return "", err
	}
	if end.Before(now.Add(certificateWarning)) {
		return "", fmt.Errorf("%s ends on %s", name, end.Format(time.DateOnly))
	}
	return "until " + end.Format(time.DateOnly), nil
}

func checkNodes(ctx context.Context, client *kubernetes.Clientset) (string, error) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	var bad []error
	for i := range nodes.Items {
		if n := statusNode(&nodes.Items[i]); !n.Ready {
			bad = append(bad, fmt.Errorf("%s: %s", n.Name, n.Reason))
		}
	}
	if len(nodes.Items) == 0 {
		return "none, by choice or because this machine can't be one", nil
	}
	return fmt.Sprintf("%d", len(nodes.Items)), errors.Join(bad...)
}

func checkPods(ctx context.Context, client *kubernetes.Clientset) (string, error) {
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	var bad []error
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase == "Running" || pod.Status.Phase == "Succeeded" || pod.DeletionTimestamp != nil {
			continue
		}
		bad = append(bad, fmt.Errorf("%s/%s is %s", pod.Namespace, pod.Name, pod.Status.Phase))
	}
	const most = 5
	if len(bad) > most {
		bad = append(bad[:most], fmt.Errorf("and %d more", len(bad)-most))
	}
	return fmt.Sprintf("%d pods", len(pods.Items)), errors.Join(bad...)
}
