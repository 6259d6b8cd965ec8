package catalog

import (
	"strconv"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// The labels that say what a node is. Their names are those of Kubernetes and
// of Karpenter, so that existing manifests select the same machines.
const (
	LabelShape    = "node.kubernetes.io/instance-type"
	LabelArch     = "kubernetes.io/arch"
	LabelOS       = "kubernetes.io/os"
	LabelRegion   = "topology.kubernetes.io/region"
	LabelZone     = "topology.kubernetes.io/zone"
	LabelZoneID   = "topology.k8s.aws/zone-id"
	LabelCapacity = "karpenter.sh/capacity-type"
	LabelPool     = "karpenter.sh/nodepool"
	labelAWS      = "karpenter.k8s.aws/instance-"
)

// Labels are those of a node of the shape, whatever its zone. A label whose
// value is not known is left out, as Karpenter does. The caller owns the map.
func (s *Shape) Labels() map[string]string {
	l := make(map[string]string, 32)
	l[LabelShape], l[LabelArch], l[LabelOS] = s.Name, string(s.Arch), "linux"
	l[labelAWS+"family"], l[labelAWS+"size"], l[labelAWS+"category"] = s.Family, s.Size, s.Category
	l[labelAWS+"generation"] = strconv.Itoa(s.Generation)
	l[labelAWS+"cpu"] = strconv.Itoa(s.VCPU)
	l[labelAWS+"cpu-manufacturer"] = s.Vendor
	l[labelAWS+"memory"] = strconv.FormatInt(int64(s.Memory/unit.MiB), 10)
	l[labelAWS+"hypervisor"] = s.Hypervisor
	l[labelAWS+"tenancy"] = "default"
	l[labelAWS+"capability-flex"] = strconv.FormatBool(s.Flex)
	l[labelAWS+"encryption-in-transit-supported"] = strconv.FormatBool(s.EncryptsTransit)
	known(l, labelAWS+"cpu-sustained-clock-speed-mhz", s.ClockMHz)
	known(l, labelAWS+"ebs-bandwidth", s.EBSMbps)
	known(l, labelAWS+"network-bandwidth", s.NetworkMbps)
	known(l, labelAWS+"local-nvme", s.nvmeGB())
	if s.GPU.Name != "" {
		l[labelAWS+"gpu-name"], l[labelAWS+"gpu-manufacturer"] = s.GPU.Name, s.GPU.Manufacturer
		l[labelAWS+"gpu-count"] = strconv.Itoa(s.GPU.Count)
		l[labelAWS+"gpu-memory"] = strconv.FormatInt(int64(s.GPU.Memory/unit.MiB), 10)
	}
	if a := s.Accelerator; a.Name != "" {
		l[labelAWS+"accelerator-name"], l[labelAWS+"accelerator-manufacturer"] = a.Name, a.Manufacturer
		l[labelAWS+"accelerator-count"] = strconv.Itoa(a.Count)
	}
	return l
}

func known(l map[string]string, key string, n int) {
	if n > 0 {
		l[key] = strconv.Itoa(n)
	}
}

func (s *Shape) nvmeGB() int { return int(s.LocalDisk / unit.GB) }

// Labels are those of a node of the offering. The caller owns the map.
func (o Offering) Labels() map[string]string {
	l := o.Shape.Labels()
	l[LabelRegion], l[LabelZone], l[LabelCapacity] = o.Region, o.Zone, string(o.Capacity)
	if o.ZoneID != "" {
		l[LabelZoneID] = o.ZoneID
	}
	return l
}
