package scheduler

import (
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// podOf writes a group as the pod that a person would have written. No container
// of it ever runs.
func podOf(g *workload.Group, name string) *corev1.Pod {
	amounts := resources(g.Requests)
	delete(amounts, corev1.ResourcePods)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace(g), Labels: maps.Clone(g.Labels)},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false),
			Containers: []corev1.Container{{
				Name: "main", Image: "example.test/none", Resources: corev1.ResourceRequirements{Requests: amounts, Limits: limits(g.Requests)},
			}},
			Affinity: &corev1.Affinity{
				NodeAffinity:    nodeAffinity(g),
				PodAffinity:     &corev1.PodAffinity{},
				PodAntiAffinity: &corev1.PodAntiAffinity{},
			},
		},
	}
	for _, p := range g.HostPorts {
		c := &pod.Spec.Containers[0]
		c.Ports = append(c.Ports, corev1.ContainerPort{ContainerPort: p.Port, HostPort: p.Port, HostIP: p.IP, Protocol: corev1.Protocol(p.Protocol)})
	}
	for _, o := range g.Tolerations {
		t := corev1.Toleration{Key: o.Key, Value: o.Value, Effect: corev1.TaintEffect(o.Effect), Operator: corev1.TolerationOpEqual}
		if o.Exists {
			t.Operator = corev1.TolerationOpExists
		}
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, t)
	}
	for _, s := range g.Spread {
		pod.Spec.TopologySpreadConstraints = append(pod.Spec.TopologySpreadConstraints, spread(s))
	}
	a := pod.Spec.Affinity
	a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution = podTerms(g.Affinity)
	a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution = podTerms(g.AntiAffinity)
	if g.Priority != 0 {
		pod.Spec.PriorityClassName = priorityClass(g.Priority)
	}
	return pod
}

func namespace(g *workload.Group) string {
	if g.Owner.Namespace == "" {
		return metav1.NamespaceDefault
	}
	return g.Owner.Namespace
}

func priorityClass(n int32) string {
	return strings.ReplaceAll(fmt.Sprintf("priority-%d", n), "--", "-minus-")
}

func resources(r unit.Resources) corev1.ResourceList {
	list := corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewMilliQuantity(int64(r.CPU), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(int64(r.Memory), resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(int64(r.Disk), resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(r.Pods, resource.DecimalSI),
	}
	maps.Copy(list, limits(r))
	return list
}

// limits are the extended resources: Kubernetes wants them to equal requests.
func limits(r unit.Resources) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, n := range r.Extended {
		list[corev1.ResourceName(name)] = *resource.NewQuantity(n, resource.DecimalSI)
	}
	return list
}

func nodeAffinity(g *workload.Group) *corev1.NodeAffinity {
	a := &corev1.NodeAffinity{}
	for _, rs := range g.Alternatives {
		if len(rs) == 0 {
			// An empty term chooses no node in Kubernetes, and every node here.
			a.RequiredDuringSchedulingIgnoredDuringExecution = nil
			break
		}
		if a.RequiredDuringSchedulingIgnoredDuringExecution == nil {
			a.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{}
		}
		terms := &a.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		*terms = append(*terms, corev1.NodeSelectorTerm{MatchExpressions: nodeExpressions(rs)})
	}
	for _, p := range g.Preferred {
		a.PreferredDuringSchedulingIgnoredDuringExecution = append(a.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.PreferredSchedulingTerm{Weight: int32(p.Weight), Preference: corev1.NodeSelectorTerm{MatchExpressions: nodeExpressions(p.Requirements)}})
	}
	return a
}

func nodeExpressions(rs workload.Requirements) []corev1.NodeSelectorRequirement {
	var out []corev1.NodeSelectorRequirement
	for _, e := range rs.Expressions() {
		out = append(out, corev1.NodeSelectorRequirement{Key: e.Key, Operator: corev1.NodeSelectorOperator(e.Operator), Values: e.Values})
	}
	return out
}

func labelSelector(s workload.Selector) *metav1.LabelSelector {
	if !s.Everything && len(s.Requirements) == 0 {
		return nil
	}
	out := &metav1.LabelSelector{}
	for _, e := range s.Requirements.Expressions() {
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{Key: e.Key, Operator: metav1.LabelSelectorOperator(e.Operator), Values: e.Values})
	}
	return out
}

func spread(s workload.Spread) corev1.TopologySpreadConstraint {
	c := corev1.TopologySpreadConstraint{
		TopologyKey: s.TopologyKey, MaxSkew: int32(s.MaxSkew), LabelSelector: labelSelector(s.Selector),
		WhenUnsatisfiable: corev1.ScheduleAnyway,
	}
	if s.Required {
		c.WhenUnsatisfiable = corev1.DoNotSchedule
		if s.MinDomains > 1 {
			c.MinDomains = new(int32(s.MinDomains))
		}
	}
	if s.IgnoreAffinity {
		c.NodeAffinityPolicy = new(corev1.NodeInclusionPolicyIgnore)
	}
	if s.HonorTaints {
		c.NodeTaintsPolicy = new(corev1.NodeInclusionPolicyHonor)
	}
	return c
}

func podTerms(terms []workload.PodTerm) (required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
	for _, t := range terms {
		term := corev1.PodAffinityTerm{TopologyKey: t.TopologyKey, LabelSelector: labelSelector(t.Selector), Namespaces: t.Namespaces}
		if t.AllNamespaces {
			term.NamespaceSelector = &metav1.LabelSelector{}
		}
		if t.Weight == 0 {
			required = append(required, term)
			continue
		}
		preferred = append(preferred, corev1.WeightedPodAffinityTerm{Weight: int32(t.Weight), PodAffinityTerm: term})
	}
	return required, preferred
}
