package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/adapter/oci"
	"github.com/tatami-platform/tatami/internal/control"
)

// fake is a platform whose clusters are files in a folder: enough state for
// the output and exit codes of the command line. The real one is tested in
// cluster/. Its faults are those that the environment variable FAKE names.
type fake struct {
	dir   string
	fault string
}

func (f fake) file(ref control.Ref) string { return filepath.Join(f.dir, ref.Name+".json") }

func (f fake) Up(ctx context.Context, req control.UpRequest, p control.Progress) (control.Status, error) {
	p.Step("start the control plane")
	p.Detail("waiting for the API")
	switch f.fault {
	case "port-taken":
		return control.Status{}, &control.Problem{
			What: "port 6443 on 127.0.0.1 is taken", Why: errors.New("address already in use"),
			Next: "choose another one with --port",
		}
	case "plain-error":
		return control.Status{}, errors.New("first line\nsecond line")
	case "hang":
		if err := os.WriteFile(filepath.Join(f.dir, "hangs"), nil, 0o600); err != nil {
			return control.Status{}, err
		}
		<-ctx.Done()
		return control.Status{}, fmt.Errorf("wait for the API: %w", ctx.Err())
	}
	if req.Node != control.NodeNone {
		p.Step("start the node")
	}
	if req.Node == control.NodeAuto && f.fault == "no-node" {
		p.Note("no real node: containerd is not installed")
		req.Node = control.NodeNone
	}
	s := f.status(req)
	if err := f.save(s); err != nil {
		return s, err
	}
	if !req.Foreground {
		return s, nil
	}
	req.OnReady(s)
	<-ctx.Done()
	p.Step("stop the control plane")
	return s, os.Remove(f.file(req.Cluster))
}

func (f fake) status(req control.UpRequest) control.Status {
	s := control.Status{
		Name: req.Cluster.Name, State: control.StateRunning, Ready: true,
		Kubernetes: control.Kubernetes{Version: "v1.37.2"},
		RSSBytes:   327_155_712, StartMillis: 3140, PID: 4242,
		Kubeconfig: "/home/me/.kube/config", Context: "tatami", DataDir: "/var/lib/tatami/" + req.Cluster.Name,
		Pods: map[string]int{"Running": 2},
		URLs: map[string]string{"api": fmt.Sprintf("https://127.0.0.1:%d", max(req.Port, 6443))},
	}
	if req.Cluster.Name != "tatami" {
		s.Context = "tatami-" + req.Cluster.Name
	}
	if req.Cluster.DataDir != "" {
		s.DataDir = req.Cluster.DataDir
	}
	if req.Kubeconfig != "" {
		s.Kubeconfig = req.Kubeconfig
	}
	if req.Node != control.NodeNone {
		s.Nodes = []control.Node{{Name: "tatami", Kind: control.KindReal, Ready: true}}
	}
	if req.Shop {
		s.Pods = map[string]int{"Running": 9, "Pending": 1, "Succeeded": 2, "Failed": 0}
		s.Shop = &control.Shop{Ready: true, OrdersProcessed: 1204}
		s.URLs["shop/web"] = "http://127.0.0.1:8080"
		s.URLs["shop/queue"] = "http://127.0.0.1:8222"
	}
	if f.fault == "unready" {
		s.Ready = false
		s.Nodes = append(s.Nodes, control.Node{Name: "small-0", Kind: control.KindSimulated, Reason: "network is not ready"})
	}
	return s
}

func (f fake) save(s control.Status) error {
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(f.dir, s.Name+".json"), content, 0o600)
}

func (f fake) Down(_ context.Context, req control.DownRequest, p control.Progress) error {
	if f.fault == "stuck" {
		p.Step("stop the control plane")
		return &control.Problem{What: "process 4242 does not stop", Next: "end it with `kill -9 4242`"}
	}
	err := os.Remove(f.file(req.Cluster))
	if errors.Is(err, os.ErrNotExist) {
		return control.ErrNotRunning
	}
	p.Step("stop the control plane")
	return err
}

func (f fake) Status(_ context.Context, ref control.Ref) (control.Status, error) {
	if f.fault == "unreadable" {
		return control.Status{}, errors.New("read the state: permission denied")
	}
	content, err := os.ReadFile(f.file(ref))
	if errors.Is(err, os.ErrNotExist) {
		s := control.Status{Name: ref.Name, State: control.StateStopped, DataDir: "/var/lib/tatami/" + ref.Name}
		switch f.fault {
		case "starting":
			s.State = control.StateStarting
			return s, nil
		case "killed":
			s.Reason = "the cluster ended: it was killed"
		}
		return s, fmt.Errorf("cluster %s: %w", ref.Name, control.ErrNotRunning)
	}
	var s control.Status
	return s, errors.Join(err, json.Unmarshal(content, &s))
}

// LoadImages reads the archives, as the real one does, and returns their names.
func (f fake) LoadImages(ctx context.Context, ref control.Ref, archives []string) ([]string, error) {
	if _, err := f.Status(ctx, ref); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, path := range archives {
		r, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		images, err := oci.Check(ctx, r, io.Discard)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		for _, i := range images {
			names[i.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func (f fake) Checks(ref control.Ref, scope control.Scope) []control.Check {
	ok := func(text string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return text, nil }
	}
	checks := []control.Check{
		{Section: "host", Name: "the system is supported", Severity: control.Fatal, Run: ok("Linux 6.1, amd64")},
		{
			Section: "host", Name: "containerd is installed", Severity: control.Warning,
			Hint: "apt-get install containerd", Run: f.containerd,
		},
	}
	if scope == control.ScopePre {
		return checks
	}
	return append(checks,
		control.Check{
			Section: "control plane", Name: "the cluster runs", Severity: control.Fatal, Hint: "start it with `tatami up`",
			Run: func(ctx context.Context) (string, error) {
				s, err := f.Status(ctx, ref)
				return s.Kubernetes.Version, err
			},
		},
		control.Check{
			Section: "node", Name: "the node is ready", Severity: control.Failure, Hint: "wait, or read the log",
			Run: f.becomesReady(),
		},
		control.Check{Section: "node", Name: "names resolve", Severity: control.Failure, Run: ok("")},
	)
}

func (f fake) containerd(context.Context) (string, error) {
	if f.fault == "no-node" {
		return "", errors.New("containerd is not on PATH")
	}
	return "1.6.20", nil
}

// becomesReady holds at the third try when the fault is "slow".
func (f fake) becomesReady() func(context.Context) (string, error) {
	tries := 0
	return func(ctx context.Context) (string, error) {
		tries++
		switch {
		case f.fault == "hang-check":
			<-ctx.Done()
			return "", ctx.Err()
		case f.fault == "unready", f.fault == "slow" && tries < 3:
			return "", errors.New("the kubelet says:\nnetwork is not ready")
		}
		return "", nil
	}
}

// clock advances by a second and a half each time it is read, so that times in
// the output are known.
func clock() func() time.Time {
	now := time.Unix(0, 0)
	return func() time.Time {
		now = now.Add(1500 * time.Millisecond)
		return now
	}
}
