package ec2

import (
	"math"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// shape reads what EC2 says about a type. It is false for machines on which no
// Linux node runs: those with macOS, and 32-bit ones.
func shape(t *types.InstanceTypeInfo) (catalog.Shape, bool, error) {
	s, err := catalog.NamedShape(string(t.InstanceType))
	if err != nil || t.ProcessorInfo == nil || t.VCpuInfo == nil || t.MemoryInfo == nil {
		return s, false, err
	}
	switch archs := t.ProcessorInfo.SupportedArchitectures; {
	case slices.Contains(archs, types.ArchitectureTypeX8664):
		s.Arch = catalog.AMD64
	case slices.Contains(archs, types.ArchitectureTypeArm64):
		s.Arch = catalog.ARM64
	default:
		return s, false, nil
	}
	s.Vendor = kebab(aws.ToString(t.ProcessorInfo.Manufacturer))
	s.ClockMHz = int(math.Round(aws.ToFloat64(t.ProcessorInfo.SustainedClockSpeedInGhz) * 1000))
	s.VCPU = int(aws.ToInt32(t.VCpuInfo.DefaultVCpus))
	s.Memory = unit.Bytes(aws.ToInt64(t.MemoryInfo.SizeInMiB)) * unit.MiB
	s.Hypervisor = string(t.Hypervisor)
	s.Metal, s.Burstable = aws.ToBool(t.BareMetal), aws.ToBool(t.BurstablePerformanceSupported)
	s.Current = aws.ToBool(t.CurrentGeneration)
	if d := t.InstanceStorageInfo; d != nil {
		s.LocalDisk = unit.Bytes(aws.ToInt64(d.TotalSizeInGB)) * unit.GB
	}
	if e := t.EbsInfo; e != nil && e.EbsOptimizedInfo != nil && e.EbsOptimizedSupport == types.EbsOptimizedSupportDefault {
		s.EBSMbps = int(aws.ToInt32(e.EbsOptimizedInfo.MaximumBandwidthInMbps))
	}
	network(&s, t.NetworkInfo)
	accelerators(&s, t)
	return s, true, nil
}

func network(s *catalog.Shape, n *types.NetworkInfo) {
	if n == nil {
		return
	}
	s.EncryptsTransit = aws.ToBool(n.EncryptionInTransitSupported)
	s.MaxENIs = int(aws.ToInt32(n.MaximumNetworkInterfaces))
	s.IPv4PerENI = int(aws.ToInt32(n.Ipv4AddressesPerInterface))
	forPods, gbps := s.MaxENIs, 0.0
	for _, card := range n.NetworkCards {
		gbps += aws.ToFloat64(card.BaselineBandwidthInGbps)
		if aws.ToInt32(card.NetworkCardIndex) == aws.ToInt32(n.DefaultNetworkCardIndex) {
			forPods = int(aws.ToInt32(card.MaximumNetworkInterfaces))
		}
	}
	s.NetworkMbps = int(math.Round(gbps * 1000))
	s.MaxPods = catalog.PodsByENI(forPods, s.IPv4PerENI)
}

func accelerators(s *catalog.Shape, t *types.InstanceTypeInfo) {
	if g := t.GpuInfo; g != nil && len(g.Gpus) > 0 {
		s.GPU = catalog.Accelerators{
			Count: int(aws.ToInt32(g.Gpus[0].Count)),
			Name:  kebab(aws.ToString(g.Gpus[0].Name)), Manufacturer: kebab(aws.ToString(g.Gpus[0].Manufacturer)),
		}
		if m := g.Gpus[0].MemoryInfo; m != nil {
			s.GPU.Memory = unit.Bytes(aws.ToInt32(m.SizeInMiB)) * unit.MiB
		}
	}
	switch {
	case t.NeuronInfo != nil && len(t.NeuronInfo.NeuronDevices) > 0:
		d := t.NeuronInfo.NeuronDevices[0]
		s.Accelerator = catalog.Accelerators{Count: int(aws.ToInt32(d.Count)), Name: kebab(aws.ToString(d.Name)), Manufacturer: "aws"}
	case t.InferenceAcceleratorInfo != nil && len(t.InferenceAcceleratorInfo.Accelerators) > 0:
		d := t.InferenceAcceleratorInfo.Accelerators[0]
		s.Accelerator = catalog.Accelerators{
			Count: int(aws.ToInt32(d.Count)), Name: kebab(aws.ToString(d.Name)), Manufacturer: kebab(aws.ToString(d.Manufacturer)),
		}
	}
}

// kebab writes names as labels do: "Radeon Pro V520" is radeon-pro-v520.
func kebab(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "-")) }
