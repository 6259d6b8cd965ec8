package kube

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// volumeZones lists, for each volume that is tied to places, the places: one of
// them must hold.
func (inv *inventory) volumeZones(owner workload.Ref, namespace string, spec *corev1.PodSpec) [][]workload.Requirements {
	var out [][]workload.Requirements
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		var places []workload.Requirements
		switch {
		case v.PersistentVolumeClaim != nil:
			if claim := inv.claims[namespace+"/"+v.PersistentVolumeClaim.ClaimName]; claim != nil {
				places = inv.claimPlaces(owner, &claim.Spec)
			}
		case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
			places = inv.claimPlaces(owner, &v.Ephemeral.VolumeClaimTemplate.Spec)
		}
		if places != nil {
			out = append(out, places)
		}
	}
	return out
}

// claimPlaces is where the volume of a claim lies, or may be made; nil is
// anywhere.
func (inv *inventory) claimPlaces(owner workload.Ref, claim *corev1.PersistentVolumeClaimSpec) []workload.Requirements {
	if claim.VolumeName != "" {
		if volume := inv.volumes[claim.VolumeName]; volume != nil {
			return inv.volumePlaces(owner, volume)
		}
		return nil
	}
	class := inv.classes[inv.className(claim)]
	if class == nil || len(class.AllowedTopologies) == 0 {
		return nil
	}
	var out []workload.Requirements
	for _, t := range class.AllowedTopologies {
		rs := workload.Requirements{}
		for _, e := range t.MatchLabelExpressions {
			rs.Add(labelKey(e.Key), workload.OneOf(e.Values...))
		}
		out = append(out, rs)
	}
	return out
}

func (inv *inventory) className(claim *corev1.PersistentVolumeClaimSpec) string {
	if claim.StorageClassName != nil {
		return *claim.StorageClassName
	}
	for _, name := range sortedKeys(inv.classes) {
		if inv.classes[name].Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			return name
		}
	}
	return ""
}

// volumePlaces follows the volume's node affinity, and its labels, which older
// volumes have in its place: several zones in one label are joined by "__".
func (inv *inventory) volumePlaces(owner workload.Ref, v *corev1.PersistentVolume) []workload.Requirements {
	var out []workload.Requirements
	if v.Spec.NodeAffinity != nil && v.Spec.NodeAffinity.Required != nil {
		out = inv.terms(owner, v.Spec.NodeAffinity.Required.NodeSelectorTerms)
	}
	labels := workload.Requirements{}
	for key, value := range v.Labels {
		if to := labelKey(key); to == corev1.LabelTopologyZone || to == corev1.LabelTopologyRegion {
			labels.Add(to, workload.OneOf(strings.Split(value, "__")...))
		}
	}
	switch {
	case len(labels) == 0:
		return out
	case out == nil:
		return []workload.Requirements{labels}
	}
	return both(out, []workload.Requirements{labels})
}
