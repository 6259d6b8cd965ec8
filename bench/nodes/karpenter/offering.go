package karpenter

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	karpenterv1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/scheduling"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// offers leads back from Karpenter's offerings to ours.
type offers map[*cloudprovider.Offering]catalog.Offering

// labelAWS begins the labels that the AWS provider gives to nodes. Labels of
// parts that only some machines have are refused on the others.
const labelAWS = "karpenter.k8s.aws/instance-"

func sometimes() []string {
	out := []string{labelAWS + "local-nvme"}
	for _, kind := range []string{"gpu-", "accelerator-"} {
		for _, what := range []string{"count", "name", "manufacturer", "memory"} {
			out = append(out, labelAWS+kind+what)
		}
	}
	return out
}

// instanceTypes makes one instance type of the offers of each shape, as the AWS
// provider would report it.
func instanceTypes(list []catalog.Offering, k catalog.Kubelet) ([]*cloudprovider.InstanceType, offers) {
	var types []*cloudprovider.InstanceType
	back, byName := offers{}, map[string]*cloudprovider.InstanceType{}
	for _, o := range list {
		it := byName[o.Shape.Name]
		if it == nil {
			it = instanceType(o.Shape, k)
			byName[o.Shape.Name] = it
			types = append(types, it)
		}
		offer := &cloudprovider.Offering{
			Price: o.Price.Dollars(), Available: true, ReservationCapacity: o.Limit,
			Requirements: scheduling.NewLabelRequirements(map[string]string{
				catalog.LabelZone: o.Zone, catalog.LabelCapacity: string(o.Capacity),
			}),
		}
		back[offer] = o
		it.Offerings = append(it.Offerings, offer)
		for key, value := range map[string]string{
			catalog.LabelRegion: o.Region, catalog.LabelZone: o.Zone, catalog.LabelCapacity: string(o.Capacity),
		} {
			if it.Requirements.Has(key) {
				it.Requirements.Get(key).Insert(value)
			} else {
				it.Requirements.Add(scheduling.NewRequirement(key, corev1.NodeSelectorOpIn, value))
			}
		}
	}
	return types, back
}

func instanceType(s *catalog.Shape, k catalog.Kubelet) *cloudprovider.InstanceType {
	labels := s.Labels()
	requirements := scheduling.NewLabelRequirements(labels)
	for _, key := range sometimes() {
		if _, has := labels[key]; !has {
			requirements.Add(scheduling.NewRequirement(key, corev1.NodeSelectorOpDoesNotExist))
		}
	}
	for key := range requirements { // the AWS provider defines its labels when it is loaded
		if strings.HasPrefix(key, labelAWS) {
			karpenterv1.WellKnownLabels.Insert(key)
		}
	}
	capacity := s.Capacity(k)
	return &cloudprovider.InstanceType{
		Name: s.Name, Requirements: requirements, Capacity: resourceList(capacity),
		Overhead: &cloudprovider.InstanceTypeOverhead{KubeReserved: resourceList(capacity.Minus(s.Allocatable(k)))},
	}
}

// resourceList leaves out what is 0.
func resourceList(r unit.Resources) corev1.ResourceList {
	list := corev1.ResourceList{}
	set := func(name corev1.ResourceName, q *resource.Quantity) {
		if !q.IsZero() {
			list[name] = *q
		}
	}
	set(corev1.ResourceCPU, resource.NewMilliQuantity(int64(r.CPU), resource.DecimalSI))
	set(corev1.ResourceMemory, resource.NewQuantity(int64(r.Memory), resource.BinarySI))
	set(corev1.ResourceEphemeralStorage, resource.NewQuantity(int64(r.Disk), resource.BinarySI))
	set(corev1.ResourcePods, resource.NewQuantity(r.Pods, resource.DecimalSI))
	for name, n := range r.Extended {
		set(corev1.ResourceName(name), resource.NewQuantity(n, resource.DecimalSI))
	}
	return list
}
