package kube

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	helpers "k8s.io/component-helpers/resource"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// demand turns manifests into one snapshot.
func (inv *inventory) demand(from control.Sources, now time.Time) (control.Demand, error) {
	keep, err := filter(from)
	if err != nil {
		return control.Demand{}, err
	}
	var d control.Demand
	s := &d.Snapshot
	s.Now = now
	inv.spaces()
	s.Daemons = inv.daemons(&d)
	groups := append(inv.fromTemplates(&d, keep), inv.fromPods(&d, keep)...)
	out := inv.notAsked(keep)
	if len(groups) == 0 && len(out) > 0 {
		return control.Demand{}, nothingIn(from, len(out))
	}
	inv.scale(groups)
	groups = without(groups, inv.judge(groups, nil))
	s.PodBudgets = inv.podBudgets(groups)
	s.Demand, _ = merge(groups, s.PodBudgets)
	if err := inv.capacity(&d, now); err != nil {
		return control.Demand{}, err
	}
	noted := slices.DeleteFunc(inv.notCovered, func(n control.NotCovered) bool {
		return out[n.Object] || n.Object.Kind != "DaemonSet" && !inv.tally.wants(n.Object.Namespace)
	})
	d.NotCovered = append(noted, inv.tally.list()...)
	return d, nil
}

// notAsked are the workloads that namespace and selector leave out.
func (inv *inventory) notAsked(keep func(string, map[string]string) bool) map[workload.Ref]bool {
	out := map[workload.Ref]bool{}
	for _, t := range inv.templates {
		if !t.daemon && !inv.owned(t.owners, t.ref.Namespace) && !keep(t.ref.Namespace, t.pod.Labels) {
			out[t.ref] = true
		}
	}
	for _, p := range inv.pods {
		if !inv.ownedPod(p) && !finished(p) && !keep(p.Namespace, p.Labels) {
			out[inv.ref("Pod", p)] = true
		}
	}
	return out
}

// nothingIn says that only workloads that were not asked for are there.
func nothingIn(from control.Sources, elsewhere int) error {
	var where []string
	if from.Namespace != "" {
		where = append(where, "in namespace "+from.Namespace)
	}
	if from.Selector != "" {
		where = append(where, "with labels "+from.Selector)
	}
	text := "1 workload"
	if elsewhere > 1 {
		text = fmt.Sprintf("%d workloads", elsewhere)
	}
	return &control.Problem{
		What: fmt.Sprintf("nothing %s (%s elsewhere)", strings.Join(where, " "), text),
		Next: "name another namespace with -n or other labels with -l, or leave them out",
	}
}

func without(groups []workload.Group, fatal map[int]bool) []workload.Group {
	var out []workload.Group
	for i := range groups {
		if !fatal[i] {
			out = append(out, groups[i])
		}
	}
	return out
}

// spaces makes sure that every namespace in use is known, with the label that
// each one has.
func (inv *inventory) spaces() {
	for _, t := range inv.templates {
		inv.space(t.ref.Namespace)
	}
	for _, p := range inv.pods {
		inv.space(p.Namespace)
	}
	for name := range inv.namespaces {
		inv.space(name)
	}
}

func (inv *inventory) space(name string) {
	own := map[string]string{corev1.LabelMetadataName: name}
	maps.Copy(own, inv.namespaces[name])
	inv.namespaces[name] = own
}

// filter is what namespace and selector leave.
func filter(from control.Sources) (func(namespace string, of map[string]string) bool, error) {
	selector, err := labels.Parse(from.Selector)
	if err != nil {
		return nil, &control.Problem{What: "cannot use the selector " + from.Selector, Why: err, Next: "write it as kubectl does, e.g. app=web,tier!=test"}
	}
	return func(namespace string, of map[string]string) bool {
		return (from.Namespace == "" || from.Namespace == namespace) && selector.Matches(labels.Set(of))
	}, nil
}

// daemons run on every node, whatever was asked for.
func (inv *inventory) daemons(d *control.Demand) []workload.Group {
	var groups []workload.Group
	for _, t := range inv.templates {
		if t.daemon {
			groups = append(groups, inv.fromTemplate(t))
			d.Workloads++
		}
	}
	return without(groups, inv.judge(groups, nil))
}

func (inv *inventory) fromTemplates(d *control.Demand, keep func(string, map[string]string) bool) []workload.Group {
	var groups []workload.Group
	for _, t := range inv.templates {
		if !t.daemon && !inv.owned(t.owners, t.ref.Namespace) && keep(t.ref.Namespace, t.pod.Labels) {
			groups = append(groups, inv.fromTemplate(t))
			d.Workloads++
		}
	}
	return groups
}

func (inv *inventory) fromTemplate(t *template) workload.Group {
	spec := &t.pod.Spec
	t.pod.Namespace = t.ref.Namespace
	inv.fill(t.ref.Namespace, spec)
	if t.daemon {
		spec.Tolerations = append(spec.Tolerations, daemonTolerations(spec.HostNetwork)...)
	}
	for i := range t.claims {
		claim := &t.claims[i]
		spec.Volumes = append(spec.Volumes, corev1.Volume{VolumeSource: corev1.VolumeSource{
			Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: claim.Spec}},
		}})
		inv.tally.claim(&claim.Spec, t.count)
	}
	g := inv.group(t.ref, &t.pod.ObjectMeta, spec)
	g.Count, g.Batch = t.count, t.batch
	g.Requests = requests(&corev1.Pod{Spec: *spec}, helpers.PodResourcesOptions{})
	return g
}

// owned says whether the pods are counted with another object that was read.
func (inv *inventory) owned(owners []metav1.OwnerReference, namespace string) bool {
	for _, o := range owners {
		if o.Controller != nil && *o.Controller {
			_, here := inv.present[workload.Ref{Kind: o.Kind, Namespace: namespace, Name: o.Name}]
			return here
		}
	}
	return false
}

// fromPods takes pods that no other object stands for.
func (inv *inventory) fromPods(d *control.Demand, keep func(string, map[string]string) bool) []workload.Group {
	var groups []workload.Group
	for _, p := range inv.pods {
		if inv.ownedPod(p) || finished(p) || !keep(p.Namespace, p.Labels) {
			continue
		}
		inv.fill(p.Namespace, &p.Spec)
		g := inv.group(inv.ref("Pod", p), &p.ObjectMeta, &p.Spec)
		g.Requests = requests(p, helpers.PodResourcesOptions{})
		groups = append(groups, g)
		d.Workloads++
	}
	return groups
}

// ownedPod follows a pod to its Deployment as well when the ReplicaSet between
// them was not given: its name ends with the pod's template hash.
func (inv *inventory) ownedPod(p *corev1.Pod) bool {
	if inv.owned(p.OwnerReferences, p.Namespace) {
		return true
	}
	hash := p.Labels["pod-template-hash"]
	for _, o := range p.OwnerReferences {
		name, found := strings.CutSuffix(o.Name, "-"+hash)
		if o.Kind == "ReplicaSet" && hash != "" && found {
			_, here := inv.present[workload.Ref{Kind: "Deployment", Namespace: p.Namespace, Name: name}]
			return here
		}
	}
	return false
}

func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// name of the sources for people.
func name(paths []string) string {
	switch {
	case len(paths) == 1 && paths[0] == "-":
		return "standard input"
	case len(paths) == 1:
		return filepath.ToSlash(paths[0])
	}
	return fmt.Sprintf("%d sources", len(paths))
}
