package kube

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// maxAlternatives bounds what node affinity and the zones of several volumes
// make together: each multiplies the number.
const maxAlternatives = 64

// impossible is met by no node.
func impossible() workload.Requirements {
	return workload.Requirements{workload.LabelHostname: workload.Requirement{}}
}

// labelKey replaces names that labels had before they became stable: nodes
// carry both, offers only the new ones.
func labelKey(key string) string {
	switch key {
	case corev1.LabelFailureDomainBetaZone, "topology.ebs.csi.aws.com/zone":
		return corev1.LabelTopologyZone
	case corev1.LabelFailureDomainBetaRegion:
		return corev1.LabelTopologyRegion
	case corev1.LabelInstanceType:
		return corev1.LabelInstanceTypeStable
	case "beta.kubernetes.io/arch":
		return corev1.LabelArchStable
	case "beta.kubernetes.io/os":
		return corev1.LabelOSStable
	}
	return key
}

// alternatives are node selector, node name, required node affinity and the
// zones of volumes; nil when any node will do.
func (inv *inventory) alternatives(owner workload.Ref, namespace string, spec *corev1.PodSpec) []workload.Requirements {
	base := workload.Requirements{}
	for key, value := range spec.NodeSelector {
		base.Add(labelKey(key), workload.OneOf(value))
	}
	if spec.NodeName != "" {
		base.Add(workload.LabelHostname, workload.OneOf(spec.NodeName))
	}
	all := []workload.Requirements{base}
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		all = both(all, inv.terms(owner, a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms))
	}
	for _, zones := range inv.volumeZones(owner, namespace, spec) {
		if len(all)*len(zones) > maxAlternatives {
			inv.note(owner, "volumes", "the zones of its volumes have too many combinations and are not all considered")
			break
		}
		all = both(all, zones)
	}
	if len(all) == 1 && len(all[0]) == 0 {
		return nil
	}
	return all
}

// both combines each with each.
func both(a, b []workload.Requirements) []workload.Requirements {
	var out []workload.Requirements
	for _, x := range a {
		for _, y := range b {
			out = append(out, x.Intersect(y))
		}
	}
	return out
}

// terms translates node selector terms, of which one must hold. An empty term
// matches nothing, and so does one that is not valid.
func (inv *inventory) terms(owner workload.Ref, terms []corev1.NodeSelectorTerm) []workload.Requirements {
	var out []workload.Requirements
	for i := range terms {
		if len(terms[i].MatchExpressions)+len(terms[i].MatchFields) == 0 {
			continue
		}
		rs, err := nodeTerm(&terms[i])
		if err != nil {
			inv.note(owner, "affinity.nodeAffinity", err.Error()+": the term matches no node")
			continue
		}
		out = append(out, rs)
	}
	if len(out) == 0 {
		return []workload.Requirements{impossible()}
	}
	return out
}

func nodeTerm(t *corev1.NodeSelectorTerm) (workload.Requirements, error) {
	rs := workload.Requirements{}
	for _, e := range t.MatchExpressions {
		r, err := workload.NewRequirement(workload.Operator(e.Operator), e.Values...)
		if err != nil {
			return nil, err
		}
		rs.Add(labelKey(e.Key), r)
	}
	// The only field is metadata.name, by which DaemonSets pin their pods; the
	// label of the host name is the same on EC2.
	for _, e := range t.MatchFields {
		r, err := workload.NewRequirement(workload.Operator(e.Operator), e.Values...)
		if err != nil {
			return nil, err
		}
		rs.Add(workload.LabelHostname, r)
	}
	return rs, nil
}

func (inv *inventory) preferred(owner workload.Ref, spec *corev1.PodSpec) []workload.Preference {
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil {
		return nil
	}
	var out []workload.Preference
	for i := range spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		p := &spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution[i]
		if p.Weight <= 0 || len(p.Preference.MatchExpressions)+len(p.Preference.MatchFields) == 0 {
			continue // a wish for nothing
		}
		rs, err := nodeTerm(&p.Preference)
		if err != nil {
			inv.note(owner, "affinity.nodeAffinity", err.Error()+": the preference is left out")
			continue
		}
		out = append(out, workload.Preference{Weight: int(p.Weight), Requirements: rs})
	}
	return out
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
