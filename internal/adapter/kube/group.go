package kube

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Annotations that forbid to move a pod, of Karpenter and Cluster Autoscaler.
const (
	annotationDoNotDisrupt = "karpenter.sh/do-not-disrupt"
	annotationSafeToEvict  = "cluster-autoscaler.kubernetes.io/safe-to-evict"
)

// group describes one pod: what it asks for and where it may run. The pod's
// fields must have been completed as the API server does.
func (inv *inventory) group(owner workload.Ref, meta *metav1.ObjectMeta, spec *corev1.PodSpec) workload.Group {
	g := workload.Group{
		Owner:        owner,
		Labels:       meta.Labels,
		Count:        1,
		Alternatives: inv.alternatives(owner, meta.Namespace, spec),
		Preferred:    inv.preferred(owner, spec),
		Tolerations:  inv.tolerations(owner, spec.Tolerations),
		Spread:       inv.spread(owner, meta.Labels, spec.TopologySpreadConstraints),
		HostPorts:    hostPorts(spec),
		DoNotDisrupt: meta.Annotations[annotationDoNotDisrupt] == "true" || meta.Annotations[annotationSafeToEvict] == "false",
	}
	if spec.Priority != nil {
		g.Priority = *spec.Priority
	}
	if a := spec.Affinity; a != nil {
		pod := subject{owner: owner, namespace: meta.Namespace, labels: meta.Labels}
		if a.PodAffinity != nil {
			g.Affinity = inv.podTerms(pod, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution,
				a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
		}
		if a.PodAntiAffinity != nil {
			g.AntiAffinity = inv.podTerms(pod, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution,
				a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
		}
	}
	return g
}

// tolerations leaves out for how long a taint is tolerated: whoever tolerates
// it for a while may be placed there.
func (inv *inventory) tolerations(owner workload.Ref, list []corev1.Toleration) []workload.Toleration {
	var out []workload.Toleration
	for _, t := range list {
		switch t.Operator {
		case corev1.TolerationOpExists, corev1.TolerationOpEqual, "":
			out = append(out, workload.Toleration{
				Key: t.Key, Exists: t.Operator == corev1.TolerationOpExists, Value: t.Value, Effect: workload.Effect(t.Effect),
			})
		default:
			inv.note(owner, "tolerations", "operator "+string(t.Operator)+" is not understood: the toleration is left out")
		}
	}
	return out
}

// daemonTolerations are what the DaemonSet controller adds to its pods.
func daemonTolerations(hostNetwork bool) []corev1.Toleration {
	keys := []string{
		corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeDiskPressure,
		corev1.TaintNodeMemoryPressure, corev1.TaintNodePIDPressure, corev1.TaintNodeUnschedulable,
	}
	if hostNetwork {
		keys = append(keys, corev1.TaintNodeNetworkUnavailable)
	}
	var out []corev1.Toleration
	for _, key := range keys {
		out = append(out, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists})
	}
	return out
}

// hostPorts are those of containers that run as long as the pod. With the
// node's network every port is one of the node.
func hostPorts(spec *corev1.PodSpec) []workload.HostPort {
	var out []workload.HostPort
	collect := func(c *corev1.Container) {
		for _, p := range c.Ports {
			port := p.HostPort
			if spec.HostNetwork && port == 0 {
				port = p.ContainerPort
			}
			if port <= 0 {
				continue
			}
			h := workload.HostPort{IP: p.HostIP, Protocol: string(p.Protocol), Port: port}
			if h.IP == "0.0.0.0" {
				h.IP = ""
			}
			if h.Protocol == "" {
				h.Protocol = string(corev1.ProtocolTCP)
			}
			out = append(out, h)
		}
	}
	for i := range spec.InitContainers {
		if sidecar(&spec.InitContainers[i]) {
			collect(&spec.InitContainers[i])
		}
	}
	for i := range spec.Containers {
		collect(&spec.Containers[i])
	}
	return out
}

func sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func (inv *inventory) spread(owner workload.Ref, labels map[string]string, list []corev1.TopologySpreadConstraint) []workload.Spread {
	var out []workload.Spread
	for _, c := range list {
		s := workload.Spread{
			TopologyKey: labelKey(c.TopologyKey),
			MaxSkew:     int(c.MaxSkew),
			MinDomains:  1,
			Required:    c.WhenUnsatisfiable != corev1.ScheduleAnyway,
			Selector:    inv.selector(owner, "topologySpreadConstraints.labelSelector", c.LabelSelector),
		}
		if c.MinDomains != nil {
			s.MinDomains = int(*c.MinDomains)
		}
		s.IgnoreAffinity = c.NodeAffinityPolicy != nil && *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyIgnore
		s.HonorTaints = c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
		// The scheduler ignores keys that the pod does not have, and all of them
		// without a selector.
		if c.LabelSelector != nil {
			s.Selector = keyed(s.Selector, labels, c.MatchLabelKeys, nil)
		}
		out = append(out, s)
	}
	return out
}

// subject is a pod as its affinity terms see it.
type subject struct {
	owner     workload.Ref
	namespace string
	labels    map[string]string
}

func (inv *inventory) podTerms(pod subject, required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) []workload.PodTerm {
	var out []workload.PodTerm
	for i := range required {
		out = append(out, inv.podTerm(pod, &required[i], 0))
	}
	for i := range preferred {
		if w := int(preferred[i].Weight); w > 0 {
			out = append(out, inv.podTerm(pod, &preferred[i].PodAffinityTerm, w))
		}
	}
	return out
}

func (inv *inventory) podTerm(pod subject, t *corev1.PodAffinityTerm, weight int) workload.PodTerm {
	out := workload.PodTerm{
		TopologyKey: labelKey(t.TopologyKey),
		Weight:      weight,
		Selector:    inv.selector(pod.owner, "affinity.labelSelector", t.LabelSelector),
		Namespaces:  t.Namespaces,
	}
	if t.LabelSelector != nil {
		out.Selector = keyed(out.Selector, pod.labels, t.MatchLabelKeys, t.MismatchLabelKeys)
	}
	if t.NamespaceSelector == nil {
		return out
	}
	spaces := inv.selector(pod.owner, "affinity.namespaceSelector", t.NamespaceSelector)
	if spaces.Everything {
		out.AllNamespaces = true
		return out
	}
	out.Namespaces = append([]string{}, t.Namespaces...)
	for _, name := range sortedKeys(inv.namespaces) {
		if spaces.Matches(inv.namespaces[name]) {
			out.Namespaces = append(out.Namespaces, name)
		}
	}
	if len(out.Namespaces) == 0 {
		out.Selector = workload.Selector{} // it looks nowhere, which is not the same as at home
	}
	return out
}

// selector translates a label selector; a missing one chooses nothing and an
// empty one everything.
func (inv *inventory) selector(owner workload.Ref, field string, s *metav1.LabelSelector) workload.Selector {
	switch {
	case s == nil:
		return workload.Selector{}
	case len(s.MatchLabels)+len(s.MatchExpressions) == 0:
		return workload.Selector{Everything: true}
	}
	rs := workload.Requirements{}
	for key, value := range s.MatchLabels {
		rs.Add(key, workload.OneOf(value))
	}
	for _, e := range s.MatchExpressions {
		r, err := workload.NewRequirement(workload.Operator(e.Operator), e.Values...)
		if err != nil {
			inv.note(owner, field, err.Error()+": the selector chooses nothing")
			return workload.Selector{}
		}
		rs.Add(e.Key, r)
	}
	return workload.Selector{Requirements: rs}
}

// keyed narrows a selector to pods that agree with this one in some labels and
// differ in others, as matchLabelKeys and mismatchLabelKeys say.
func keyed(s workload.Selector, labels map[string]string, match, mismatch []string) workload.Selector {
	if len(match)+len(mismatch) == 0 {
		return s
	}
	rs := maps.Clone(s.Requirements)
	if rs == nil {
		rs = workload.Requirements{}
	}
	for _, key := range match {
		if value, ok := labels[key]; ok {
			rs.Add(key, workload.OneOf(value))
		}
	}
	for _, key := range mismatch {
		if value, ok := labels[key]; ok {
			rs.Add(key, workload.NoneOf(value))
		}
	}
	if len(rs) == 0 {
		return s
	}
	return workload.Selector{Requirements: rs}
}
