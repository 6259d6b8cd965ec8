package deploy_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tatami-platform/tatami/examples/shop/deploy"
)

type meta struct {
	Name, Namespace     string
	Labels, Annotations map[string]string
}

type probe struct {
	HTTPGet *struct {
		Path string
		Port any
	}
	GRPC           *struct{ Port int }
	PeriodSeconds  int
	TimeoutSeconds int
}

type container struct {
	Name, Image, ImagePullPolicy string
	Args                         []string
	Ports                        []struct {
		Name          string
		ContainerPort int
	}
	Resources                                   struct{ Requests, Limits map[string]string }
	StartupProbe, ReadinessProbe, LivenessProbe *probe
	SecurityContext                             struct {
		AllowPrivilegeEscalation *bool
		ReadOnlyRootFilesystem   bool
		Capabilities             struct{ Add, Drop []string }
	}
}

type pod struct {
	ServiceAccountName            string
	AutomountServiceAccountToken  *bool
	EnableServiceLinks            *bool
	TerminationGracePeriodSeconds int
	SecurityContext               struct {
		RunAsNonRoot   bool
		RunAsUser      int
		SeccompProfile struct{ Type string }
	}
	HostNetwork, HostPID       bool
	InitContainers, Containers []container
	Volumes                    []map[string]any
}

// object holds what the rules look at, of any kind.
type object struct {
	Kind                         string
	Metadata                     meta
	AutomountServiceAccountToken *bool
	Resources                    []string
	Spec                         struct {
		Type                 string
		Replicas             *int
		RevisionHistoryLimit *int
		MinAvailable         *int
		MaxUnavailable       *int
		Selector             any
		Ports                []struct {
			Name string
			Port int
		}
		Template struct {
			Metadata meta
			Spec     pod
		}
	}
}

func (o object) id() string { return o.Kind + "/" + o.Metadata.Name }

// objects reads the files that kustomization.yaml names, and checks that it
// names all.
func objects(t *testing.T) []object {
	t.Helper()
	read := func(name string) []object {
		data, err := deploy.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var out []object
		for document := range strings.SplitSeq(string(data), "\n---\n") {
			out = append(out, parse(t, name, document))
		}
		return out
	}
	listed := read("kustomization.yaml")[0].Resources
	names, err := fs.Glob(deploy.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	for _, name := range listed {
		all = append(all, read(name)...)
	}
	if len(listed) != len(names)-1 {
		t.Errorf("kustomization.yaml names %d of %d files", len(listed), len(names)-1)
	}
	return all
}

// parse goes through JSON, which matches names of fields in any case.
func parse(t *testing.T, name, document string) object {
	t.Helper()
	var (
		tree any
		o    object
	)
	err := yaml.Unmarshal([]byte(document), &tree)
	if err == nil {
		var data []byte
		if data, err = json.Marshal(tree); err == nil {
			err = json.Unmarshal(data, &o)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return o
}

func isWorkload(o object) bool { return o.Kind == "Deployment" || o.Kind == "StatefulSet" }

func TestNamespaceIsRestricted(t *testing.T) {
	for _, o := range objects(t) {
		if o.Kind != "Namespace" {
			if o.Metadata.Namespace != "shop" {
				t.Errorf("%s is in namespace %q", o.id(), o.Metadata.Namespace)
			}
			continue
		}
		for _, mode := range []string{"enforce", "audit", "warn"} {
			if got := o.Metadata.Labels["pod-security.kubernetes.io/"+mode]; got != "restricted" {
				t.Errorf("%s: %s %q", o.id(), mode, got)
			}
		}
	}
}

func TestPodsKeepToTheRestrictedStandard(t *testing.T) {
	for _, o := range objects(t) {
		if !isWorkload(o) {
			continue
		}
		p := o.Spec.Template.Spec
		if !p.SecurityContext.RunAsNonRoot || p.SecurityContext.RunAsUser != 65532 ||
			p.SecurityContext.SeccompProfile.Type != "RuntimeDefault" || p.HostNetwork || p.HostPID {
			t.Errorf("%s: pod security %+v", o.id(), p.SecurityContext)
		}
		if p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken || p.ServiceAccountName != o.Metadata.Name {
			t.Errorf("%s: has a token, or the account of another", o.id())
		}
		for _, volume := range p.Volumes {
			if _, ok := volume["emptyDir"]; !ok {
				t.Errorf("%s: volume %v", o.id(), volume)
			}
		}
		for _, c := range slices.Concat(p.InitContainers, p.Containers) {
			s := c.SecurityContext
			if s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem ||
				len(s.Capabilities.Add) > 0 || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
				t.Errorf("%s %s: security %+v", o.id(), c.Name, s)
			}
		}
	}
}

func TestContainersAreRunWell(t *testing.T) {
	for _, o := range objects(t) {
		if !isWorkload(o) {
			continue
		}
		if o.Spec.RevisionHistoryLimit == nil || *o.Spec.RevisionHistoryLimit != 2 || o.Spec.Template.Spec.TerminationGracePeriodSeconds != 30 {
			t.Errorf("%s: history or grace period", o.id())
		}
		for _, c := range o.Spec.Template.Spec.Containers {
			if c.Image != "tatami.dev/shop:dev" || c.ImagePullPolicy != "IfNotPresent" || !slices.Equal(c.Args, []string{o.Metadata.Name}) {
				t.Errorf("%s: image %s %s, arguments %v", o.id(), c.Image, c.ImagePullPolicy, c.Args)
			}
			for _, resource := range []string{"cpu", "memory"} {
				if quantity(t, c.Resources.Requests[resource]) > quantity(t, c.Resources.Limits[resource]) {
					t.Errorf("%s: requests more %s than its limit", o.id(), resource)
				}
			}
			for name, p := range map[string]*probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
				checkProbe(t, o.id()+" "+name, c, p)
			}
			if c.StartupProbe != nil && c.StartupProbe.PeriodSeconds > 2 {
				t.Errorf("%s: looks every %d s at start", o.id(), c.StartupProbe.PeriodSeconds)
			}
		}
	}
}

// checkProbe looks for the port that a probe asks.
func checkProbe(t *testing.T, who string, c container, p *probe) {
	t.Helper()
	if p == nil || p.TimeoutSeconds < 1 {
		t.Errorf("%s: no probe, or no timeout", who)
		return
	}
	var want string
	switch {
	case p.HTTPGet != nil:
		want = fmt.Sprint(p.HTTPGet.Port)
	case p.GRPC != nil:
		want = strconv.Itoa(p.GRPC.Port)
	}
	for _, port := range c.Ports {
		if port.Name == want || strconv.Itoa(port.ContainerPort) == want {
			return
		}
	}
	t.Errorf("%s: asks port %q, which the container does not have", who, want)
}

// quantity reads millicores ("50m") and MiB ("32Mi").
func quantity(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSuffix(s, "Mi"), "m"))
	if err != nil || n <= 0 {
		t.Errorf("quantity %q", s)
	}
	return n
}

func TestTheShopIsSmall(t *testing.T) {
	cpu, memory := 0, 0
	for _, o := range objects(t) {
		if isWorkload(o) {
			for _, c := range o.Spec.Template.Spec.Containers {
				cpu += *o.Spec.Replicas * quantity(t, c.Resources.Requests["cpu"])
				memory += *o.Spec.Replicas * quantity(t, c.Resources.Requests["memory"])
			}
		}
	}
	// The README names these figures.
	if cpu != 470 || memory != 288 {
		t.Errorf("the shop requests %d millicores and %d MiB", cpu, memory)
	}
}

// TestEverythingFits: each workload has its account, its service and a budget
// that selects it and leaves a drain possible.
func TestEverythingFits(t *testing.T) {
	all := objects(t)
	find := func(kind, name string) *object {
		for i := range all {
			if all[i].Kind == kind && all[i].Metadata.Name == name {
				return &all[i]
			}
		}
		t.Errorf("no %s/%s", kind, name)
		return &object{}
	}
	workloads := 0
	for _, o := range all {
		if !isWorkload(o) {
			continue
		}
		workloads++
		name := o.Metadata.Name
		labels := map[string]any{"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "shop"}
		for key, value := range labels {
			if o.Spec.Template.Metadata.Labels[key] != value {
				t.Errorf("%s: pods lack the label %s", o.id(), key)
			}
		}
		budget, service, account := find("PodDisruptionBudget", name), find("Service", name), find("ServiceAccount", name)
		for _, selector := range []any{o.Spec.Selector, budget.Spec.Selector, map[string]any{"matchLabels": service.Spec.Selector}} {
			if fmt.Sprint(selector) != fmt.Sprint(map[string]any{"matchLabels": labels}) {
				t.Errorf("%s: selector %v", o.id(), selector)
			}
		}
		if account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
			t.Errorf("%s: the account mounts its token", o.id())
		}
		if low := budget.Spec.MinAvailable; low != nil && *low >= *o.Spec.Replicas {
			t.Errorf("%s: %d of %d must stay; no node could be drained", o.id(), *low, *o.Spec.Replicas)
		}
		for _, port := range service.Spec.Ports {
			if !slices.ContainsFunc(o.Spec.Template.Spec.Containers[0].Ports, func(p struct {
				Name          string
				ContainerPort int
			},
			) bool {
				return p.Name == port.Name
			}) {
				t.Errorf("%s: the service's port %s leads nowhere", o.id(), port.Name)
			}
		}
	}
	if workloads != 7 {
		t.Errorf("%d workloads, want one for each role", workloads)
	}
	web := find("Service", "web")
	if web.Spec.Type != "LoadBalancer" || len(web.Spec.Ports) != 1 || web.Spec.Ports[0].Port != 8080 || web.Spec.Ports[0].Name != "http" {
		t.Errorf("web is published as %+v", web.Spec)
	}
	if ports := find("Service", "worker").Spec.Ports; len(ports) != 1 || ports[0].Name != "metrics" || ports[0].Port != 9090 {
		t.Errorf("the platform reads the worker's metrics at %v", ports)
	}
}
