package catalog

import (
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// fargateOverhead is what EKS adds to the memory of each pod for the kubelet,
// kube-proxy and containerd that run beside it.
const fargateOverhead = 256 * unit.MiB

// fargateDisk is what every task has without paying.
const fargateDisk = 20 * unit.GiB

// FargateTask is the size that EKS on Fargate gives a pod.
type FargateTask struct {
	CPU    unit.MilliCPU
	Memory unit.Bytes
	// Disk is ephemeral storage, 20 GiB of which cost nothing.
	Disk unit.Bytes
}

// fargateStep is one size of processor with the memory that it can have.
type fargateStep struct {
	cpu           unit.MilliCPU
	low, high, by unit.Bytes
}

func fargateSteps() []fargateStep {
	return []fargateStep{
		{250, unit.GiB / 2, unit.GiB / 2, unit.GiB}, // and 1 and 2 GiB, below
		{250, unit.GiB, 2 * unit.GiB, unit.GiB},
		{500, unit.GiB, 4 * unit.GiB, unit.GiB},
		{1000, 2 * unit.GiB, 8 * unit.GiB, unit.GiB},
		{2000, 4 * unit.GiB, 16 * unit.GiB, unit.GiB},
		{4000, 8 * unit.GiB, 30 * unit.GiB, unit.GiB},
		{8000, 16 * unit.GiB, 60 * unit.GiB, 4 * unit.GiB},
		{16000, 32 * unit.GiB, 120 * unit.GiB, 8 * unit.GiB},
	}
}

// FargateSize is the smallest size that holds the requests of a pod, init and
// sidecar containers counted as Kubernetes does. EKS adds 256 MiB, rounds up,
// and gives a pod without requests the smallest size. It is false when no size
// is large enough, or when the pod asks for more than processor, memory and up
// to 175 GiB of disk, such as GPUs.
func FargateSize(requests unit.Resources) (FargateTask, bool) {
	need := requests.Memory + fargateOverhead
	disk := max(requests.Disk, fargateDisk)
	for _, n := range requests.Extended {
		if n > 0 {
			return FargateTask{}, false
		}
	}
	if disk > 175*unit.GiB {
		return FargateTask{}, false
	}
	for _, s := range fargateSteps() {
		if requests.CPU > s.cpu || need > s.high {
			continue
		}
		memory := s.low
		if need > memory {
			memory += (need - s.low + s.by - 1) / s.by * s.by
		}
		return FargateTask{s.cpu, memory, disk}, true
	}
	return FargateTask{}, false
}

// Hourly is the price of a task that runs for an hour in the region of s. AWS
// bills it by the second, with a minute at least.
func (t FargateTask) Hourly(s Services) unit.NanoUSD {
	const cores, gib = 1000, int64(unit.GiB)
	disk := max(t.Disk-fargateDisk, 0)
	return s.Price(FargateVCPU).MulDiv(int64(t.CPU), cores).
		Plus(s.Price(FargateMemory).MulDiv(int64(t.Memory), gib)).
		Plus(s.Price(FargateStorage).MulDiv(int64(disk), gib))
}
