package catalog

import (
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// What a virtual machine keeps of the memory that is sold, before a node of
// the type was seen: 7.5 %, and 64 MiB more on Graviton.
const (
	overheadPerMille = 75
	armOverhead      = 64 * unit.MiB
)

// What EKS's bootstrap reserves: memory by the number of pods, a share of each
// core that shrinks, 1 GiB of disk; and below what a kubelet starts to evict.
const (
	reservedMemory       = 255 * unit.MiB
	reservedMemoryPerPod = 11 * unit.MiB
	reservedDisk         = unit.GiB
	evictionMemory       = 100 * unit.MiB
	defaultRootDisk      = 20 * unit.GiB
)

// Capacity is what a node of the shape reports, before anything is reserved.
func (s *Shape) Capacity(k Kubelet) unit.Resources {
	disk := k.RootDisk
	if disk == 0 {
		disk = defaultRootDisk
	}
	memory := s.Memory
	if s.Arch == ARM64 {
		memory -= armOverhead
	}
	mib := int64(memory / unit.MiB)
	mib -= (mib*overheadPerMille + 999) / 1000
	r := unit.Resources{
		CPU:    unit.Cores(s.VCPU),
		Memory: unit.Bytes(mib) * unit.MiB,
		Disk:   disk,
		Pods:   int64(s.pods(k)),
	}
	r.Extended = s.extended()
	return r
}

// Allocatable is what is left for pods, those of DaemonSets included. Amounts
// are never negative.
func (s *Shape) Allocatable(k Kubelet) unit.Resources {
	r := s.Capacity(k)
	less := k.Reserved
	less.CPU += reservedCPU(s.VCPU)
	less.Memory += reservedMemory + reservedMemoryPerPod*unit.Bytes(r.Pods) + evictionMemory
	less.Disk += reservedDisk + r.Disk/10
	return r.Minus(less).Max(unit.Resources{})
}

// reservedCPU is 6 % of the first core, 1 % of the second, 0.5 % of the next
// two and 0.25 % of each other, as EKS reserves it.
func reservedCPU(cores int) unit.MilliCPU {
	tenths := 0 // of a millicore
	for i := range cores {
		switch i {
		case 0:
			tenths += 600
		case 1:
			tenths += 100
		case 2, 3:
			tenths += 50
		default:
			tenths += 25
		}
	}
	return unit.MilliCPU((tenths + 9) / 10)
}

func (s *Shape) pods(k Kubelet) int {
	pods := s.MaxPods
	if k.PrefixDelegation {
		// AWS advises 110 up to 30 cores and 250 above, whatever fits.
		limit := 110
		if s.VCPU > 30 {
			limit = 250
		}
		pods = min(limit, s.MaxENIs*max(s.IPv4PerENI-1, 0)*16+2)
	}
	if k.MaxPods > 0 {
		pods = k.MaxPods
	}
	if k.PodsPerCore > 0 {
		pods = min(pods, k.PodsPerCore*s.VCPU)
	}
	return pods
}

func (s *Shape) extended() map[string]int64 {
	out := map[string]int64{}
	if s.GPU.Count > 0 {
		name := "nvidia.com/gpu"
		switch s.GPU.Manufacturer {
		case "amd":
			name = "amd.com/gpu"
		case "habana":
			name = "habana.ai/gaudi"
		}
		out[name] = int64(s.GPU.Count)
	}
	if s.Accelerator.Count > 0 && s.Accelerator.Manufacturer == "aws" {
		out["aws.amazon.com/neuron"] = int64(s.Accelerator.Count)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
