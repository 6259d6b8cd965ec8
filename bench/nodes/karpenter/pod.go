package karpenter

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	karpenterv1 "sigs.k8s.io/karpenter/pkg/apis/v1"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// newPod makes the pod with a number of its own, and random bits for its UID, by
// which Karpenter orders pods of equal size.
func newPod(g *workload.Group, number int, random uint64) *corev1.Pod {
	requests := g.Requests
	requests.Pods = 0 // Karpenter counts the pod itself
	priority := g.Priority
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("pod-%07d", number), UID: types.UID(fmt.Sprintf("%016x-%07d", random, number)),
			Namespace: namespace(g), Labels: g.Labels,
		},
		Spec: corev1.PodSpec{
			Priority: &priority, Tolerations: tolerations(g.Tolerations),
			TopologySpreadConstraints: spreads(g.Spread), Affinity: affinity(g),
			Containers: []corev1.Container{{
				Name: "main", Ports: hostPorts(g.HostPorts),
				Resources: corev1.ResourceRequirements{Requests: resourceList(requests)},
			}},
		},
	}
	if g.DoNotDisrupt {
		pod.Annotations = map[string]string{karpenterv1.DoNotDisruptAnnotationKey: "true"}
	}
	return pod
}

func namespace(g *workload.Group) string {
	if g.Owner.Namespace == "" {
		return metav1.NamespaceDefault
	}
	return g.Owner.Namespace
}

func hostPorts(ports []workload.HostPort) []corev1.ContainerPort {
	var out []corev1.ContainerPort
	for _, p := range ports {
		out = append(out, corev1.ContainerPort{
			HostIP: p.IP, HostPort: p.Port, ContainerPort: p.Port, Protocol: corev1.Protocol(p.Protocol),
		})
	}
	return out
}

func tolerations(list []workload.Toleration) []corev1.Toleration {
	var out []corev1.Toleration
	for _, t := range list {
		o := corev1.Toleration{Key: t.Key, Value: t.Value, Operator: corev1.TolerationOpEqual, Effect: corev1.TaintEffect(t.Effect)}
		if t.Exists {
			o.Operator = corev1.TolerationOpExists
		}
		out = append(out, o)
	}
	return out
}

func spreads(list []workload.Spread) []corev1.TopologySpreadConstraint {
	ignore, honor := corev1.NodeInclusionPolicyIgnore, corev1.NodeInclusionPolicyHonor
	var out []corev1.TopologySpreadConstraint
	for _, s := range list {
		c := corev1.TopologySpreadConstraint{
			TopologyKey: s.TopologyKey, MaxSkew: int32(s.MaxSkew),
			WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: labelSelector(s.Selector),
		}
		if s.Required {
			c.WhenUnsatisfiable = corev1.DoNotSchedule
			if n := int32(s.MinDomains); n > 1 {
				c.MinDomains = &n
			}
		}
		if s.IgnoreAffinity {
			c.NodeAffinityPolicy = &ignore
		}
		if s.HonorTaints {
			c.NodeTaintsPolicy = &honor
		}
		out = append(out, c)
	}
	return out
}

func affinity(g *workload.Group) *corev1.Affinity {
	a := &corev1.Affinity{NodeAffinity: nodeAffinity(g)}
	if required, preferred := podTerms(g.Affinity); len(g.Affinity) > 0 {
		a.PodAffinity = &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: required, PreferredDuringSchedulingIgnoredDuringExecution: preferred,
		}
	}
	if required, preferred := podTerms(g.AntiAffinity); len(g.AntiAffinity) > 0 {
		a.PodAntiAffinity = &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: required, PreferredDuringSchedulingIgnoredDuringExecution: preferred,
		}
	}
	if *a == (corev1.Affinity{}) {
		return nil
	}
	return a
}

func nodeAffinity(g *workload.Group) *corev1.NodeAffinity {
	required := &corev1.NodeSelector{}
	for _, rs := range g.Alternatives {
		terms := nodeExpressions(rs)
		if len(terms) == 0 { // any node will do; as a term it would match none
			required.NodeSelectorTerms = nil
			break
		}
		required.NodeSelectorTerms = append(required.NodeSelectorTerms, corev1.NodeSelectorTerm{MatchExpressions: terms})
	}
	var out corev1.NodeAffinity
	if len(required.NodeSelectorTerms) > 0 {
		out.RequiredDuringSchedulingIgnoredDuringExecution = required
	}
	for _, p := range g.Preferred {
		out.PreferredDuringSchedulingIgnoredDuringExecution = append(out.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.PreferredSchedulingTerm{
				Weight:     int32(p.Weight),
				Preference: corev1.NodeSelectorTerm{MatchExpressions: nodeExpressions(p.Requirements)},
			})
	}
	if out.RequiredDuringSchedulingIgnoredDuringExecution == nil && len(g.Preferred) == 0 {
		return nil
	}
	return &out
}

func podTerms(list []workload.PodTerm) (required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
	for _, t := range list {
		term := corev1.PodAffinityTerm{TopologyKey: t.TopologyKey, LabelSelector: labelSelector(t.Selector), Namespaces: t.Namespaces}
		if t.AllNamespaces {
			term.NamespaceSelector = &metav1.LabelSelector{}
		}
		if t.Weight == 0 {
			required = append(required, term)
		} else {
			preferred = append(preferred, corev1.WeightedPodAffinityTerm{Weight: int32(t.Weight), PodAffinityTerm: term})
		}
	}
	return required, preferred
}
